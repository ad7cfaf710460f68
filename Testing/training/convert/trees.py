"""Small downloads in the exact layout of the official ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, ornt_transform
from numpy.typing import NDArray
from PIL import Image

from KPrismLib.dataset import DatasetFolder
from Training.convert.cases import Converter
from Training.convert.conversion import Outcome, convert

#: Voxel sizes of the phantoms along columns, rows, slices, all different so that no swap goes unnoticed.
SPACING = (1.5, 2.0, 5.0)


def anatomy(values: tuple[int, ...] = (1,), *, low: int = -1000, high: int = 500) -> tuple[NDArray[Any], NDArray[Any]]:
    """A volume (columns to the left, rows to posterior, slices upwards) with no symmetry, and its label map."""
    shape = (9, 8, 5)
    image = np.linspace(low, high, int(np.prod(shape))).reshape(shape).round().astype(np.int16)
    labels = np.zeros(shape, dtype=np.uint8)
    for number, value in enumerate(values):
        labels[number % 9, 1 + number // 9 : 4, 1:3] = value
    return image, labels


def save_nifti(path: Path, lps: NDArray[Any], codes: str = "LPS") -> None:
    """Store a volume in another orientation, with the header that says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = 40.0, 50.0, -30.0
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(codes))
    nib.save(nib.Nifti1Image(lps, affine).as_reoriented(turn), path)


def save_series(path: Path, frames: list[NDArray[Any]], codes: str = "LPS") -> None:
    """A 4-D file."""
    save_nifti(path, frames[0], codes)
    first = nib.load(path)
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(codes))
    turned = [nib.orientations.apply_orientation(frame, turn) for frame in frames]
    nib.save(nib.Nifti1Image(np.stack(turned, axis=-1), first.affine), path)


def save_picture(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def save_palette(path: Path, labels: NDArray[Any], colours: dict[int, tuple[int, int, int]]) -> None:
    """A PNG whose numbers look like the given colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels.astype(np.uint8), mode="P")
    palette = np.zeros((256, 3), dtype=np.uint8)
    for value, colour in colours.items():
        palette[value] = colour
    image.putpalette(palette.tobytes())
    image.save(path)


def photograph(seed: int, shape: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    """RGB noise: two of them never look alike."""
    return np.random.default_rng(seed).integers(0, 255, (*shape, 3), dtype=np.uint8)


def blob(shape: tuple[int, int] = (24, 32), *, top: int = 4, left: int = 6, side: int = 8) -> NDArray[np.uint8]:
    """A square of 255 on 0."""
    mask = np.zeros(shape, dtype=np.uint8)
    mask[top : top + side, left : left + side] = 255
    return mask


def partial_download(converter: Converter) -> Converter:
    """The converter without its knowledge of how much the whole download holds."""
    return replace(converter, about=replace(converter.about, complete={}, parts={}, ids=()))


def converted(converter: Converter, tmp_path: Path, build: Callable[[Path], object]) -> tuple[DatasetFolder, Outcome]:
    """Build a tree, convert it, and open what came out."""
    build(tmp_path / "download")
    outcome = convert(partial_download(converter), tmp_path / "download", tmp_path / "dataset")
    assert outcome.ok, outcome.findings
    return DatasetFolder.open(tmp_path / "dataset"), outcome


def stored(folder: DatasetFolder, item_id: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Voxels and labels of a written volume, as nibabel gives them."""
    item = next(item for item in folder.items() if item.id == item_id)
    return tuple(np.asarray(nib.load(folder.path / name).dataobj) for name in (item.image, item.mask))
