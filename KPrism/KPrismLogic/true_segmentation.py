"""Agreement of a result with the true segmentation of its case, compared place by place."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from KPrismLib.errors import GeometryMismatch, InvalidMask
from KPrismLib.evaluation.dice import dice
from KPrismLib.imaging import pictures
from KPrismLib.imaging.file_identity import same_file
from KPrismLib.imaging.geometry import same_grid
from KPrismLib.imaging.labels import LabelVolume, binary_mask, listed_labels, read_label_volume
from KPrismLogic.labelmaps import Mask
from KPrismLogic.matrices import Matrix, inverse


def agreement_with_truth(
    files: Sequence[Path], case: Path, masks: Mapping[str, Mask], world: Matrix
) -> tuple[dict[str, float], list[str]]:
    """The Dice of each structure of a case, and sentences on why some have none.

    How the voxels of the true segmentation are stored does not matter, as long as they are in the same places.

    Args:
        files: where the true segmentation may be; the first file that exists is taken.
        case: the image's file.
        masks: bool (k, j, i) of the image, by structure.
        world: 4x4, voxels of the image to RAS mm.

    Raises:
        InvalidImage: the true segmentation cannot be read.
        GeometryMismatch: it is of another grid.
    """
    # Images and true segmentations may be in one folder; an image is nobody's segmentation.
    path = next((file for file in files if file.exists() and not same_file(file, case)), None)
    if path is None:
        return {}, [f"{files[0].parent} has no {' or '.join(file.name for file in files)}."]
    try:
        truth = read_label_volume(path)
        binary_mask(truth)  # Of an empty segmentation Slicer writes a single voxel.
    except InvalidMask as error:
        return {}, [str(error)]
    picture = case.name.lower().endswith(pictures.SUFFIXES)
    image = LabelVolume(next(iter(masks.values()))[np.newaxis], {}, {}, world, picture, source=case)
    truth = _on_grid_of(image, truth)
    agreement: dict[str, float] = {}
    missing: list[str] = []
    for name, found in masks.items():
        try:
            known = _structure(truth, name, alone=len(masks) == 1)
            agreement[name] = dice(found, known)
        except InvalidMask as error:
            missing.append(str(error))
    return agreement, missing


def _on_grid_of(image: LabelVolume, truth: LabelVolume) -> LabelVolume:
    if truth.is_picture or image.is_picture:
        # Where a picture lies is nowhere written; only its size can be compared.
        turned = dataclasses.replace(truth, ijk_to_ras=image.ijk_to_ras)
    else:
        turned = _of_size(_turned_like(truth, image.ijk_to_ras), image)
    try:
        same_grid(image, turned)
    except GeometryMismatch as error:
        raise GeometryMismatch(f"The true segmentation does not belong to the image: {error}") from error
    return turned


def _structure(truth: LabelVolume, name: str, *, alone: bool) -> Mask:
    """bool (k, j, i): the label with the name of a structure, or the only one of a file in which none has a name."""
    try:
        return binary_mask(truth, name)
    except InvalidMask:
        if not truth.labels or any(text != f"label {number}" for number, text in truth.labels.items()):
            raise
    if alone and len(truth.labels) == 1:
        return binary_mask(truth)
    file = truth.source.name if truth.source is not None else "the true segmentation"
    raise InvalidMask(
        f"{file} does not say which of its labels is {name}, it has {listed_labels(truth.labels)}; give a .seg.nrrd, "
        "as 3D Slicer saves it, whose segments have names."
    )


def _turned_like(labels: LabelVolume, world: Matrix) -> LabelVolume:
    """The same labels in the same places, stored along the axes of another grid as nearly as axes can be exchanged."""
    theirs, ours = (matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0) for matrix in (labels.ijk_to_ras, world))
    along = theirs.T @ ours  # cosine between axis a of theirs and axis b of ours
    order = max(itertools.permutations(range(3)), key=lambda taken: sum(abs(along[taken[b], b]) for b in range(3)))
    layers = labels.layers.transpose(0, *(3 - order[axis] for axis in (2, 1, 0)))
    matrix = labels.ijk_to_ras.copy()
    matrix[:3, :3] = labels.ijk_to_ras[:3, order]
    for axis in range(3):
        if along[order[axis], axis] < 0:
            matrix[:3, 3] += matrix[:3, axis] * (layers.shape[3 - axis] - 1)
            matrix[:3, axis] *= -1
            layers = np.flip(layers, 3 - axis)
    return dataclasses.replace(labels, layers=layers, ijk_to_ras=matrix)


def _of_size(labels: LabelVolume, image: LabelVolume) -> LabelVolume:
    """The same labels as large as an image, since Slicer may save only the box that they fill.

    Those that stick out of the image, or have its size already, stay as they are.
    """
    if labels.shape == image.shape:
        return labels
    start = np.rint(inverse(image.ijk_to_ras) @ labels.ijk_to_ras[:, 3])[2::-1].astype(int)  # k, j, i
    low, high = np.maximum(start, 0), np.minimum(start + labels.shape, image.shape)
    whole = np.zeros((len(labels.layers), *image.shape), labels.layers.dtype)
    if (high > low).all():
        there, here = (
            (slice(None), *(slice(a, b) for a, b in zip(low - shift, high - shift, strict=True)))
            for shift in (0, start)
        )
        whole[there] = labels.layers[here]
    if np.count_nonzero(whole) < np.count_nonzero(labels.layers):
        return labels
    matrix = labels.ijk_to_ras.copy()
    matrix[:3, 3] -= matrix[:3, :3] @ start[::-1]
    return dataclasses.replace(labels, layers=whole, ijk_to_ras=matrix)
