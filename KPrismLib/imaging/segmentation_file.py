"""Segmentations on disk, with names, colours and terminology where the format has room for them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from PIL import Image

from KPrismLib.errors import CannotWrite, GeometryMismatch, InvalidMask
from KPrismLib.imaging import dicom_seg
from KPrismLib.imaging.ascii_folder import ascii_temporary_folder
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.geometry import ras_to_lps
from KPrismLib.imaging.nifti import nifti_bytes
from KPrismLib.imaging.planes import only_slice
from KPrismLib.imaging.segment_fields import SegmentField, segment_header
from KPrismLib.imaging.volume import Volume
from KPrismLib.imaging.voxel_values import labels_in
from KPrismLib.terminology import term_for


@dataclass(frozen=True)
class Segment:
    """One structure in a label map.

    Attributes:
        name: what the user sees.
        label: its number in the label map, 1 to 65535.
        colour: red, green, blue in 0..1.
        terminology: a serialised Slicer terminology entry, or None.
    """

    name: str
    label: int
    colour: tuple[float, float, float]
    terminology: str | None = None

    @classmethod
    def of_class(cls, class_name: str, label: int) -> Segment:
        """The segment of a class, with the colour and the terminology that 3D Slicer gives it."""
        term = term_for(class_name)
        return cls(term.name, label, term.colour, term.entry)


_Writer = Callable[[npt.NDArray[Any], Sequence[Segment], Volume, str], bytes]


def write_segmentation(
    path: str | Path, labelmap: npt.NDArray[Any], segments: Sequence[Segment], volume: Volume
) -> Path:
    """Write a label map in the format that the name of the file asks for.

    Args:
        path, labelmap, segments, volume: as for :func:`segmentation_bytes`.

    Raises:
        CannotWrite, GeometryMismatch, InvalidMask: see there; also without permission, or on a full disk.
    """
    return write_atomically(path, segmentation_bytes(path, labelmap, segments, volume))


def segmentation_bytes(
    path: str | Path, labelmap: npt.NDArray[Any], segments: Sequence[Segment], volume: Volume
) -> bytes:
    """A label map as a file of the format that the name asks for.

    Args:
        path: ``.seg.nrrd`` keeps names, colours and terminology; ``.nii``, ``.nii.gz``, ``.nrrd`` and ``.mha`` keep
            the numbers and the geometry; ``.dcm`` is a DICOM segmentation of the series that ``volume`` came from;
            ``.png`` keeps the numbers of one slice as it is displayed (0 and 255 for one segment).
        labelmap: ``(slices, rows, columns)`` bool, uint8 or uint16; 0 is background.
        segments: what the numbers mean; each number in ``labelmap`` has its segment.
        volume: the image that was segmented, for its geometry.

    Raises:
        CannotWrite: unknown format, more slices than the format holds; no place for what ITK writes.
        GeometryMismatch: ``labelmap`` has another shape than ``volume``.
        InvalidMask: ``labelmap`` is no label map, or has numbers without a segment.
    """
    target = Path(path)
    name = target.name.lower()
    writer = next((write for suffix, write in _WRITERS.items() if name.endswith(suffix)), None)
    if writer is None:
        raise CannotWrite(f"Cannot write {target.name}: give the file one of the endings {', '.join(_WRITERS)}.")
    labelmap = _checked(labelmap, segments, volume)
    try:
        return writer(labelmap, segments, volume, target.name)
    except RuntimeError as error:  # ITK, for want of room in the temporary folder
        raise CannotWrite(f"Cannot write {target.name}: {str(error).splitlines()[-1]}") from error


def _checked(labelmap: npt.NDArray[Any], segments: Sequence[Segment], volume: Volume) -> npt.NDArray[Any]:
    if labelmap.dtype not in (np.bool_, np.uint8, np.uint16):
        raise InvalidMask(f"A label map must be bool, uint8 or uint16, not {labelmap.dtype}; convert it first.")
    labelmap = labelmap.view(np.uint8) if labelmap.dtype == np.bool_ else labelmap
    if labelmap.shape != volume.shape:
        raise GeometryMismatch(f"The label map has shape {labelmap.shape} but the image {volume.shape}.")
    labels = [segment.label for segment in segments]
    if len(set(labels)) < len(labels) or not all(1 <= label <= 65535 for label in labels):
        raise InvalidMask(f"Segments need different labels between 1 and 65535, not {labels}.")
    nameless = sorted(set(labels_in(labelmap)) - set(labels))
    if nameless:
        raise InvalidMask(f"The label map holds {nameless}, for which there is no segment; name every number in it.")
    return labelmap


def _seg_nrrd(labelmap: npt.NDArray[Any], segments: Sequence[Segment], volume: Volume, _: str) -> bytes:
    fields = [
        # A line break would end the header line.
        SegmentField(" ".join(segment.name.split()), segment.label, segment.colour, segment.terminology)
        for segment in segments
    ]
    return _itk_bytes(labelmap, volume, ".nrrd", segment_header(fields, volume.shape, volume.ijk_to_ras))


def _nrrd(labelmap: npt.NDArray[Any], _: Sequence[Segment], volume: Volume, __: str) -> bytes:
    return _itk_bytes(labelmap, volume, ".nrrd", {})


def _mha(labelmap: npt.NDArray[Any], _: Sequence[Segment], volume: Volume, __: str) -> bytes:
    return _itk_bytes(labelmap, volume, ".mha", {})


def _nii(labelmap: npt.NDArray[Any], _: Sequence[Segment], volume: Volume, __: str) -> bytes:
    return nifti_bytes(labelmap, volume.ijk_to_ras, compress=False, like=volume.source)


def _nii_gz(labelmap: npt.NDArray[Any], _: Sequence[Segment], volume: Volume, __: str) -> bytes:
    return nifti_bytes(labelmap, volume.ijk_to_ras, compress=True, like=volume.source)


def _png(labelmap: npt.NDArray[Any], segments: Sequence[Segment], volume: Volume, _: str) -> bytes:
    place = only_slice(volume)
    if place is None:
        raise CannotWrite(f"A PNG holds one slice, this segmentation has {len(labelmap)}; write .nii.gz or .seg.nrrd.")
    pixels = place.extract(labelmap)  # a picture has no geometry to say that it is to be turned
    if len(segments) == 1:
        pixels = np.where(pixels != 0, np.uint8(255), np.uint8(0))
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG")
    return stream.getvalue()


def _itk_bytes(labelmap: npt.NDArray[Any], volume: Volume, suffix: str, header: dict[str, str]) -> bytes:
    """The file that ITK writes; its header keeps all 17 digits of the geometry."""
    image = sitk.GetImageFromArray(labelmap)
    spacing, origin, direction = ras_to_lps(volume.ijk_to_ras)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    for key, value in header.items():
        image.SetMetaData(key, value)
    with ascii_temporary_folder() as folder:
        written = folder / f"labels{suffix}"
        sitk.WriteImage(image, str(written), useCompression=True)
        return written.read_bytes()


_WRITERS: dict[str, _Writer] = {
    ".seg.nrrd": _seg_nrrd,
    ".nii.gz": _nii_gz,
    ".nii": _nii,
    ".nrrd": _nrrd,
    ".mha": _mha,
    ".png": _png,
    dicom_seg.ENDING: dicom_seg.dicom_seg_bytes,
}

#: What :func:`write_segmentation` can write; the longer ending of a pair comes first.
SEGMENTATION_ENDINGS = tuple(_WRITERS)
