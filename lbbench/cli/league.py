"""``lbbench compare --all``: every balancer at one job, or at all jobs of the league."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lbbench.cli.options import Engine
from lbbench.cli.output import (
    Writer,
    as_json,
    bytes_writer,
    console,
    print_text,
    text_writer,
    write_all,
)

CHARTS = "charts"


def run_league(
    file: str | None,
    own: Sequence[str],
    changes: Sequence[str],
    *,
    workers: int | None,
    engine: Engine,
    json: str | None,
    out: Path | None,
    quiet: bool,
) -> None:
    """Run the league, write and print what came of it.

    While it runs, ``out`` holds the ledgers of its jobs, so that the same command goes on after
    Ctrl-C; at the end they are taken away.
    """
    from lbbench.inputs.yaml import load
    from lbbench.report.sweep_progress import SweepBar
    from lbbench.studies.interrupt import ended_like_ctrl_c
    from lbbench.studies.league.document import to_dict
    from lbbench.studies.league.jobs import jobs
    from lbbench.studies.league.league import league, ledgers

    names = _without_registered(own)
    scenarios = jobs(changes) if file is None else [load(file, changes)]
    with SweepBar(quiet=quiet) as bar, ended_like_ctrl_c(), _folder(out) as folder:
        found = league(
            scenarios, folder, own=names, workers=workers, engine=engine, watcher=bar,
            kept=out is not None,
        )  # fmt: skip
        bar.stop()
        document = to_dict(found)
        files: dict[Path, Writer] = {}
        if json is not None and json != "-":
            files[Path(json)] = text_writer(as_json(document))
        if out is not None:
            files |= _files(document, out, bar)
        write_all(files, folders=[out / CHARTS] if out else [])
        for ledger in ledgers(folder, [scenario.name for scenario in scenarios]):
            ledger.unlink()
        bar.stop()
    if json == "-":
        print_text(as_json(document))
    elif not quiet:
        from lbbench.report.league import show

        show(document, console())


def _files(document: dict[str, Any], out: Path, bar: Any) -> dict[Path, Writer]:
    """Return the files of the league: data, page, charts."""
    from lbbench.report.charts.of_league import pictures
    from lbbench.report.charts.picture import png, svg
    from lbbench.report.page.page import page_of_league

    files: dict[Path, Writer] = {
        out / "league.json": text_writer(as_json(document)),
        out / "report.html": text_writer(page_of_league(document)),
    }
    made = pictures(document)
    for done, picture in enumerate(made):
        bar.step("drawing", done, len(made))
        files[out / CHARTS / f"{picture.name}.svg"] = text_writer(svg(picture))
        files[out / CHARTS / f"{picture.name}.png"] = bytes_writer(png(picture))
    return files


def _without_registered(own: Sequence[str]) -> list[str]:
    """Return the balancers that ``--all`` does not have already; unknown names are errors."""
    from lbbench.balancers.base import find, registry

    names = [name.strip() for name in own if name.strip()]
    for name in names:
        find(name)
    return [name for name in dict.fromkeys(names) if name not in registry()]


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Yield where the ledgers go: ``out``, or a folder that is gone afterwards."""
    if out is None:
        with TemporaryDirectory(prefix="lbbench-league-") as folder:
            yield Path(folder)
        return
    made = [path for path in (out, *out.parents) if not path.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield out
    finally:
        for path in made:
            with suppress(OSError):  # what has files stays: ledgers to go on from, or the league
                path.rmdir()
