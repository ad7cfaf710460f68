"""The pieces of the report, and how they are written in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from Training.report import paper_numbers
from Training.report.statistics import Number

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        header: Names of the columns.
        rows: Their cells, as Markdown.
        title: A line above it; may be empty.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def markdown(self) -> str:
        """The table as a block of text."""
        lines = [_line(self.header), _line(["---"] * len(self.header)), *map(_line, self.rows)]
        return "\n".join(([f"**{self.title}**", ""] if self.title else []) + lines)


@dataclass(frozen=True)
class Picture:
    """A picture in a file.

    Attributes:
        file: Its name among the pictures.
        text: What it shows.
    """

    file: str
    text: str

    def markdown(self, folder: str = "") -> str:
        """The picture above its text; ``folder`` is where it is, seen from the document."""
        return f"![{self.text}]({f'{folder}/' if folder else ''}{self.file})\n\n*{self.text}*"


@dataclass(frozen=True)
class Section:
    """One table or figure of the paper, ours beside the paper's.

    Attributes:
        item: Such as ``table2``.
        tables: Ours.
        pictures: Likewise.
        notes: Sentences below it.
    """

    item: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()

    def markdown(self, folder: str = "") -> str:
        """The section as a block of text.

        Args:
            folder: Where the pictures are, seen from the document; without a slash at its end.
        """
        blocks = [
            f"## {paper_numbers.heading(self.item)}: {paper_numbers.caption(self.item)}",
            *(table.markdown() for table in self.tables),
        ]
        blocks += [picture.markdown(folder) for picture in self.pictures]
        if self.notes:
            blocks.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(blocks) + "\n"


def percent(number: Number | None) -> str:
    """A share in percent with its interval."""
    return _shown(number, scale=100, digits=1)


def signed_percent(number: Number | None) -> str:
    """A difference of shares in percentage points with its interval."""
    return _shown(number, scale=100, digits=1, sign="+")


def plain(number: Number | None) -> str:
    """A count with its interval."""
    return _shown(number, scale=1, digits=2)


def signed(number: Number | None) -> str:
    """A difference of counts with its interval."""
    return _shown(number, scale=1, digits=2, sign="+")


def printed(value: float | None, digits: int = 2) -> str:
    """A number as the paper prints it."""
    return MISSING if value is None else f"{value:.{digits}f}"


def _shown(number: Number | None, *, scale: int, digits: int, sign: str = "") -> str:
    if number is None:
        return MISSING
    text = f"{scale * float(number.value):{sign}.{digits}f}"
    if number.low is None or number.high is None:
        return text
    low, high = (scale * float(np.asarray(bound)) for bound in (number.low, number.high))
    return f"{text} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
