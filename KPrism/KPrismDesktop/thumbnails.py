"""Small pictures of reference slices, with the segment drawn in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt

from KPrismDesktop.pixmaps import pixmap

if TYPE_CHECKING:
    from KPrismLogic.guide import ReferenceSlice

SIDE = 56


def thumbnail(reference: ReferenceSlice) -> Any:
    """A ``QIcon`` of a reference."""
    import numpy as np

    pixels, mask = reference.source.pixels, reference.mask
    step = max(1, -(-max(mask.shape) // SIDE))
    grey = (pixels if pixels.ndim == 2 else pixels.mean(axis=2))[::step, ::step].astype(np.float64)
    low, high = np.percentile(grey, (1, 99))
    shown = np.repeat(np.clip((grey - low) * 255 / max(high - low, 1e-9), 0, 255)[..., None], 3, axis=2)
    inside = mask[::step, ::step]
    shown[inside] = shown[inside] * 0.5 + np.array((110, 255, 140)) * 0.5
    return qt.QIcon(pixmap(shown.astype(np.uint8)))
