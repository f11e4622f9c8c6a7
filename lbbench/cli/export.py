"""``lbbench export``: a study as a table, or its latency histograms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbbench.cli.options import Debug, Quiet
from lbbench.cli.output import Writer, check_writable, console, text_writer, write_all
from lbbench.errors import RunError

HGRM = ".hgrm"


def export(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY", help="the file that `lbbench sweep --out` wrote")
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="FILE", help="its ending says how: .parquet .csv .json .hgrm"
        ),
    ],
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Write a study as one long table: a row per point, replication and metric.

    With .hgrm the latency percentiles of every point, a file each, NAME-0.hgrm and so on.

    \b
    Example:
      lbbench export study.sqlite -o study.parquet
      lbbench export study.sqlite -o latency.hgrm
    """  # noqa: D301
    check_writable(out=out)
    if study.exists() and out.exists() and study.samefile(out):
        raise RunError(f"--out {out}: this is the study itself; give another file")
    from lbbench.report.study import reservations
    from lbbench.report.sweep_progress import SweepBar
    from lbbench.store.export import FORMS, writer_for
    from lbbench.studies.study import Study
    from lbbench.studies.tidy import tidy

    if out.suffix.lower() not in (*FORMS, HGRM):
        raise RunError(
            f"--out {out}: the ending {out.suffix!r} names no form; give one of "
            f"{', '.join((*FORMS, HGRM))}"
        )
    with SweepBar(quiet=quiet) as bar, Study.open(study) as found:
        files: dict[Path, Writer]
        if out.suffix.lower() == HGRM:
            from lbbench.studies.percentiles import percentiles

            texts = percentiles(found, progress=bar.step)
            names = [out] if len(texts) == 1 else [_numbered(out, number) for number in texts]
            files = dict(zip(names, map(text_writer, texts.values()), strict=True))
            what = f"the latency percentiles of {len(texts):,} points"
        else:
            frame = tidy(found, progress=bar.step)
            files = {out: writer_for(frame, out)}
            what = f"{len(frame):,} rows"
        write_all(files)
        told = reservations(found)
    if not quiet:
        for text in told:
            console(stderr=True).print(f"warning: {text}", soft_wrap=True)
        first = next(iter(files), out)
        console(stderr=True).print(
            f"{what} in {first}" + (f" and {len(files) - 1:,} more" if len(files) > 1 else ""),
            soft_wrap=True,
        )


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")
