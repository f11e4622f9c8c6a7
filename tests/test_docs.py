"""The documentation is true: generated pages, links, command lines, names, snippets."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import lbbench
from docs.generate import HERE, PAGES, main, stale, write
from docs.generator.commands import commands
from docs.generator.markdown import anchor
from lbbench.inputs.meanings import MEANINGS
from lbbench.inputs.schema import json_schema
from lbbench.inputs.yaml import load, shipped
from lbbench.testing import check_balancer

ROOT = HERE.parent
FOLDERS = ("docs", "results", "lbbench/scenarios/seed")
PAGES_OF_ALL = [
    ROOT / "README.md",
    *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")),
]

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(lbbench [^`]+)`")
CALL = re.compile(r"^\$? ?(?:\.venv/bin/)?(lbbench [a-z].*)$")
GREY = ("Example:", "...")


def name_of(path: Path) -> str:
    """Return a page as a test's id."""
    return path.relative_to(ROOT).as_posix()


def page(path: str) -> str:
    """Return the text of a page below the root."""
    return (ROOT / path).read_text(encoding="utf-8")


# --- generated pages ------------------------------------------------------------------------------


def test_generated_pages_are_up_to_date():
    """What `python -m docs.generate` would write is what is there."""
    assert stale() == []
    assert main(["--check"]) == 0


def test_generated_pages_say_so():
    """A reader who wants to mend a generated page learns where."""
    for name in PAGES:
        assert "*Generated from" in page(f"docs/{name}").split("\n\n")[1]


def test_a_stale_page_is_found_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A missing page and a changed one are stale; writing mends both and nothing else."""
    assert write(tmp_path) == list(PAGES)
    (tmp_path / "balancers.md").write_text("old", encoding="utf-8")
    (tmp_path / "gallery.md").unlink()
    assert stale(tmp_path) == ["balancers.md", "gallery.md"]
    assert write(tmp_path) == ["balancers.md", "gallery.md"]
    assert stale(tmp_path) == []
    assert capsys.readouterr().out == ""


def test_every_scenario_key_has_a_meaning_and_no_other():
    """The schema explains each key that the model takes."""
    schema = json_schema()
    parts = {"Scenario": schema, **schema["$defs"]}
    keys = {name: set(part.get("properties", {})) for name, part in parts.items()}
    assert keys == {name: set(meanings) for name, meanings in MEANINGS.items()}
    for name, part in parts.items():
        for key, rule in part["properties"].items():
            assert rule["description"] == MEANINGS[name][key]


def test_the_gallery_shows_what_was_found():
    """Every case that is run has a found value for each of its checks, and none failed."""
    from lbbench.verify.gallery import gallery

    kept = {case["id"]: case for case in json.loads(page("docs/cases.json"))["cases"]}
    assert list(kept) == [case.id for case in gallery()]
    for case in gallery():
        found = kept[case.id]
        assert found["verdict"] == ("later" if case.later else "pass"), case.id
        assert len(found["found"] or []) == len(case.checks)


# --- links ----------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {anchor(line.lstrip("#")) for line in text.splitlines() if re.match(r"#{1,6} ", line)}


@pytest.mark.parametrize("path", PAGES_OF_ALL, ids=name_of)
def test_every_link_leads_somewhere(path: Path):
    """A link to a file or to a heading in one has its target."""
    lost = []
    for target in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or (heading and heading not in anchors(found)):
            lost.append(target)
    assert lost == []


def test_every_page_can_be_reached_from_the_readme():
    """Nobody has to know a page's name: links from the README lead to all of them."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md" or not path.is_file():
            continue
        seen.add(path)
        targets = [link.partition("#")[0] for link in LINK.findall(path.read_text("utf-8"))]
        waiting += [(path.parent / file).resolve() for file in targets if "://" not in file]
    docs = {path for path in PAGES_OF_ALL if "docs" in path.relative_to(ROOT).parts}
    assert docs <= seen


# --- command lines --------------------------------------------------------------------------------


def lines_of(path: Path) -> Iterator[str]:
    """Yield every command line of lbbench on a page, as a person would type it."""
    text = path.read_text(encoding="utf-8")
    for language, body in FENCE.findall(text):
        if language in ("", "text", "sh", "console"):
            joined = body.replace("\\\n", " ")
            for line in joined.splitlines():
                call = CALL.match(line.strip().partition(" | ")[2] or line.strip())
                if call:
                    yield call[1]
    for call in INLINE.findall(FENCE.sub("", text)):
        yield f"{' '.join(call.split())} ..."  # in a sentence: it may go on


def arguments_of(line: str) -> list[str]:
    """Return the words of a command line up to a redirection, a pipe or a remark."""
    words = shlex.split(line, comments=True)
    ends = [i for i, word in enumerate(words) if word in ("|", ">", ">>", "&&", "...")]
    return words[1 : min(ends, default=len(words))]


def problem_of(line: str) -> str | None:
    """Return why lbbench would not take a command line; None: it would."""
    name, *rest = arguments_of(line) or ["COMMAND"]
    known = commands()
    if name.startswith("-"):
        return None if name in ("--help", "--version", "--debug") else f"no option {name}"
    if not re.fullmatch(r"[a-z]+", name):
        return None  # COMMAND stands for any
    if name not in known:
        return f"there is no command {name}"
    options = {opt for param in known[name].params for opt in (*param.opts, *param.secondary_opts)}
    given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    unknown = given - options - {"--help"}
    if unknown:
        return f"{name} has no option {', '.join(sorted(unknown))}"
    if rest and not line.endswith(("...", "[options]")):
        try:
            known[name].make_context(name, [*rest])
        except Exception as error:  # noqa: BLE001
            return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("path", PAGES_OF_ALL, ids=name_of)
def test_every_command_line_is_one(path: Path):
    """Command, options and arguments of each line are what the command line takes."""
    problems = {line: problem_of(line) for line in lines_of(path)}
    assert {line: problem for line, problem in problems.items() if problem} == {}


def test_wrong_command_lines_are_found():
    """An unknown command, an unknown option, a missing value: each is a problem."""
    assert "no command" in str(problem_of("lbbench rum aks-ingress"))
    assert "--sed" in str(problem_of("lbbench run aks-ingress --sed 2"))
    assert "integer" in str(problem_of("lbbench run aks-ingress --seed two"))
    assert problem_of("lbbench run aks-ingress --seed 2") is None


def test_shipped_scenarios_that_are_named_exist():
    """A name behind run, check, compare, sweep and plan is a shipped scenario or a user's file."""
    lost = set()
    for path in PAGES_OF_ALL:
        for line in lines_of(path):
            words = arguments_of(line)
            if len(words) > 1 and words[0] in ("run", "check", "compare", "sweep", "plan"):
                file = words[1]
                if re.fullmatch(r"[a-z][a-z0-9-]*", file) and file not in shipped():
                    lost.add(f"{name_of(path)}: {file}")
                if file.startswith("results/") and not (ROOT / file).is_file():
                    lost.add(f"{name_of(path)}: {file}")
    assert lost == set()


# --- snippets -------------------------------------------------------------------------------------


def blocks(path: str, language: str) -> list[str]:
    """Return the blocks of code of a page in a language."""
    return [body for name, body in FENCE.findall(page(path)) if name == language]


@pytest.mark.parametrize("path", PAGES_OF_ALL, ids=name_of)
def test_every_scenario_of_the_pages_loads(path: Path, tmp_path: Path):
    """A block of YAML with traffic in it is a scenario."""
    for i, text in enumerate(blocks(name_of(path), "yaml")):
        if "traffic:" in text and "preset" not in path.name:
            file = tmp_path / f"block-{i}.yaml"
            file.write_text(text, encoding="utf-8")
            load(file)


@pytest.fixture
def own_balancer(tmp_path: Path) -> lbbench.Scenario:
    """Return a short scenario with the balancer of the page."""
    text = blocks("docs/how-to/own-balancer.md", "python")[0]
    (tmp_path / "my_lb.py").write_text(text, encoding="utf-8")
    changes = {"stages.ingress.balancer": "my_lb.py:mine", "run.requests": 2000}
    return load("ewma-herding").in_folder(tmp_path).with_(changes)


def test_the_own_balancer_runs(own_balancer: lbbench.Scenario):
    """The balancer of the page serves every request and leaves no pod out."""
    result = lbbench.run(own_balancer, engine="reference")
    assert result.requests["completed"] == 2000
    assert min(pod["requests"] for pod in result.pods) > 0


def test_the_plain_balancer_of_the_page_runs(tmp_path: Path):
    """The dict and the strings of the page: every pod gets the same number, in the readable one."""
    text = blocks("docs/how-to/own-balancer.md", "python")[1]
    (tmp_path / "my_lb.py").write_text(text, encoding="utf-8")
    changes = {"stages.ingress.balancer": "my_lb.py:mine", "run.requests": 160}
    result = lbbench.run(load("ewma-herding").in_folder(tmp_path).with_(changes))
    assert result.engine == "reference"
    assert any("compiled = False" in text for text in result.warnings)
    assert result.requests["completed"] == 160


def test_the_balancers_of_the_page_are_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They pass the check that the page shows, whose names are those of the check."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    page_text = page("docs/how-to/own-balancer.md")
    for number in (0, 1):
        file = tmp_path / f"lb_{number}.py"
        file.write_text(blocks("docs/how-to/own-balancer.md", "python")[number], encoding="utf-8")
        found = check_balancer(f"{file}:mine", picks=10)
        assert found.passed, str(found)
        assert all(f"pass      {check.name} " in page_text for check in found.checks)


@pytest.mark.long
def test_the_own_balancer_runs_in_both_engines_alike(own_balancer: lbbench.Scenario):
    """What the page says of it: compiled or as plain Python, the result is the same."""
    one, other = (lbbench.run(own_balancer, engine=engine) for engine in ("reference", "fast"))
    assert one.to_dict(clock=False) == other.to_dict(clock=False)


def test_the_python_of_the_result_page_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The Python of the page prints a p99, the balance of the stages, and the busiest pod."""
    real = lbbench.run
    monkeypatch.setattr(lbbench, "run", lambda scenario: real(scenario, engine="reference"))
    small = lbbench.load("aks-ingress", ["run.requests=2000"])
    monkeypatch.setattr(lbbench, "load", lambda _name, _changes: small)
    names: dict[str, object] = {}
    exec(compile(blocks("docs/how-to/read-a-result.md", "python")[0], "page", "exec"), names)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert len(names["pods"]) == 10


def test_the_table_of_the_result_has_every_field():
    """Each key of a result, and of its blocks, is named on the page."""
    text = page("docs/how-to/read-a-result.md")
    change = {"at": "5s", "pod": "pod-3", "fail": "refuse", "until": "8s"}
    small = {"timeline": [change], "run.duration": "10s", "traffic.utilisation": 0.1}
    result = lbbench.run(lbbench.load("dead-pod").with_(small), engine="reference")
    document = result.to_dict()
    wanted = set(document)
    for key in ("requests", "affinity", "network", "latency_by_stage_s", "time_s", "slo"):
        wanted |= set(document[key] or {})
    for key in ("windows", "changes"):
        wanted |= set(document[key][0])
    wanted |= set(document["requests"]["by_error"])
    named = set(re.findall(r"`(\w+)`", text))
    assert wanted - {"limit", "met"} <= named
