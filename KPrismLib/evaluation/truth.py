"""What tells the masks and images of a dataset from those of before a correction."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from KPrismLib.batch.fingerprint import content_fingerprint, stamp
from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.detached_voxels import with_voxel_files


def truth_fingerprint(folder: DatasetFolder) -> str:
    """SHA-256 over the names and bytes of all masks; empty where one cannot be read, which whoever reads it will say.

    By content, not by time: a dataset that was copied is the same.
    """
    return _fingerprint(folder.path / item.mask for item in folder.description.items)


def images_fingerprint(folder: DatasetFolder) -> str:
    """As :func:`truth_fingerprint`, over all images: those of references count as much as those that are evaluated."""
    return _fingerprint(folder.path / item.image for item in folder.description.items)


def _fingerprint(files: Iterable[Path]) -> str:
    try:
        every = tuple(sorted({part for file in files for part in with_voxel_files(file)}))
        return _content(every, stamp(every))
    except InvalidImage:
        return ""


@lru_cache(maxsize=256)
def _content(files: tuple[Path, ...], _stamp: str) -> str:
    """A set is evaluated many times for a report, and may be large: read once, as long as no file changes."""
    return content_fingerprint(files)
