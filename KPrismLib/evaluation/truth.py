"""What tells the masks of a dataset from those of before a correction."""

from __future__ import annotations

from KPrismLib.batch.fingerprint import content_fingerprint
from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.detached_voxels import with_voxel_files


def truth_fingerprint(folder: DatasetFolder) -> str:
    """SHA-256 over the names and bytes of all masks; empty where one cannot be read, which whoever reads it will say.

    By content, not by time: a dataset that was copied is the same.
    """
    masks = [folder.path / item.mask for item in folder.description.items]
    try:
        return content_fingerprint(dict.fromkeys(file for mask in masks for file in with_voxel_files(mask)))
    except InvalidImage:
        return ""
