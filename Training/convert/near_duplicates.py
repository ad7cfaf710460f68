"""Pictures that show nearly the same, for sets that do not say whose picture it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from scipy.sparse.csgraph import connected_components

_SIDE = 48


def cluster_pictures(pictures: Mapping[str, Path], *, correlation: float = 0.88) -> dict[str, str]:
    """Group pictures whose thumbnails correlate, directly or through others (single linkage).

    Args:
        pictures: Key to file; one that cannot be read is a group of its own, whoever reads it later will complain.
        correlation: Of 48 x 48 grey thumbnails, above which two pictures belong together.

    Returns:
        Key to the name of its group, which is the first key of the group.
    """
    keys = sorted(pictures)
    if not keys:
        return {}
    thumbnails = np.stack([_thumbnail(pictures[key]) for key in keys])
    _, groups = connected_components(thumbnails @ thumbnails.T > correlation, directed=False)
    names: dict[int, str] = {}
    return {key: names.setdefault(int(group), key) for key, group in zip(keys, groups, strict=True)}


def _thumbnail(path: Path) -> npt.NDArray[np.float64]:
    """Zero mean, length one; zeros for a picture that is unreadable or all of one grey."""
    try:
        with Image.open(path) as image:
            # JPEG can be decoded at a fraction of its size, which is most of the time here.
            image.draft("L", (_SIDE, _SIDE))
            small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
        return np.zeros(_SIDE * _SIDE)
    values = np.asarray(small, dtype=np.float64).ravel()
    values -= values.mean()
    length = np.linalg.norm(values)
    return values / length if length else values
