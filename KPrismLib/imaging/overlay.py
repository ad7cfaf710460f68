"""Pictures of a segmentation over its image, fit for a report."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from KPrismLib.errors import CannotWrite, GeometryMismatch, InvalidConfig, InvalidImage
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.caption import legend_strip, title_strip
from KPrismLib.imaging.coverage import Coverage, Sheet
from KPrismLib.imaging.pictures import UNREADABLE
from KPrismLib.prompts import Click, Scribble

Picture = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]

#: Small images are enlarged until their long side has this many pixels.
SMALLEST_LONG_SIDE = 512

_POSITIVE: Colour = (0.18, 0.80, 0.35)
_NEGATIVE: Colour = (0.92, 0.22, 0.20)
_WHITE: Colour = (1.0, 1.0, 1.0)
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
#: What the file of a picture says of where it comes from, so that it is not taken for an image.
_ORIGIN = "K-Prism overlay"

#: What :func:`write_overlay` can write.
OVERLAY_ENDINGS = tuple(_FORMATS)


def render_overlay(
    pixels: Picture,
    masks: Sequence[tuple[npt.NDArray[Any], Colour]],
    *,
    clicks: Sequence[Click] = (),
    scribbles: Sequence[Scribble] = (),
    spacing: tuple[float, float] = (1.0, 1.0),
    contour_width: float = 2.0,
    alpha: float = 0.3,
    title: str = "",
    legend: Sequence[str] = (),
) -> Picture:
    """Draw masks, and the prompts that led to them, over an image.

    Args:
        pixels: uint8 ``(rows, columns)`` or ``(rows, columns, 3)``, already windowed.
        masks: each a mask ``(rows, columns)``, non-zero inside, and its colour (red, green, blue in 0..1).
        clicks: drawn as dots with a white ring, green to add, red to remove.
        scribbles: drawn as lines in the same colours.
        spacing: ``(row, column)`` mm per pixel; the picture gets the true proportions.
        contour_width: of the masks' outlines, in pixels of the result; 0 for none.
        alpha: opacity of the masks' insides, 0..1.
        title: one line above the picture.
        legend: a name for each mask, listed below the picture; empty for none.

    Returns:
        uint8 ``(rows, columns, 3)``; the image part has a long side of at least 512.
    """
    _check(pixels, masks, spacing, alpha, contour_width, legend)
    sheet = _sheet(pixels.shape[:2], spacing)
    shown = _enlarged(pixels, sheet)
    for mask, colour in masks:
        inside, line = sheet.region(np.asarray(mask) != 0, contour_width)
        _blend(shown, inside * alpha, colour)
        if contour_width > 0:
            _blend(shown, line, colour)
    unit = max(sheet.shape) / 512
    for positive, colour in ((True, _POSITIVE), (False, _NEGATIVE)):
        lines = [scribble.points for scribble in scribbles if scribble.positive is positive]
        dots = [(click.row, click.column) for click in clicks if click.positive is positive]
        if lines:
            _blend(shown, sheet.strokes(lines, 4.5 * unit), _WHITE)
            _blend(shown, sheet.strokes(lines, 3.0 * unit), colour)
        if dots:
            _blend(shown, sheet.discs(dots, 6.5 * unit), _WHITE)
            _blend(shown, sheet.discs(dots, 4.75 * unit), colour)
    picture: Picture = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    strips = [picture]
    if title:
        strips.insert(0, title_strip(title, picture.shape[1]))
    if legend:
        strips.append(legend_strip(list(zip(legend, (colour for _, colour in masks), strict=True)), picture.shape[1]))
    return np.concatenate(strips)


def write_overlay(path: str | Path, picture: Picture) -> Path:
    """Write a picture of :func:`render_overlay` as PNG or JPEG, by the ending of ``path``.

    Raises:
        CannotWrite: another ending, no permission, disk full.
    """
    return write_atomically(path, overlay_bytes(Path(path), picture))


def overlay_bytes(path: Path, picture: Picture) -> bytes:
    """The file that :func:`write_overlay` writes.

    Raises:
        CannotWrite: ``path`` has another ending.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise CannotWrite(f"Cannot write {path.name}: give the picture one of the endings {', '.join(_FORMATS)}.")
    stream = io.BytesIO()
    origin = PngInfo()
    origin.add_text("Software", _ORIGIN)
    # Each format takes its own of these, and passes over what is the other's.
    Image.fromarray(picture).save(stream, format=kind, quality=95, pnginfo=origin, comment=_ORIGIN)
    return stream.getvalue()


def is_overlay(path: Path) -> bool:
    """Whether a file says that :func:`write_overlay` wrote it; no for what is no picture, or cannot be opened."""
    if path.suffix.lower() not in _FORMATS:
        return False
    try:
        with Image.open(path) as picture:
            said = picture.info.get("Software", picture.info.get("comment"))
    except (*UNREADABLE, Image.DecompressionBombError):
        return False
    return said in (_ORIGIN, _ORIGIN.encode())


def _sheet(shape: tuple[int, ...], spacing: tuple[float, float]) -> Sheet:
    """The size of the result: pixels as wide as the finer spacing, and no long side below the smallest."""
    rows, columns = shape
    finest = min(spacing)
    height, width = rows * spacing[0] / finest, columns * spacing[1] / finest
    enlarge = max(1.0, SMALLEST_LONG_SIDE / max(height, width))
    size = max(1, round(height * enlarge)), max(1, round(width * enlarge))
    return Sheet(shape=size, zoom=(size[0] / rows, size[1] / columns))


def _enlarged(pixels: Picture, sheet: Sheet) -> npt.NDArray[np.float32]:
    rows, columns = sheet.shape
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    if image.size != (columns, rows):
        image = image.resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(image).astype(np.float32) / np.float32(255)


def _blend(shown: npt.NDArray[np.float32], coverage: Coverage, colour: Colour) -> None:
    """Paint ``colour`` over ``shown`` ``(rows, columns, 3)``, in place."""
    shown += coverage[..., np.newaxis] * (np.asarray(colour, dtype=np.float32) - shown)


def _check(
    pixels: npt.NDArray[Any],
    masks: Sequence[tuple[npt.NDArray[Any], Colour]],
    spacing: tuple[float, float],
    alpha: float,
    contour_width: float,
    legend: Sequence[str],
) -> None:
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise InvalidImage(
            f"An overlay needs uint8 pixels (rows, columns) or (rows, columns, 3), not {pixels.dtype} {pixels.shape}; "
            "apply an intensity window first."
        )
    for mask, _ in masks:
        if np.shape(mask) != pixels.shape[:2]:
            raise GeometryMismatch(f"The mask has shape {np.shape(mask)} but the image {pixels.shape[:2]}.")
    if not (0 <= alpha <= 1 and contour_width >= 0 and all(0 < step < math.inf for step in spacing)):
        raise InvalidConfig("An overlay needs alpha from 0 to 1, a contour width of 0 or more, and a positive spacing.")
    if legend and len(legend) != len(masks):
        raise InvalidConfig(f"The legend has {len(legend)} names for {len(masks)} masks; give one for each.")
