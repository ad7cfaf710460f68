"""What a slice looks like as a whole, so that slices can be compared without segmenting anything."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from KPrismLib.encoded_image import EncodedImage
from KPrismLib.network.kprism import STRIDES

#: Parts along each side of the image whose features are told apart by :func:`describe_layout`.
GRID = 4

#: float32, of length 1; the scalar product of two is their cosine similarity.
Descriptor: TypeAlias = NDArray[np.float32]


def describe(image: EncodedImage) -> Descriptor:
    """Encoder features at 1/16, averaged over the image without the padding of its canvas."""
    rows, columns = (-(-extent // STRIDES[0]) for extent in image.canvas.content)
    pooled = image.features.maps.s16[0, :, :rows, :columns].float().mean(dim=(1, 2)).cpu().numpy()
    return unit(pooled)


def similarity(first: Descriptor, second: Descriptor) -> float:
    """Cosine similarity, from -1 to 1."""
    return float(first @ second)


def describe_layout(image: EncodedImage) -> Descriptor:
    """As :func:`describe`, but for each part of a grid of :data:`GRID` x :data:`GRID`: what is where.

    Returns:
        float32 (C * GRID * GRID,), of length 1.
    """
    rows, columns = (-(-extent // STRIDES[0]) for extent in image.canvas.content)
    features = image.features.maps.s16[:, :, :rows, :columns].float()
    pooled = F.adaptive_avg_pool2d(features, GRID).flatten().cpu().numpy()
    return unit(pooled)


def unit(vector: NDArray[np.floating]) -> Descriptor:
    """A vector of length 1 in the same direction; zeros stay zeros."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), dtype=np.float32)
