"""Examples on the command line: an image, its mask, and which label and slice of them to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from KPrismLib.command.best_references import BestReferences, Example
from KPrismLib.command.console import say
from KPrismLib.command.slices import choose_plane
from KPrismLib.encoded_image import ReferenceSet
from KPrismLib.errors import InvalidConfig, InvalidReference
from KPrismLib.image_checks import Pixels, check_reference, checked_pixels, is_blank, size_text
from KPrismLib.imaging.file_identity import same_file
from KPrismLib.imaging.geometry import same_grid
from KPrismLib.imaging.kinds import kind_of
from KPrismLib.imaging.labels import LabelVolume, binary_mask, listed_labels, read_label_volume
from KPrismLib.imaging.planes import Plane, pixel_spacing, placement
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.volume import Volume
from KPrismLib.intensity import IntensityWindow, window_for
from KPrismLib.network import EncodedReference
from KPrismLib.predictor import Predictor

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class ReferenceFile:
    """One ``--reference``.

    Attributes:
        image: the file of the image, ``mask`` that of the mask.
        label: a label of the mask, by name or number; None for everything in it.
        slice: None for the slice in which the structure is largest.
        label_option: the option that chooses the label.
    """

    image: Path
    mask: Path
    label: str | None = None
    slice: int | None = None
    label_option: str = "--reference-label"

    @classmethod
    def listed(
        cls, images: Sequence[Path], masks: Sequence[Path], labels: Sequence[str], slices: Sequence[int]
    ) -> tuple[ReferenceFile, ...]:
        """From the options; labels and slices are given once for all references, or once for each.

        Raises:
            InvalidConfig: another number of labels or slices.
        """
        count = len(images)
        per_label = _one_each(labels, count, "--reference-label")
        per_slice = _one_each(slices, count, "--reference-slice")
        return tuple(cls(*parts) for parts in zip(images, masks, per_label, per_slice, strict=True))


@dataclass(frozen=True, eq=False)
class ReferenceSlice:
    """One slice that shows the structure.

    Attributes:
        index: in the volume, in the plane that was asked for.
        pixels: (rows, columns[, 3]), and ``mask`` bool (rows, columns).
        spacing: (row, column), as :meth:`~KPrismLib.predictor.Predictor.encode` takes it.
    """

    index: int
    pixels: Pixels
    mask: npt.NDArray[np.bool_]
    spacing: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class ReferenceVolume:
    """What one reference shows.

    Attributes:
        file: where it came from.
        slices: those that are to serve as examples.
        window: of the whole volume.
        name: of the structure, where the mask has one.
        kind: of image, as :func:`~KPrismLib.imaging.kinds.kind_of` gives it.
        plane: of the slices; None for a picture, of which nobody knows it.
    """

    file: ReferenceFile
    slices: Sequence[ReferenceSlice]
    window: IntensityWindow
    name: str | None
    kind: str | None
    plane: Plane | None


@dataclass(frozen=True, eq=False)
class References:
    """The examples, encoded.

    Attributes:
        support: what every slice is segmented by; None where each slice has its own.
        best: what chooses them for each slice; None where all have the same.
        name: of the structure, where the first mask has one.
        kinds: what kinds of image there are, as :func:`~KPrismLib.imaging.kinds.kind_of` gives them.
        planes: of the slices, as far as they are known.
    """

    support: ReferenceSet | None
    best: BestReferences | None
    name: str | None
    kinds: frozenset[str | None]
    planes: frozenset[Plane]


def encode_references(
    predictor: Predictor,
    files: Sequence[ReferenceFile],
    *,
    plane: str | None,
    image_plane: Plane = Plane.AXIAL,
    window: str,
    best: int | None = None,
    quiet: bool = False,
) -> References:
    """Read the files and encode a slice of each, or, for the ``best`` of them, every slice with the structure.

    ``plane`` and ``image_plane`` are as for :func:`read_references`.

    Raises:
        InvalidImage: and the other errors of :func:`read_references`.
    """
    parts: list[EncodedReference] = []
    names: list[str | None] = []
    kinds: set[str | None] = set()
    planes: set[Plane | None] = set()
    library = None if best is None else BestReferences(predictor, best)
    for read in read_references(
        files, plane=plane, image_plane=image_plane, window=window, every_slice=best is not None, quiet=quiet
    ):
        for one in read.slices:
            (part,) = predictor.reference([(one.pixels, one.mask)], window=read.window, spacing=one.spacing).parts
            if library is None:
                parts.append(part)
            else:
                file = read.file
                example = Example(file.image, file.mask, file.label, one.index)
                library.add(example, part, kind=read.kind, name=read.name)
        names.append(read.name)
        kinds.add(read.kind)
        planes.add(read.plane)
    support = predictor.combine(parts) if library is None else None
    known_planes = frozenset(view for view in planes if view is not None)
    return References(support, library, names[0], frozenset(kinds), known_planes)


def read_references(
    files: Sequence[ReferenceFile],
    *,
    plane: str | None,
    image_plane: Plane = Plane.AXIAL,
    window: str,
    every_slice: bool,
    quiet: bool = False,
) -> Iterator[ReferenceVolume]:
    """Read the files, one reference after the other, and choose the slices that serve as examples.

    Args:
        files: images and masks.
        plane: of the slices, or None for that of the image.
        image_plane: in which the image is segmented; references of one slice keep their own.
        window: rule of the intensity windows.
        every_slice: all slices with the structure, but for padding; else the one that the file or its area says.
        quiet: do not say again what was said when they were read before.

    Raises:
        InvalidImage, InvalidMask: a file that cannot be read or used.
        InvalidReference, GeometryMismatch: image and mask do not belong together, or none shows the structure.
        InvalidConfig: no such plane or window.
    """
    seen = 0
    for file in files:
        volume = read_volume(file.image)
        mask, name = read_drawing(volume, file, quiet=quiet)
        view = choose_plane(volume, plane, otherwise=image_plane)
        areas = _areas(mask, placement(volume, view, 0).normal_axis)
        chosen = window_for(volume.array, rule=window, modality=volume.modality)
        largest = int(np.argmax(areas)) if file.slice is None else file.slice
        slices = []
        for index in np.flatnonzero(areas).tolist() if every_slice else [largest]:
            place = placement(volume, view, index)
            pixels, inside = place.extract(volume.array), place.extract(mask)
            if every_slice and is_blank(pixels):
                continue
            check_reference(checked_pixels(pixels), inside)
            slices.append(ReferenceSlice(index, pixels, inside, pixel_spacing(volume, place)))
        seen += len(slices)
        kind = kind_of(volume.modality, chosen, colour=volume.is_colour)
        yield ReferenceVolume(file, slices, chosen, name, kind, None if volume.is_picture else view)
    if files and not seen:
        raise InvalidReference("No slice of the references shows the structure; give masks that are not empty.")


def read_drawing(
    volume: Volume, file: ReferenceFile, *, quiet: bool = False
) -> tuple[npt.NDArray[np.bool_], str | None]:
    """Where the structure is, bool ``(slices, rows, columns)`` on the grid of ``volume``, and its name if it has one.

    That all labels together are taken is said, unless ``quiet``.

    Raises:
        InvalidImage, InvalidMask: the mask cannot be read, or has no such label.
        InvalidReference, GeometryMismatch: it does not belong to the image.
    """
    if same_file(file.image, file.mask):
        raise InvalidReference(
            f"{file.mask.name} is given both as image and as mask; give the mask drawn on the image."
        )
    labels = read_label_volume(file.mask, image=volume)
    _check_pair(volume, labels, file)
    if file.label is None and len(labels.labels) > 1 and not quiet:
        listed = listed_labels(labels.labels)
        say(f"{file.mask.name} has the labels {listed}; all together are taken (choose one: {file.label_option}).")
    return binary_mask(labels, file.label), _name_of(labels, file.label)


def _check_pair(volume: Volume, labels: LabelVolume, file: ReferenceFile) -> None:
    """The same grid; where one of the two has no geometry, the same size."""
    if not (volume.is_picture or labels.is_picture):
        same_grid(volume, labels)
    elif volume.shape != labels.shape:
        raise InvalidReference(
            f"{file.image.name} and its mask {file.mask.name} differ in size (slices x rows x columns): "
            f"{size_text(volume.shape)} and {size_text(labels.shape)}; give the mask that was drawn on this image."
        )


def _areas(mask: npt.NDArray[np.bool_], normal_axis: int) -> npt.NDArray[np.int_]:
    """Voxels of each slice."""
    return np.asarray(mask.sum(axis=tuple(axis for axis in range(3) if axis != normal_axis)))


def _name_of(labels: LabelVolume, label: str | None) -> str | None:
    """The name of the one label that is meant; "label 3" is no name."""
    names = dict(labels.labels)
    if label is not None:
        names = {n: name for n, name in names.items() if label.strip().casefold() in (str(n), name.casefold())}
    if len(names) != 1:
        return None
    number, name = next(iter(names.items()))
    return None if name == f"label {number}" else name


def _one_each(values: Sequence[_Value], count: int, option: str) -> list[Any]:
    if len(values) <= 1:
        if values and not count:
            raise InvalidConfig(f"{option} says something about references, but there is no --reference.")
        return [values[0] if values else None] * count
    if len(values) != count:
        raise InvalidConfig(f"Give {option} once for all references, or once for each of the {count}.")
    return list(values)
