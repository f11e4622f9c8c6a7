"""From the content of a page to one HTML file that needs nothing else.

The policy in its head lets the browser fetch nothing at all and run only the scripts whose digests
it names. Vega draws with its interpreter of expressions (``ast``), so not even `eval` is allowed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbbench import __version__
from lbbench.report.page.content import Page

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"

KEY = re.compile(r"""(\s*(?:- )*)([^\s:#"'\[{][^:]*|"[^"]*"|'[^']*')(:(?: .*)?)""")
"""A line of YAML with a key: what is before it, the key, and the rest."""


def render(page: Page) -> str:
    """Return the page as HTML."""
    from lbbench.report.charts.picture import config

    light, dark = config(False), config(True)
    style = _text("page.css").replace("@light@", light["background"])
    style = style.replace("@dark@", dark["background"])
    scripts = [_text("page.js")]
    if page.pictures:
        from lbbench.report.page.bundle import bundle

        scripts = [bundle(_vega_lite(page.pictures[0].spec)), _text("pictures.js"), *scripts]
    data = {
        "light": light,
        "dark": dark,
        "pictures": [
            {"name": one.picture.name, "renderer": one.renderer, "spec": one.picture.spec}
            for section in page.sections
            for one in section.figures
        ],
    }
    template = _environment().get_template("page.html.jinja")
    return template.render(
        page=page,
        sections=[one for one in page.sections if one.figures or one.tables or one.paragraphs],
        policy=policy(style, scripts),
        style=_markup(style),
        scripts=[_markup(script) for script in scripts],
        data=_markup(in_script(data)),
        version=__version__,
    )


def policy(style: str, scripts: list[str]) -> str:
    """Return the Content-Security-Policy: these scripts and this style, and nothing from outside.

    Images may be data of the page itself: its icon is.
    """
    run = " ".join(map(_source, scripts))
    rules = {
        "default-src": "'none'",
        "script-src": run,
        "style-src": _source(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def in_script(data: Any) -> str:
    """Return data as JSON that can stand in a script element, whatever texts it holds."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def yaml_html(text: str) -> Markup:
    """Return YAML with its keys and comments marked up."""
    from markupsafe import Markup, escape

    made = []
    for line in text.splitlines():
        found = KEY.fullmatch(line)
        if line.lstrip().startswith("#"):
            made.append(Markup('<span class="comment">{}</span>').format(line))
        elif found is None:
            made.append(escape(line))
        else:
            before, key, rest = found.groups()
            made.append(Markup('{}<span class="key">{}</span>{}').format(before, key, rest))
    return Markup("\n").join(made)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["yaml"] = yaml_html
    made.filters["dot"] = dot
    made.filters["kept"] = kept_together
    made.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return made


def kept_together(text: str) -> str:
    """Return a text whose numbers stay on the line of their unit."""
    return re.sub(r"(?<=\d) (?=(?:%|ms|us|s|times)(?:\W|$))", "\u00a0", text)


def dot(text: str) -> str:
    """Return the colour of the balancer that a text names, "" for other texts."""
    from lbbench.report.charts.look import LOOKS

    name, _, rest = text.partition(" ")
    is_variant = not rest or "=" in rest.partition(" ")[0]
    return LOOKS[name].colour if name in LOOKS and is_variant else ""


@cache
def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _markup(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704  (our own script, style, and JSON without a "<")


def _source(text: str) -> str:
    """Return how a policy names a script or style: by its digest."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _vega_lite(spec: dict[str, Any]) -> str:
    """Return the version of Vega-Lite that a specification is written for: 6.4 of v6.4.1.json."""
    found = re.search(r"/v(\d+\.\d+)", str(spec.get("$schema", "")))
    return found[1] if found else "6.4"
