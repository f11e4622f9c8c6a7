"""``lbbench report``: a study or a result as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbbench.cli.options import Debug, Quiet
from lbbench.cli.output import (
    Writer,
    bytes_writer,
    check_folder,
    check_writable,
    console,
    text_writer,
    write_all,
)
from lbbench.errors import RunError


def report(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY|RESULT",
            help="a study, a result.json or its folder, the JSON of compare, plan or verify",
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE.html", help="the page; without it beside PATH"),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="DIR", help="every picture as PNG there, too")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="DIR", help="every picture as SVG there, too")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="PNG and SVG for a dark background")] = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Write one HTML page that needs nothing else: summary, pictures, tables, how to reproduce.

    It works from a file, without a network, in light and dark.

    \b
    Example:
      lbbench report study.sqlite
      lbbench report results/mine -o mine.html
      lbbench report study.sqlite --png figures --svg figures
    """  # noqa: D301
    check_writable(out=out)
    check_folder(png=png, svg=svg)
    from lbbench.report.page.rendering import render
    from lbbench.report.page.source import check_replaceable, content_of, file_of, page_for
    from lbbench.report.sweep_progress import SweepBar

    file = file_of(path)
    if out is None:
        out = page_for(file)
        check_replaceable(out, "give another file with -o")
    elif out.exists() and out.samefile(file):
        raise RunError(f"--out {out}: this is what the page is made of; give another file")
    with SweepBar(quiet=quiet) as bar:
        page = content_of(file, bar.step)
        files: dict[Path, Writer] = {out: text_writer(render(page))}
        if png is not None or svg is not None:
            from lbbench.report.charts import picture as drawn

            for done, one in enumerate(page.pictures):
                bar.step("drawing", done, len(page.pictures))
                if png is not None:
                    files[png / f"{one.name}.png"] = bytes_writer(drawn.png(one, dark=dark))
                if svg is not None:
                    files[svg / f"{one.name}.svg"] = text_writer(drawn.svg(one, dark=dark))
    write_all(files, folders=[folder for folder in (png, svg) if folder is not None])
    if not quiet:
        n = len(files) - 1
        beside = f" and {n:,} picture{'' if n == 1 else 's'}" if png or svg else ""
        console(stderr=True).print(f"{out}{beside}", soft_wrap=True)
