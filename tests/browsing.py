"""A real browser for the tests of pages: one for all of them, listened to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000  # milliseconds; a busy machine is slow, and nothing here measures time

MARKS = """chart => {
  const svg = chart.querySelector("svg");
  if (svg) return svg.querySelectorAll("[class*='role-mark'] :is(path, text, line)").length;
  const canvas = chart.querySelector("canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4 * 97) colours.add(data.slice(i, i + 3).join());
  return colours.size - 1;
}"""
"""Counts what a picture has drawn beside its axes; of a canvas, its colours beside the first."""


def browser_path() -> str | None:
    """Return the browser of this machine, None when it has none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Opened(NamedTuple):
    """A page in the browser, and what was heard while it was open."""

    page: Any
    requests: list[str]
    troubles: list[str]

    def drawn(self) -> Opened:
        """Wait until all pictures are there."""
        if self.page.locator("[data-picture]").count():
            self.page.wait_for_selector(
                "html[data-pictures='drawn']", state="attached", timeout=PATIENCE
            )
        return self

    def column(self, table: str, i: int) -> list[str]:
        """Return the texts of a column of a table, the notes in them left out."""
        rows = self.page.locator(f"#table-{table} tbody tr")
        return rows.evaluate_all(
            "(rows, i) => rows.filter(r => !r.hidden).map(r => [...r.cells[i].childNodes]"
            ".filter(n => n.nodeName !== 'SMALL').map(n => n.textContent).join('').trim())",
            i,
        )


def opened(browser: Any, file: Path, **options: Any) -> Opened:
    """Open a file in a context of its own; keep warnings of the console and errors of scripts."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
    page = context.new_page()
    found = Opened(page, [], [])
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("pageerror", lambda error: found.troubles.append(str(error)))
    page.on(
        "console",
        lambda said: (
            found.troubles.append(said.text) if said.type in ("error", "warning") else None
        ),
    )
    page.goto(file.absolute().as_uri())
    return found
