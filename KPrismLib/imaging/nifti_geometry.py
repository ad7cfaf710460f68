"""Where the header of a NIfTI file says its voxels are, read as ITK and so 3D Slicer read it.

A header has room for two answers, the qform (rotation and offset, with the spacing of ``pixdim``) and the sform (any
matrix), each with a code that says what it is worth. Files disagree with themselves, such as those of ACDC, whose sform
lacks the spacing; whoever takes another answer than Slicer shows a mask beside its image.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError

from KPrismLib.imaging.geometry import GRID_TOLERANCE, Matrix, grid_spacing_ijk, is_sheared

_UNKNOWN, _SCANNER = 0, 1  # codes of the format: no such answer, coordinates of the scanner
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
_GEOMETRY = (
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z"),
)


def nifti_matrix(header: nibabel.Nifti1Header) -> Matrix:
    """The 4x4 matrix ``(i, j, k, 1)`` to RAS mm that a header means.

    The sform counts where it is of the scanner, the only answer, or the same as the qform; otherwise the qform does.
    The spacing is that of ``pixdim`` in any case. Without either, voxels run left, posterior and superior from the
    origin. A sheared sform is taken as it is where ITK refuses it or falls back to the qform, which cannot hold it.

    Raises:
        HeaderDataError, ValueError: no such geometry can be.
    """
    matrix = _answer(header)
    matrix[:3] *= _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
    return matrix


def with_zero_spacing(header: nibabel.Nifti1Header, path: Path) -> nibabel.Nifti1Header:
    """The header as the file has it where ``pixdim`` is zero, which nibabel reads as 1 mm that nobody measured.

    Axes of one voxel keep the 1, for flat images often leave out the spacing of an axis that they do not have.

    Args:
        header: as nibabel has read it.
        path: the file, ``.nii`` or ``.nii.gz``.

    Raises:
        OSError, EOFError, zlib.error: the file cannot be read.
    """
    with ImageOpener(str(path)) as stream:
        stored = type(header)(stream.read(header.template_dtype.itemsize), check=False)
    counted = np.arange(1, 4) <= header["dim"][0]
    true = header.copy()
    true["pixdim"][1:4][(stored["pixdim"][1:4] == 0) & counted & (header["dim"][1:4] > 1)] = 0
    return true


def header_for(ijk_to_ras: Matrix, like: Path | None = None) -> nibabel.Nifti1Header:
    """A header that says where voxels lie.

    Args:
        ijk_to_ras: 4x4, ``(i, j, k, 1)`` to RAS mm.
        like: the file that the grid comes from. If it is NIfTI, its own answers are kept, so that every reader finds
            the two at one place, whichever answer it takes.
    """
    header = nibabel.Nifti1Header()
    # Both forms: readers differ in which they prefer. The qform cannot hold shear; ITK would fall back to it without a
    # word and show the mask elsewhere, so that it must not count then. The sform holds everything.
    header.set_qform(ijk_to_ras, code=_UNKNOWN if is_sheared(ijk_to_ras) else _SCANNER)
    header.set_sform(ijk_to_ras, code=_SCANNER)
    header.set_xyzt_units("mm")
    original = None if like is None else _header_on(like, ijk_to_ras)
    if original is not None:
        for name in _GEOMETRY:
            header[name] = original[name]
        header["pixdim"][:4] = original["pixdim"][:4]
        header.set_xyzt_units(original.get_xyzt_units()[0])
    return header


def _answer(header: nibabel.Nifti1Header) -> Matrix:
    qform_code, sform_code = int(header["qform_code"]), int(header["sform_code"])
    sform = np.array(header.get_sform(), dtype=np.float64)
    lengths = grid_spacing_ijk(sform)
    spacing = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    if qform_code <= _UNKNOWN and sform_code <= _UNKNOWN:
        return np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    if sform_code > _UNKNOWN and lengths.all():
        if not is_sheared(sform) and not np.allclose(lengths, spacing, rtol=GRID_TOLERANCE, atol=0):
            sform[:3, :3] *= spacing / lengths
        if qform_code <= _UNKNOWN or sform_code == _SCANNER:
            return sform
        if np.allclose(sform, _qform(header, spacing), rtol=0, atol=GRID_TOLERANCE):
            return sform
    return sform if qform_code <= _UNKNOWN else _qform(header, spacing)


def _qform(header: nibabel.Nifti1Header, spacing: Matrix) -> Matrix:
    handedness = -1.0 if header["pixdim"][0] < 0 else 1.0
    matrix = np.eye(4)
    rotation = nibabel.quaternions.quat2mat(header.get_qform_quaternion())
    matrix[:3, :3] = rotation * spacing * (1.0, 1.0, handedness)
    matrix[:3, 3] = [header[f"qoffset_{axis}"] for axis in "xyz"]
    return matrix


def _header_on(path: Path, ijk_to_ras: Matrix) -> nibabel.Nifti1Header | None:
    """The header of a file, if that is NIfTI and still lies on this grid."""
    try:
        image = nibabel.load(path)
        if isinstance(image, nibabel.Nifti1Pair) and np.allclose(nifti_matrix(image.header), ijk_to_ras, 0, 1e-9):
            return image.header
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error):
        pass  # of another format, or changed since it was read: the grid is at hand all the same
    return None
