"""The strips of text above and below a picture: its title and its legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

_BACKGROUND = (20, 20, 22)
_TEXT = (235, 235, 238)
_SMALLEST_FONT = 9

Strip = npt.NDArray[np.uint8]


def title_strip(title: str, width: int) -> Strip:
    """One line of text, made smaller, then cut (to nothing, if need be) to fit, uint8 ``(rows, width, 3)``."""
    margin = _font_size(width)
    room, size = width - 2 * margin, margin
    font = ImageFont.load_default(size)
    while size > _SMALLEST_FONT and font.getlength(title) > room:
        size -= 1
        font = ImageFont.load_default(size)
    shown = title
    while shown and font.getlength(shown) > room:
        title = title[:-1]
        shown = f"{title.rstrip()}…" if title else ""  # a picture of few columns has no room even for the dots
    height = round(2.2 * margin)
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    ImageDraw.Draw(sheet).text((margin, height / 2), shown, fill=_TEXT, font=font, anchor="lm")
    return np.asarray(sheet)


def legend_strip(entries: Sequence[tuple[str, tuple[float, float, float]]], width: int) -> Strip:
    """Names beside squares of their colour (0..1), in as many lines as they need, uint8 ``(rows, width, 3)``."""
    size = _font_size(width)
    font = ImageFont.load_default(size)
    line = round(1.7 * size)
    x, row = size, 0
    places: list[tuple[int, int]] = []
    for name, _ in entries:
        needed = round(1.4 * size + font.getlength(name) + 1.4 * size)
        if x > size and x + needed - 1.4 * size > width - size:
            x, row = size, row + 1
        places.append((x, row))
        x += needed
    sheet = Image.new("RGB", (width, (row + 1) * line + size), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for (name, colour), (left, number) in zip(entries, places, strict=True):
        middle = size / 2 + (number + 0.5) * line
        red, green, blue = (round(255 * part) for part in colour)
        half = 0.45 * size
        pen.rounded_rectangle(
            (left, middle - half, left + 2 * half, middle + half), radius=half / 3, fill=(red, green, blue)
        )
        pen.text((left + 1.4 * size, middle), name, fill=_TEXT, font=font, anchor="lm")
    return np.asarray(sheet)


def _font_size(width: int) -> int:
    return max(12, round(width / 36))
