"""What a slice looks like as a whole, so that slices can be compared without segmenting anything."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from KPrismLib.encoded_image import EncodedImage

#: float32 (C,), of length 1; the scalar product of two is their cosine similarity.
Descriptor: TypeAlias = NDArray[np.float32]


def describe(image: EncodedImage) -> Descriptor:
    """Encoder features at 1/16, averaged over the canvas; its padding is less than one position."""
    pooled = image.features.maps.s16[0].float().mean(dim=(1, 2)).cpu().numpy()
    return np.asarray(pooled / max(float(np.linalg.norm(pooled)), 1e-12), dtype=np.float32)


def similarity(first: Descriptor, second: Descriptor) -> float:
    """Cosine similarity, from -1 to 1."""
    return float(first @ second)
