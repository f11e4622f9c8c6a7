"""What stands on a page, before it is HTML: summary, facts, pictures, tables, commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbbench.report.charts.picture import Picture


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text
        What is read.
    order
        What the column is sorted by when that is a number; None sorts last.
    note
        Smaller text beside it: the interval of a figure.
    tone
        ``good`` or ``bad`` for a verdict, else empty.
    """

    text: str
    order: float | None = None
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a column; ``unit`` holds for all of its numbers."""

    title: str
    unit: str = ""
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """A table that sorts; its first column names the row.

    Attributes
    ----------
    name
        Unique on the page, fit for an HTML id.
    title
        The caption.
    columns, rows
        As many cells in a row as there are columns.
    note
        A sentence below it: what was left out, or how to read it.
    is_folded
        Whether it waits behind its caption until it is asked for.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    is_folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture with its text alternative."""

    picture: Picture
    table: Table | None  # the data, where they are few
    renderer: str  # svg, or canvas for thousands of marks


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; what is empty is left out."""

    name: str
    title: str
    lead: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    paragraphs: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """One line of the summary: the question in two words, and what was found."""

    question: str
    sentences: Sequence[str]
    tone: str = ""


@dataclass(frozen=True)
class Steps:
    """Commands that give the same numbers again.

    Attributes
    ----------
    lead
        What has to be there, and what is promised.
    commands
        To be pasted into a shell.
    file
        Name of the scenario file that they read; empty when a shipped scenario is enough.
    """

    lead: str
    commands: str
    file: str = ""


@dataclass(frozen=True)
class Page:
    """Everything on one page.

    Attributes
    ----------
    kind
        What it is about: "Study", "Result", "Comparison", "Plan", "Verification".
    title, question
        The name, and the question that a shipped scenario asks (else empty).
    answers
        The summary, in the order in which it is read.
    warnings
        What has to be known before any of it is believed.
    facts
        A few figures on what was run: (name, value).
    sections
        Pictures and tables.
    scenario
        As YAML; empty where there is none.
    steps
        How to reproduce.
    provenance
        Versions, seed, machine, times: (name, value).
    """

    kind: str
    title: str
    question: str = ""
    answers: Sequence[Answer] = ()
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = ()
    scenario: str = ""
    steps: Steps | None = None
    provenance: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def pictures(self) -> list[Picture]:
        """The pictures of all sections, in order."""
        return [figure.picture for section in self.sections for figure in section.figures]
