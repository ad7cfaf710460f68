"""Volumes in the formats that ITK reads: NRRD and MetaImage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.checksums import check_voxels
from KPrismLib.imaging.geometry import Matrix, lps_to_ras
from KPrismLib.imaging.itk_headers import check_itk_header
from KPrismLib.imaging.itk_paths import itk_paths
from KPrismLib.imaging.voxel_values import COLOUR_TYPES

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")

#: What NRRD calls the axis along which the colours of a voxel lie; ITK, where nobody told it of colours, a vector.
_COLOUR_KINDS, _VECTOR = ("RGB-color", "3-color", "RGBA-color", "4-color"), "vector"


def read_itk_image(path: Path) -> sitk.Image:
    """The file as ITK sees it: voxels, geometry in LPS and the text fields of the header.

    Raises:
        InvalidImage: it is damaged, its voxels are missing, or they are not those of its checksum.
    """
    check_itk_header(path)
    try:
        with itk_paths([path]) as (name,):
            image = sitk.ReadImage(name)
        check_voxels(path, sitk.GetArrayViewFromImage(image))
    except (RuntimeError, OSError) as error:
        raise InvalidImage(
            f"{path.name} cannot be read: it is damaged, cut off, or not the kind of file that its name says."
        ) from error
    return image


def image_array(image: sitk.Image, name: str, *, colour: bool | None = None) -> npt.NDArray[Any]:
    """Voxels as ``(k, j, i)`` or ``(k, j, i, 3)``; a 2-D image becomes one slice, an alpha channel is dropped.

    Args:
        image: as ITK read it.
        name: of the file, for the sentence.
        colour: whether several values of a voxel are its colours; None where only the NRRD or MetaImage can say it.

    Raises:
        InvalidImage: more dimensions, or values that are no colours: time points, channels, a displacement.
    """
    components, dimension = image.GetNumberOfComponentsPerPixel(), image.GetDimension()
    array = sitk.GetArrayViewFromImage(image)
    is_colour = components in (3, 4) and (_holds_colours(image, array.dtype) if colour is None else colour)
    if dimension not in (2, 3) or not (components == 1 or is_colour):
        no_colours = "" if components == 1 or is_colour else ", which are no colours"
        raise InvalidImage(
            f"{name} has {dimension} dimensions and {components} values per voxel{no_colours}; K-Prism takes one 3-D "
            "volume, grey or RGB, so extract one time point or channel first."
        )
    array = (array[..., :3] if components == 4 else array).copy()  # the view ends with the image
    return array[np.newaxis] if dimension == 2 else array


def _holds_colours(image: sitk.Image, dtype: np.dtype[Any]) -> bool:
    """Whether several values of a voxel are its colours, by what the header calls them, else by their type."""
    kind = _field(image, "NRRD_kinds[pixel]")
    if kind in _COLOUR_KINDS:
        return True
    # 3D Slicer writes the time points of a sequence as a "list"; diffusion images were once vectors.
    return kind in (None, _VECTOR) and dtype in COLOUR_TYPES and _field(image, "modality") != "DWMRI"


def _field(image: sitk.Image, key: str) -> str | None:
    return image.GetMetaData(key) if image.HasMetaDataKey(key) else None


def image_matrix(image: sitk.Image) -> Matrix:
    """4x4 voxel (i, j, k) to RAS mm; a 2-D image lies in the axial plane at z = 0."""
    if image.GetDimension() == 3:
        return lps_to_ras(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    direction = np.eye(3)
    direction[:2, :2] = np.reshape(image.GetDirection(), (2, 2))
    return lps_to_ras((*image.GetSpacing(), 1.0), (*image.GetOrigin(), 0.0), direction.ravel().tolist())


def layered_array(image: sitk.Image) -> npt.NDArray[Any]:
    """Voxels as ``(layers, k, j, i)``, from a 3-D image with any number of values per voxel."""
    array = sitk.GetArrayFromImage(image)
    return np.ascontiguousarray(np.moveaxis(array, -1, 0)) if array.ndim == 4 else array[np.newaxis]
