"""What a class is not: small pieces apart from the structure, as a network finds them that sees one slice at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Voxels that share a corner hang together.
_TOUCHING = np.ones((3, 3, 3), dtype=bool)


def without_stray_pieces(labels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """A label map without the pieces of each label that are smaller than ``share`` of its largest one.

    Args:
        labels: uint8 (slices, rows, columns), 0 for the background.
        share: in [0, 1]; 0 keeps everything, 1 the largest piece alone (and those of the same size).

    Returns:
        A copy, of the same shape.
    """
    kept = labels.copy()
    # In the box around a label, and counted slice by slice: NumPy turns indices into integers of eight bytes each.
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        pieces, count = ndimage.label(labels[box] == label, _TOUCHING)
        sizes = sum((np.bincount(slice_.ravel(), minlength=count + 1) for slice_ in pieces), start=np.zeros(1, int))
        sizes[0] = 0
        stray = sizes < share * sizes.max()
        stray[0] = False
        if stray.any():
            for slice_, target in zip(pieces, kept[box], strict=True):
                target[stray[slice_]] = 0
    return kept
