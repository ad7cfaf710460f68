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

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")


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


def image_array(image: sitk.Image, name: str) -> npt.NDArray[Any]:
    """Voxels as ``(k, j, i)`` or ``(k, j, i, 3)``; a 2-D image becomes one slice, an alpha channel is dropped."""
    components, dimension = image.GetNumberOfComponentsPerPixel(), image.GetDimension()
    if components not in (1, 3, 4) or dimension not in (2, 3):
        raise InvalidImage(
            f"{name} has {dimension} dimensions and {components} values per voxel; K-Prism takes one 3-D volume, grey "
            "or RGB, so extract one time point or channel first."
        )
    array = sitk.GetArrayFromImage(image)
    if components == 4:
        array = np.ascontiguousarray(array[..., :3])
    return array[np.newaxis] if dimension == 2 else array


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
