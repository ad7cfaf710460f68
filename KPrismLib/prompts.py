"""Clicks and scribbles of a user, in image pixels, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from KPrismLib.errors import InvalidPrompt

#: A stroke is drawn whole into the dense map; this many points along it become click queries.
STROKE_QUERIES = 4


@dataclass(frozen=True)
class Click:
    """One click: pixel ``row``, ``column`` of the image as the user sees it; ``positive`` adds, negative removes."""

    row: int
    column: int
    positive: bool = True

    @property
    def points(self) -> tuple[tuple[int, int], ...]:
        """The clicked pixel; a click is a stroke of one point."""
        return ((self.row, self.column),)


@dataclass(frozen=True)
class Scribble:
    """One stroke through ``points``, each (row, column) in image pixels, joined by straight lines."""

    points: tuple[tuple[int, int], ...]
    positive: bool = True


Prompt: TypeAlias = Click | Scribble


def whole_pixel(place: Any) -> tuple[int, int]:
    """(row, column) as Python's own numbers, from whole numbers of any kind.

    Raises:
        InvalidPrompt: a fraction, NaN, text, or not two of them: rounding would choose a pixel for the user.
    """
    try:
        row, column = place
        pixel = int(row), int(column)
    except (TypeError, ValueError, OverflowError):
        pixel = None
    if pixel is None or pixel != (row, column):
        raise InvalidPrompt(f"A pixel is two whole numbers, its row and its column, not {place!r}.")
    return pixel


def check_prompt(prompt: Prompt, earlier: Sequence[Prompt], shape: tuple[int, int]) -> None:
    """Make sure that ``prompt`` can follow the ``earlier`` ones on an image of ``shape`` (rows, columns).

    Raises:
        InvalidPrompt: outside the image, or the opposite of an earlier click on the same pixel.
    """
    problem = outside(prompt, shape) or contradiction(prompt, earlier)
    if problem:
        raise InvalidPrompt(problem)


def outside(prompt: Prompt, shape: tuple[int, int]) -> str | None:
    """A sentence if a point of ``prompt`` lies outside an image of ``shape`` (rows, columns), else None."""
    for row, column in prompt.points:
        if not (0 <= row < shape[0] and 0 <= column < shape[1]):
            return (
                f"Row {row}, column {column} lies outside the image; rows go from 0 to {shape[0] - 1}, "
                f"columns from 0 to {shape[1] - 1}."
            )
    return None


def contradiction(prompt: Prompt, earlier: Sequence[Prompt]) -> str | None:
    """A sentence if ``prompt`` is a click on the pixel of an ``earlier`` click of the other sign, else None."""
    if not isinstance(prompt, Click):
        return None
    for other in earlier:
        if isinstance(other, Click) and other.points == prompt.points and other.positive != prompt.positive:
            return (
                f"Row {prompt.row}, column {prompt.column} already has a "
                f"{'positive' if other.positive else 'negative'} click; undo it, or click beside it."
            )
    return None


def sample_stroke(points: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """At most ``count`` of ``points``, evenly spread over the stroke."""
    if len(points) <= count:
        return list(points)
    return [points[int((index + 0.5) * len(points) / count)] for index in range(count)]
