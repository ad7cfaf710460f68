"""Clicks and scribbles of a user, and how they become the network's 1-D and 2-D prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: A stroke is drawn whole into the dense map; this many points along it become click queries.
STROKE_QUERIES = 4


@dataclass(frozen=True)
class Click:
    """One click: pixel ``row``, ``column`` of the image as the user sees it; ``positive`` adds, negative removes."""

    row: int
    column: int
    positive: bool = True


@dataclass(frozen=True)
class Scribble:
    """One stroke through ``points``, each (row, column) in image pixels, joined by straight lines."""

    points: tuple[tuple[int, int], ...]
    positive: bool = True


def sample_stroke(points: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """At most ``count`` of ``points``, evenly spread over the stroke; a click is a stroke of one point."""
    if len(points) <= count:
        return list(points)
    last = len(points) - 1
    return [points[round((index + 0.5) * last / count)] for index in range(count)]
