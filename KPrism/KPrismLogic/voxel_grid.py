"""The voxels of a volume node cut loose from it, so that any thread may slice them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.voxel_values import COLOUR_TYPES
from KPrismLogic.matrices import Matrix, Vector, world_from_volume

if TYPE_CHECKING:
    import slicer
    import vtk


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """Voxels and where they lie; the memory is the node's own and stays as long as this does.

    Attributes:
        voxels: ``(k, j, i)`` or ``(k, j, i, 3)``, a view.
        scalars: the same as VTK holds them; None of a grid without voxels.
        world: 4x4, from ``(i, j, k)`` to RAS mm.
        name: of the volume, for messages.
    """

    voxels: npt.NDArray[Any]
    scalars: vtk.vtkDataArray | None
    world: Matrix
    name: str

    @classmethod
    def of(cls, volume: slicer.vtkMRMLVolumeNode) -> VoxelGrid:
        """The voxels of a volume node.

        Raises:
            InvalidImage: no voxels, or neither grey nor colour.
            GeometryMismatch: a non-linear parent transform.
        """
        from vtk.util.numpy_support import vtk_to_numpy

        image = volume.GetImageData()
        scalars = image.GetPointData().GetScalars() if image is not None else None
        if scalars is None or scalars.GetNumberOfTuples() == 0:
            raise InvalidImage(f"{volume.GetName()} holds no voxels.")
        columns, rows, slices = image.GetDimensions()
        components = scalars.GetNumberOfComponents()
        voxels = vtk_to_numpy(scalars).reshape((slices, rows, columns, components))
        if components != 1 and not (components in (3, 4) and _holds_colours(volume, voxels.dtype)):
            raise InvalidImage(
                f"{volume.GetName()} has {components} values per voxel, which are no colours; extract one time point "
                "or channel first."
            )
        voxels = voxels[..., 0] if components == 1 else voxels[..., :3]
        return cls(voxels, scalars, world_from_volume(volume), volume.GetName())

    def emptied(self) -> VoxelGrid:
        """The same grid without the voxels: it knows where they lie, holds no memory, and shows 0 everywhere."""
        nothing = np.broadcast_to(np.zeros((), self.voxels.dtype), self.voxels.shape)
        return VoxelGrid(nothing, None, self.world, self.name)

    @property
    def size(self) -> npt.NDArray[np.intp]:
        """How many voxels there are along i, j, k."""
        return np.array(self.voxels.shape[2::-1])

    @property
    def middle(self) -> Vector:
        """The middle voxel, RAS mm; of an even number of slices one must be chosen."""
        place: Vector = self.world[:3, :3] @ (self.size // 2) + self.world[:3, 3]
        return place

    def step_along(self, normal: Vector) -> float:
        """Millimetres from one slice to the next across a normal."""
        return float(np.abs(normal @ self.world[:3, :3]).max())

    def image(self) -> vtk.vtkImageData | None:
        """The voxels as an image of unit spacing to interpolate, new and nobody else's; 64-bit integers as doubles.

        None of a grid without voxels.
        """
        import vtk

        if self._interpolable is None:
            return None

        image = vtk.vtkImageData()
        image.SetDimensions(*(int(count) for count in self.size))
        image.GetPointData().SetScalars(self._interpolable)
        return image

    @cached_property
    def _interpolable(self) -> vtk.vtkDataArray | None:
        """The scalars as floating-point numbers where they have 64 bits, which no filter of VTK interpolates."""
        import vtk
        from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

        if self.scalars is None or self.scalars.GetDataTypeSize() < 8 or self.scalars.GetDataType() == vtk.VTK_DOUBLE:
            return self.scalars
        return numpy_to_vtk(vtk_to_numpy(self.scalars).astype(np.float64), deep=True)


def _holds_colours(volume: slicer.vtkMRMLVolumeNode, dtype: np.dtype[Any]) -> bool:
    """Whether several values of a voxel are its colours; Slicer knows it of few volumes, for others their type says."""
    if volume.GetVoxelVectorType() in (volume.VoxelVectorTypeColorRGB, volume.VoxelVectorTypeColorRGBA):
        return True
    return dtype in COLOUR_TYPES and not volume.IsA("vtkMRMLDiffusionWeightedVolumeNode")
