"""The numbers that the paper prints, from ``Training/paper_numbers.toml``."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

FILE = Path(__file__).parents[1] / "paper_numbers.toml"

OURS = "K-Prism"
"""The paper's own method, in the column ``method`` of the tables that compare methods."""

#: Printed averages have two digits; the mean of a row of such numbers is off by no more than this.
ROUNDING = 0.0101

Row = Mapping[str, Any]


@cache
def _numbers() -> Mapping[str, Any]:
    numbers: Mapping[str, Any] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return numbers


def table(name: str) -> Mapping[str, Any]:
    """A table by its key in the file (``table2``, ``table5a``, ...): ``caption``, ``rows``, sometimes ``sets``."""
    content: Mapping[str, Any] = _numbers()[name]
    return content


def heading(name: str) -> str:
    """``table5a`` as people write it: Table 5a."""
    kind = "figure" if name.startswith("figure") else "table"
    return f"{kind.capitalize()} {name.removeprefix(kind)}"


def caption(name: str) -> str:
    """What a table or figure is about."""
    return str(table(name)["caption"])


def rows(name: str) -> Sequence[Row]:
    """The rows of a table."""
    found: Sequence[Row] = table(name)["rows"]
    return found


def row(name: str, **wanted: object) -> Row:
    """The one row of a table with these entries, such as ``method="Hermes", mode="semantic"``.

    Raises:
        KeyError: There is none.
    """
    for candidate in rows(name):
        if all(candidate.get(key) == value for key, value in wanted.items()):
            return candidate
    raise KeyError(f"{name} has no row with {wanted}.")


def dice_of_set(name: str, paper_set: str, mode: str, method: str = OURS) -> float | None:
    """One Dice of Table 2 or 3 in percent; ``None`` where the paper has none."""
    for candidate in rows(name):
        if candidate["method"] == method and candidate["mode"] == mode:
            value: float = candidate["values"][table(name)["sets"].index(paper_set)]
            return value
    return None


def best_other(name: str, paper_set: str, mode: str) -> tuple[str, float] | None:
    """The best other method on a set of Table 2 or 3, and its Dice in percent."""
    position = table(name)["sets"].index(paper_set)
    others = [
        (str(candidate["method"]), float(candidate["values"][position]))
        for candidate in rows(name)
        if candidate["mode"] == mode and candidate["method"] != OURS
    ]
    return max(others, key=lambda other: other[1], default=None)


def contradicts_its_average(candidate: Row) -> bool:
    """Whether the printed average of a row is not the mean of its values."""
    return abs(statistics.fmean(candidate["values"]) - candidate["average"]) > ROUNDING


def contradictions(name: str) -> list[str]:
    """Sentences on where the paper disagrees with itself about a table."""
    found: list[str] = list(_numbers()["contradictions"].get(name, ()))
    wrong = [row for row in rows(name) if "average" in row and contradicts_its_average(row)]
    if wrong:
        listed = "; ".join(
            f"{each['method']} ({each['mode'].replace('_', '-')}) {each['average']:.2f} printed, "
            f"{statistics.fmean(each['values']):.2f} computed"
            for each in wrong
        )
        found.insert(0, f"The printed Avg is not the mean of its row: {listed}.")
    return found
