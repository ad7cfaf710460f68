"""Writes the smallest dataset folders that tests can bend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Content = dict[str, Any]


def describe(items: list[Content], **changes: Any) -> Content:
    """The content of a ``dataset.json``."""
    return {"name": "Tiny", "modality": "CT", "labels": {"0": "background", "1": "liver"}, "items": items} | changes


def listed(item_id: str, *, suffix: str = ".png", split: str = "test", patient: str = "p1", **extras: Any) -> Content:
    """One entry of its ``items``."""
    paths = {"image": f"images/{item_id}{suffix}", "mask": f"masks/{item_id}{suffix}"}
    return {"id": item_id, **paths, "patient": patient, "split": split, **extras}


def square() -> NDArray[np.uint8]:
    """A label map of 4 rows and 6 columns with four pixels of value 1."""
    labels = np.zeros((4, 6), dtype=np.uint8)
    labels[1:3, 2:4] = 1
    return labels


def save(path: Path, array: NDArray[Any]) -> None:
    """Save an array as it is: NIfTI volumes keep their axes (columns, rows, slices)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(array, np.diag([-1.0, -1.0, 3.0, 1.0])), path)
    else:
        Image.fromarray(array).save(path)


def write_folder(path: Path, content: Content, **arrays: NDArray[Any]) -> Path:
    """Write the folder; an item without ``image_ID`` or ``mask_ID`` among the arrays gets the square."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    for item in content["items"]:
        mask = arrays.get(f"mask_{item['id']}", square())
        save(path / item["mask"], mask)
        save(path / item["image"], arrays.get(f"image_{item['id']}", mask * 100))
    return path
