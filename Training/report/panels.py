"""Pictures of cases side by side: reference, image, predictions, truth, each under its title (Figures 6 to 9)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from KPrismLib.imaging.caption import title_strip
from KPrismLib.imaging.overlay import Colour, render_overlay
from KPrismLib.terminology import term_for
from Training.report.replay import Case, Prediction

CELL = 300
"""Width of a picture in pixels."""

_TALLEST = 360
_MARGIN = 6
_BACKGROUND = 20
_TRUTH: Colour = (0.98, 0.80, 0.18)

Picture = NDArray[np.uint8]


def panel(case: Case, predictions: Sequence[tuple[str, Prediction]], *, title: str) -> Picture:
    """One case as a row of pictures.

    Args:
        case: The case.
        predictions: Names of models, and what they made of it.
        title: Above the image.

    Returns:
        uint8, shape (rows, columns, 3).
    """
    colour = term_for(case.measurement.cls).colour
    pixels = case.piece.pixels
    cells = []
    if case.references:
        reference, mask = case.references[0]
        more = f", 1 of {len(case.references)}" if len(case.references) > 1 else ""
        cells.append(_cell(f"reference{more}", render_overlay(reference, [(mask, _TRUTH)])))
    cells.append(_cell(title, render_overlay(pixels, [])))
    for name, prediction in predictions:
        shown = render_overlay(pixels, [(prediction.mask, colour)], clicks=prediction.clicks)
        cells.append(_cell(f"{name}, Dice {_percent(prediction.dice)}", shown))
    cells.append(_cell("truth", render_overlay(pixels, [(case.target, _TRUTH)])))
    return _beside(cells)


def stacked(rows: Sequence[Picture]) -> Picture:
    """Panels one below the other."""
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_padded(row, row.shape[0] + _MARGIN, width) for row in rows])


def _cell(title: str, picture: Picture) -> Picture:
    rows, columns = picture.shape[:2]
    scale = min(CELL / columns, _TALLEST / rows)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    shrunk = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
    return np.concatenate([title_strip(title, CELL), _padded(shrunk, shrunk.shape[0], CELL)])


def _beside(cells: Sequence[Picture]) -> Picture:
    height = max(cell.shape[0] for cell in cells)
    parts = [_padded(cell, height, cell.shape[1] + _MARGIN, centred=False) for cell in cells]
    return np.concatenate(parts, axis=1)


def _padded(picture: Picture, rows: int, columns: int, *, centred: bool = True) -> Picture:
    sheet = np.full((rows, columns, 3), _BACKGROUND, dtype=np.uint8)
    left = (columns - picture.shape[1]) // 2 if centred else 0
    sheet[: picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _percent(share: float) -> str:
    return "undefined" if math.isnan(share) else f"{100 * share:.1f} %"
