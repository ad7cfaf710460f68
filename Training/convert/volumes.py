"""Cases that are NIfTI files."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from KPrismLib.errors import InvalidImage, InvalidMask
from KPrismLib.imaging.geometry import Matrix
from KPrismLib.imaging.nifti_geometry import nifti_matrix
from KPrismLib.imaging.whole_nifti import whole_nifti
from Training.convert.cases import Piece, ShapesDiffer, reading
from Training.convert.upright import Slices, upright

_UNREADABLE = (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError, KeyError)
#: Affines further apart than this (mm, mm per voxel) are worth a remark.
_GRID_TOLERANCE = 1e-2

MapLabels = Callable[[npt.NDArray[np.integer]], npt.NDArray[np.integer]]


def load_volume_pair(
    image: Path,
    mask: Path,
    *,
    slices: Slices,
    frames: Mapping[str, int] | None = None,
    map_labels: MapLabels | None = None,
) -> list[Piece]:
    """Read an image with its label map; both are turned by the header of the image.

    The masks of these sets are made on the voxels of their images, but their headers are not always copied: where they
    differ, the piece says so in ``mask_header_differs``.

    Args:
        image: 3-D, or 4-D with ``frames``.
        mask: As many dimensions as the image.
        slices: See :class:`~Training.convert.upright.Slices`.
        frames: Suffix to frame number, for 4-D files: one piece each.
        map_labels: From the numbers of the set to those of its dataset folder.

    Raises:
        UnusableFile: A file cannot be read, or the mask holds fractions.
        ShapesDiffer: The mask is of another size.
        InvalidMask: Frames that the file does not have.
    """
    with reading(image):
        pixels, affine = read_nifti(image)
    with reading(mask):
        labels, mask_affine = read_nifti(mask)
    if labels.shape != pixels.shape:
        raise ShapesDiffer(f"{_times(pixels.shape)} against {_times(labels.shape)}")
    with reading(mask):
        numbers = _whole_numbers(labels, mask.name)
    extras = {} if np.abs(mask_affine - affine).max() <= _GRID_TOLERANCE else {"mask_header_differs": True}
    pieces = []
    for suffix, frame in ({"": None} if frames is None else frames).items():
        if (frame is None) != (pixels.ndim == 3):
            raise InvalidImage(f"{image.name} has {pixels.ndim} dimensions.")
        if frame is not None and not 0 <= frame < pixels.shape[3]:
            raise InvalidMask(f"there is no frame {frame}, only {pixels.shape[3]}")
        shown, outlined = (pixels, numbers) if frame is None else (pixels[..., frame], numbers[..., frame])
        voxels, turned = upright(shown, affine, slices)
        mapped = upright(outlined, affine, slices)[0]
        mapped = mapped if map_labels is None else map_labels(mapped)
        more = extras if frame is None else extras | {"frame": frame}
        pieces.append(Piece(compact(voxels), mapped, turned, suffix, more))
    return pieces


def read_nifti(path: Path) -> tuple[npt.NDArray[Any], Matrix]:
    """Voxels ``(i, j, k[, t])`` and the matrix to RAS mm; a trailing fourth axis of one frame is dropped.

    Raises:
        InvalidImage: The file cannot be read to its end, or its voxels are not those of its checksum.
    """
    try:
        with whole_nifti(path) as image:
            scaled = image.dataobj.slope != 1 or image.dataobj.inter != 0
            array = np.asarray(image.dataobj, dtype=np.float32 if scaled else None)
            affine = nifti_matrix(image.header)
    except _UNREADABLE as error:
        raise InvalidImage(f"{path.name} cannot be read as NIfTI: it is damaged or cut off.") from error
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = array[..., np.newaxis]
    return array, affine


def compact(voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same values in at most four bytes each, in two where they are whole numbers that fit."""
    if not np.isfinite(voxels).all():
        raise InvalidImage("The image holds NaN or infinite values.")
    low, high = float(voxels.min()), float(voxels.max())
    if low >= -(2**15) and high < 2**15 and voxels.dtype.itemsize > 1:
        short = voxels.astype(np.int16)
        if np.array_equal(short, voxels):
            return short
    return voxels.astype(np.float32) if voxels.dtype.itemsize > 4 else voxels


def _whole_numbers(labels: npt.NDArray[Any], name: str) -> npt.NDArray[np.integer]:
    if labels.dtype.kind in "ui":
        return labels
    whole = labels.astype(np.int32)
    if not np.array_equal(whole, labels):
        raise InvalidMask(f"{name} holds fractions.")
    return whole


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(extent) for extent in shape)
