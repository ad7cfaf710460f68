"""Whether an abdomen lies as its header says, judged by where the liver and the bones are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_BODY_HU, _BONE_HU = -300, 400
#: Least distance between two centres, as a share of the picture, that counts as one being beside the other.
_CLEAR = 0.02


def contradicted_axes(voxels: npt.NDArray[Any], liver: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """The in-plane axes along which an upright CT of the abdomen is the wrong way round.

    The liver lies on the patient's right, which is the left of the picture, and the bones, mostly spine, lie behind
    the middle of the body. Both are true of all but a few people (situs inversus), who would be mirrored by a caller
    that believes this.

    Args:
        voxels: Hounsfield units, ``(columns, rows, slices)``, columns to the patient's left, rows to posterior
            if the header is right.
        liver: Where the liver is, same shape.

    Returns:
        0 when left and right are exchanged, 1 when front and back are, both, or none; nothing where there is too
        little to see.
    """
    body = _centre(voxels > _BODY_HU)
    wrong = []
    for axis, organ, expected in ((0, liver, -1), (1, voxels > _BONE_HU, 1)):
        centre = _centre(organ)
        if body is not None and centre is not None:
            offset = (centre[axis] - body[axis]) / voxels.shape[axis]
            if offset * expected < -_CLEAR:
                wrong.append(axis)
    return tuple(wrong)


def _centre(mask: npt.NDArray[np.bool_]) -> tuple[float, float] | None:
    """Centre along columns and rows, by counting: the coordinates of all voxels would need gigabytes."""
    counts = np.count_nonzero(mask, axis=2)
    total = counts.sum()
    if total == 0:
        return None
    columns, rows = (counts.sum(axis=1 - axis) @ np.arange(counts.shape[axis]) / total for axis in (0, 1))
    return float(columns), float(rows)
