"""What the mask of the slice before says about a slice: the structure is near where it was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from KPrismLib.canvas import Canvas

#: Distance from the neighbour's contour, as a share of the canvas' long side, that counts for one logit.
REACH = 0.04

#: The prior is worth so many logits at most, so that it never outweighs a network that is sure.
STRONGEST = 2.0


def location_prior(mask: NDArray[np.bool_], canvas: Canvas) -> NDArray[np.float32]:
    """Logits from the signed distance to the contour of the neighbour's mask, positive inside.

    Args:
        mask: bool (rows, columns) of the neighbouring slice, not empty.
        canvas: of the slice; distances are measured on it, so that pixels that are not square do not matter.

    Returns:
        float32 (rows, columns), from -:data:`STRONGEST` to :data:`STRONGEST`.
    """
    sampling = tuple(content / image for content, image in zip(canvas.content, canvas.image, strict=True))
    scale = REACH * max(canvas.content)
    # Farther away than this the prior is at its lowest anyway.
    margins = [int(np.ceil(STRONGEST * scale / step)) + 1 for step in sampling]
    box = []
    for axis, margin in enumerate(margins):
        found = np.flatnonzero(mask.any(axis=1 - axis))
        box.append(slice(max(0, int(found[0]) - margin), int(found[-1]) + margin + 1))
    near = mask[box[0], box[1]]
    # The whole box inside has no contour to measure from; then it is deep inside everywhere.
    outside = ndimage.distance_transform_edt(~near, sampling=sampling)
    inside = np.full(near.shape, np.inf) if near.all() else ndimage.distance_transform_edt(near, sampling=sampling)
    prior = np.full(mask.shape, -STRONGEST, dtype=np.float32)
    prior[box[0], box[1]] = np.clip((inside - outside) / scale, -STRONGEST, STRONGEST)
    return prior
