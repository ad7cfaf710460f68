"""NIfTI volumes, read and written by nibabel."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from KPrismLib.errors import CannotWrite, InvalidImage
from KPrismLib.imaging.geometry import Matrix
from KPrismLib.imaging.nifti_geometry import header_for, nifti_matrix, with_zero_spacing
from KPrismLib.imaging.whole_nifti import whole_nifti

SUFFIXES = (".nii", ".nii.gz")

_UNREADABLE = (
    ImageFileError,
    HeaderDataError,
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
)
_LONGEST_AXIS = 32767
#: As the format has it: a code, its parameters (none) and a name.
_INTENTS: dict[str, tuple[str, tuple[()], str]] = {
    "label": ("label", (), ""),
    "probability": ("estimate", (), "probability"),
}


def read_nifti(path: Path) -> tuple[npt.NDArray[Any], Matrix]:
    """Voxels ``(k, j, i)`` or ``(k, j, i, 3)`` and the 4x4 matrix ``(i, j, k, 1)`` to RAS mm, as Slicer places them.

    The slope and intercept of the header are applied (as float32); without them the stored type is kept.

    Raises:
        InvalidImage: no NIfTI file, no single volume, cut off, or with another checksum than its voxels.
    """
    try:
        with whole_nifti(path) as loaded:
            if not isinstance(loaded, nibabel.Nifti1Pair):  # CIFTI: values on a surface, in the same file format
                raise HeaderDataError("not a volume")
            image: Any = loaded
            scaled = image.dataobj.slope != 1 or image.dataobj.inter != 0
            stored = np.asarray(image.dataobj, dtype=np.float32 if scaled else None)
            matrix = nifti_matrix(with_zero_spacing(image.header, path))
    except _UNREADABLE as error:
        raise InvalidImage(
            f"{path.name} cannot be read as NIfTI: it is damaged, cut off or not a volume; copy it again."
        ) from error
    return _slices_first(stored, path.name), matrix


def nifti_bytes(
    array: npt.NDArray[Any],
    ijk_to_ras: Matrix,
    *,
    compress: bool,
    values: Literal["label", "probability"] = "label",
    like: Path | None = None,
) -> bytes:
    """A NIfTI file; equal input gives equal bytes.

    Args:
        array: ``(k, j, i)``, or ``(n, k, j, i)``, whose n volumes become the fourth axis of the file.
        ijk_to_ras: 4x4; maps ``(i, j, k, 1)`` to RAS mm.
        compress: as a ``.nii.gz`` file has it.
        values: what they are; the header says it as its intent, so that the file is not taken for an image.
        like: the file that the grid comes from; of a NIfTI file the header's geometry is kept word for word.

    Raises:
        CannotWrite: more voxels along an axis than the format can count.
    """
    if max(array.shape) > _LONGEST_AXIS:
        raise CannotWrite(
            f"NIfTI holds at most {_LONGEST_AXIS} voxels along an axis, and this image has {max(array.shape)}; write "
            ".seg.nrrd."
        )
    # Without a matrix beside it, the header stays as it is.
    image = nibabel.Nifti1Image(np.ascontiguousarray(array).T, None, header=header_for(ijk_to_ras, like))
    image.set_data_dtype(array.dtype)
    image.header.set_intent(*_INTENTS[values])
    data: bytes = image.to_bytes()
    return gzip.compress(data, compresslevel=6, mtime=0) if compress else data


def is_result(path: Path) -> bool:
    """Whether a NIfTI file says that its values are labels or probabilities; no for what is none, or unreadable."""
    try:
        loaded = nibabel.load(path)
        intent = loaded.header.get_intent() if isinstance(loaded, nibabel.Nifti1Pair) else None
    except _UNREADABLE:
        return False
    return intent is not None and (intent[0] == "label" or intent == _INTENTS["probability"])


def _slices_first(stored: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    while stored.ndim > 3 and stored.shape[-1] == 1:
        stored = stored[..., 0]
    if stored.ndim == 2:
        stored = stored[..., np.newaxis]
    if stored.ndim != 3:
        raise InvalidImage(
            f"{name} has {stored.ndim} dimensions {stored.shape}; K-Prism takes one 3-D volume, so extract one time "
            "point or channel first."
        )
    if stored.dtype.names is not None:  # RGB or RGBA voxels
        return np.stack([stored[channel].T for channel in stored.dtype.names[:3]], axis=-1)
    return np.ascontiguousarray(stored.T)
