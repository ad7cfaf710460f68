"""Clicks and scribbles as people type them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from KPrismLib.errors import InvalidPrompt
from KPrismLib.prompts import Click, Prompt, Scribble

CLICK_OPTION = "--click"
SCRIBBLE_OPTION = "--scribble"

_SIGNS = {"+": True, "-": False}


def parse_click(text: str) -> Click:
    """``120,88,+`` adds at row 120, column 88; ``120,88,-`` removes there.

    Raises:
        InvalidPrompt: anything else.
    """
    place, _, sign = text.strip().rpartition(",")
    try:
        row, column = _point(place)
        return Click(row, column, _SIGNS[sign.strip()])
    except (ValueError, KeyError):
        raise InvalidPrompt(f"The click {text!r} is not ROW,COLUMN,+ or ROW,COLUMN,-, such as 120,88,+.") from None


def parse_scribble(text: str) -> Scribble:
    """``120,88 130,90 140,99,+`` is a stroke through three points that adds.

    Raises:
        InvalidPrompt: anything else.
    """
    places, _, sign = text.strip().rpartition(",")
    try:
        points = tuple(_point(place) for place in places.split())
        if not points:
            raise ValueError
        return Scribble(points, _SIGNS[sign.strip()])
    except (ValueError, KeyError):
        raise InvalidPrompt(
            f"The scribble {text!r} is not 'ROW,COLUMN ROW,COLUMN ...,+' (or -), such as '120,88 130,90,+'."
        ) from None


def in_order(order: Sequence[str], clicks: Iterable[str], scribbles: Iterable[str]) -> tuple[Prompt, ...]:
    """Prompts in the order in which they stood on the command line.

    Args:
        order: the names of the options, as typed.
        clicks: values of ``--click``, in order; ``scribbles`` likewise.
    """
    left: dict[str, Iterator[Prompt]] = {
        CLICK_OPTION: map(parse_click, clicks),
        SCRIBBLE_OPTION: map(parse_scribble, scribbles),
    }
    return tuple(next(left[name]) for name in order if name in left)


def _point(text: str) -> tuple[int, int]:
    row, column = (int(part) for part in text.split(","))
    return row, column
