"""What the masks of neighbouring slices say about a slice: the structure is where it was, or between where it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from KPrismLib.canvas import Canvas
from KPrismLib.evaluation.dice import dice

#: Distance from a neighbour's contour, as a share of the canvas' long side, that counts for one logit.
REACH = 0.04

#: Farther away from the contour than this share of the long side is no farther.
FARTHEST = 0.08

#: The same between two slices that share nothing; the more they overlap, the less room is left between them.
REACH_BETWEEN = 0.2

#: Pixels of a canvas have a size: between two equal slices the contour still is so uncertain.
LEAST_REACH = 0.001

#: Two neighbours are worth so many logits at most: a network that is sure can still outweigh them.
STRONGEST = 4.0


def location_prior(masks: Sequence[NDArray[np.bool_]], shares: Sequence[float], canvas: Canvas) -> NDArray[np.float32]:
    """Logits from the signed distance to the contour, positive inside; between two slices, to the shape between them.

    Shapes are interpolated as signed distances. How far that can be trusted is seen from the two slices themselves:
    one logit is worth ``REACH_BETWEEN * (1 - Dice)**3``, measured on slices between two true ones.

    Args:
        masks: one or two, bool (rows, columns), of neighbouring slices, not empty.
        shares: what each has to say, summing to 1.
        canvas: of the slice; distances are measured on it, so that pixels that are not square do not matter.

    Returns:
        float32 (rows, columns), at most :data:`STRONGEST` on either side.
    """
    distance = sum(share * signed_distance(mask, canvas) for mask, share in zip(masks, shares, strict=True))
    reach = REACH if len(masks) == 1 else LEAST_REACH + REACH_BETWEEN * (1 - dice(masks[0], masks[1])) ** 3
    return np.asarray(np.clip(distance / np.float32(reach), -STRONGEST, STRONGEST), dtype=np.float32)


def signed_distance(mask: NDArray[np.bool_], canvas: Canvas) -> NDArray[np.float32]:
    """Distance to the contour as a share of the canvas' long side, positive inside, at most :data:`FARTHEST`.

    Args:
        mask: bool (rows, columns), not empty.
        canvas: distances are measured on it.

    Returns:
        float32 (rows, columns).
    """
    sampling = tuple(content / image for content, image in zip(canvas.content, canvas.image, strict=True))
    side = max(canvas.content)
    # Farther away than this the distance is at its largest anyway.
    margins = [int(np.ceil(FARTHEST * side / step)) + 1 for step in sampling]
    box = []
    for axis, margin in enumerate(margins):
        found = np.flatnonzero(mask.any(axis=1 - axis))
        box.append(slice(max(0, int(found[0]) - margin), int(found[-1]) + margin + 1))
    near = mask[box[0], box[1]]
    # The whole box inside has no contour to measure from; then it is deep inside everywhere.
    outside = ndimage.distance_transform_edt(~near, sampling=sampling)
    inside = np.full(near.shape, np.inf) if near.all() else ndimage.distance_transform_edt(near, sampling=sampling)
    distance = np.full(mask.shape, -FARTHEST, dtype=np.float32)
    distance[box[0], box[1]] = np.clip((inside - outside) / side, -FARTHEST, FARTHEST)
    return distance
