"""Masks: label maps in which every number names a structure, and binary masks taken out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import GeometryMismatch, InvalidImage, InvalidMask
from KPrismLib.image_checks import size_text
from KPrismLib.imaging import itk_volumes, pictures
from KPrismLib.imaging.dicom_headers import is_segmentation
from KPrismLib.imaging.dicom_seg_reading import read_dicom_seg
from KPrismLib.imaging.geometry import Matrix
from KPrismLib.imaging.planes import SlicePlacement, only_slice
from KPrismLib.imaging.reading import existing, read_volume
from KPrismLib.imaging.segment_fields import read_segment_fields
from KPrismLib.imaging.volume import Volume, picture_matrix
from KPrismLib.imaging.voxel_values import labels_in

_LARGEST_LABEL = 65535
#: Sentences name at most so many labels.
_LISTED = 20


@dataclass(frozen=True, eq=False)
class LabelVolume:
    """A label map on a voxel grid.

    Attributes:
        layers: ``(layers, slices k, rows j, columns i)`` uint8 or uint16. One layer, except for segmentations whose
            segments overlap.
        labels: label number to name; names are "label 1" and so on where the file has none.
        places: label number to ``(layer, value in that layer)``.
        ijk_to_ras: 4x4 float64; ``(i, j, k, 1)`` to RAS mm.
        is_picture: True for a picture without physical geometry.
        source: the file it came from, if any.
    """

    layers: npt.NDArray[Any]
    labels: Mapping[int, str]
    places: Mapping[int, tuple[int, int]]
    ijk_to_ras: Matrix
    is_picture: bool = False
    source: Path | None = None

    @classmethod
    def from_array(
        cls,
        array: npt.NDArray[Any],
        ijk_to_ras: Matrix,
        *,
        names: Mapping[int, str] | None = None,
        is_picture: bool = False,
        source: Path | None = None,
    ) -> LabelVolume:
        """One layer from an array ``(k, j, i)`` of whole numbers, of any dtype.

        Raises:
            InvalidMask: fractions, negative numbers or labels above 65535.
        """
        numbers = _whole_numbers(array, source.name if source is not None else "the mask")
        found = labels_in(numbers)
        if is_picture and found == [255]:
            numbers, found = (numbers != 0).astype(np.uint8), [1]  # black and white: one label, not the 255th
        every = sorted({*found, *(names or {})})
        return cls(
            layers=numbers[np.newaxis],
            labels={label: (names or {}).get(label, f"label {label}") for label in every},
            places={label: (0, label) for label in every},
            ijk_to_ras=np.array(ijk_to_ras, dtype=np.float64),
            is_picture=is_picture,
            source=source,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(slices, rows, columns)``."""
        _, slices, rows, columns = self.layers.shape
        return slices, rows, columns

    @property
    def array(self) -> npt.NDArray[Any]:
        """The label map ``(k, j, i)``; where segments overlap, the one with the higher label number is seen."""
        if all(place == (0, label) for label, place in self.places.items()):
            return np.asarray(self.layers[0])
        flat = np.zeros(self.shape, dtype=np.uint16 if max(self.labels, default=0) > 255 else np.uint8)
        for label in sorted(self.labels):
            layer, value = self.places[label]
            flat[self.layers[layer] == value] = label
        return flat


def read_label_volume(path: str | Path, *, image: Volume | None = None) -> LabelVolume:
    """Read a mask: any image format of whole numbers, or a ``.seg.nrrd`` with names and overlapping segments.

    Args:
        path: the mask.
        image: what it was drawn on, to whose grid a DICOM segmentation comes, and a picture that was drawn on the one
            slice of a volume, as it is displayed; other formats bring their own.

    Raises:
        InvalidImage: the file cannot be read.
        InvalidMask: it can, but is no label map.
        GeometryMismatch: a DICOM segmentation of another grid than that of ``image``, or a picture of another size
            than its slice.
    """
    source = existing(path)
    if image is not None and is_segmentation(source):
        found = read_dicom_seg(source, image)
        layers = _whole_numbers(np.stack(found.layers), source.name)
        return LabelVolume(layers, found.labels, found.places, image.ijk_to_ras, image.is_picture, source)
    labels = _read(source)
    slice_ = only_slice(image) if image is not None and labels.is_picture and not image.is_picture else None
    return labels if image is None or slice_ is None else _pasted(labels, source, slice_, image)


def _read(source: Path) -> LabelVolume:
    """A mask on the grid that its own file gives it."""
    name = source.name.lower()
    if name.endswith(".nrrd"):
        return _read_nrrd(source)
    if name.endswith(pictures.SUFFIXES):
        return _read_picture(source)
    volume = read_volume(source)
    if volume.is_colour:
        raise InvalidMask(f"{source.name} is a colour image; a mask must be a label map with one number per voxel.")
    return LabelVolume.from_array(volume.array, volume.ijk_to_ras, is_picture=volume.is_picture, source=source)


def _pasted(labels: LabelVolume, source: Path, slice_: SlicePlacement, image: Volume) -> LabelVolume:
    """A picture that was drawn on the displayed slice, where that slice lies in its volume."""
    if labels.shape != (1, *slice_.shape):
        raise GeometryMismatch(
            f"{source.name} is a picture of {size_text(labels.shape[1:])} pixels, but the slice of the image, as it is "
            f"displayed, has {size_text(slice_.shape)}; give the mask that was drawn on this slice."
        )
    layers = np.zeros((len(labels.layers), *image.shape), labels.layers.dtype)
    for layer, pixels in zip(layers, labels.layers, strict=True):
        slice_.paste(pixels[0], into=layer)
    return replace(labels, layers=layers, ijk_to_ras=image.ijk_to_ras, is_picture=False)


def binary_mask(volume: LabelVolume, label: int | str | None = None) -> npt.NDArray[np.bool_]:
    """Where a label is, as bool ``(k, j, i)``.

    Args:
        volume: the label map.
        label: a number, a name (capital letters do not matter), or None for everything that is not background.

    Raises:
        InvalidMask: there is no such label, or it has no voxel.
    """
    name = volume.source.name if volume.source is not None else "the mask"
    if label is None:
        mask: npt.NDArray[np.bool_] = (volume.layers != 0).any(axis=0)
        if not mask.any():
            raise InvalidMask(f"{name} is empty: every voxel is background; draw the structure first.")
        return mask
    layer, value = volume.places[_number_of(volume, label, name)]
    mask = volume.layers[layer] == value
    if not mask.any():
        raise InvalidMask(f"{name} has no voxel of {label!r}; it has {listed_labels(volume.labels)}.")
    return mask


def _number_of(volume: LabelVolume, label: int | str, name: str) -> int:
    if isinstance(label, str):
        wanted = label.strip().casefold()
        named = [number for number, text in volume.labels.items() if text.casefold() == wanted]
        if len(named) > 1:
            raise InvalidMask(
                f"{name} has {len(named)} labels called {label!r}; choose by number: {listed_labels(volume.labels)}."
            )
        if named:
            return named[0]
    if (not isinstance(label, str) or label.strip().isdecimal()) and int(label) in volume.labels:
        return int(label)
    raise InvalidMask(f"{name} has no label {label!r}; it has {listed_labels(volume.labels)}.")


def listed_labels(labels: Mapping[int, str]) -> str:
    """Labels with their names, for a sentence; the first of them where there are very many."""
    texts = [f"{number} ({text})" for number, text in sorted(labels.items())]
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more or "no labels at all"


def _read_picture(source: Path) -> LabelVolume:
    numbers = pictures.read_picture_mask(source)
    if numbers.ndim == 4:
        if not (numbers[..., :1] == numbers).all():
            raise InvalidMask(
                f"{source.name} is a colour picture; save the mask as a grey PNG, one number per structure."
            )
        numbers = numbers[..., 0]
    if source.suffix.lower() in (".jpg", ".jpeg") and len(labels_in(numbers)) > 1:
        raise InvalidMask(
            f"{source.name} is a JPEG, whose compression invents grey values between the labels; save the mask as PNG."
        )
    return LabelVolume.from_array(numbers, picture_matrix(), is_picture=True, source=source)


def _read_nrrd(source: Path) -> LabelVolume:
    image = itk_volumes.read_itk_image(source)
    try:
        fields = read_segment_fields({key: image.GetMetaData(key) for key in image.GetMetaDataKeys()})
    except (ValueError, TypeError) as error:  # TypeError: a field that is no text
        raise InvalidMask(f"The header of {source.name} is damaged ({error}); save it again from 3D Slicer.") from error
    if not fields:
        array = itk_volumes.image_array(image, source.name)
        if array.ndim == 4:
            raise InvalidMask(f"{source.name} is a colour image; a mask must be a label map with one number per voxel.")
        return LabelVolume.from_array(array, itk_volumes.image_matrix(image), source=source)
    if image.GetDimension() != 3:
        raise InvalidImage(f"{source.name} is a segmentation with {image.GetDimension()} dimensions; save it as 3-D.")
    stored = itk_volumes.layered_array(image)
    layers = _whole_numbers(stored, source.name)
    # Segments of different layers may have the same value (Slicer writes 1 for each); then they are counted from 1.
    values = [field.label for field in fields]
    numbers = values if len(set(values)) == len(values) and 0 not in values else list(range(1, len(fields) + 1))
    if not all(0 <= field.layer < len(layers) for field in fields):
        raise InvalidMask(f"{source.name} names a layer that it does not have; save it again from 3D Slicer.")
    return LabelVolume(
        layers=layers,
        labels={number: field.name for number, field in zip(numbers, fields, strict=True)},
        places={number: (field.layer, field.label) for number, field in zip(numbers, fields, strict=True)},
        ijk_to_ras=itk_volumes.image_matrix(image),
        source=source,
    )


def _whole_numbers(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The same labels as uint8 or uint16."""
    if array.dtype.kind not in "buif":
        raise InvalidMask(f"{name} holds {array.dtype} values; a mask must hold whole numbers.")
    if array.size == 0:
        raise InvalidMask(f"{name} is empty: its shape is {array.shape}.")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.rint(array)).all()):
        raise InvalidMask(f"{name} holds fractions or NaN, as a probability map does; threshold it to whole numbers.")
    low, high = array.min(), array.max()
    if low < 0 or high > _LARGEST_LABEL:
        raise InvalidMask(f"{name} holds values from {low} to {high}; labels must lie between 0 and {_LARGEST_LABEL}.")
    return array.astype(np.uint8 if high <= 255 else np.uint16, copy=False)
