"""All slices of a volume that are parallel to a plane: what whole-volume work of the engine runs over."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidImage, KPrismError
from KPrismLogic.matrices import world_from_volume
from KPrismLogic.slice_image import Frame, SliceImage, corners_of, cut_grid, shows, stack_axis
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_source import modality_of
from KPrismLogic.volume_content import state_of
from KPrismLogic.voxel_grid import VoxelGrid

if TYPE_CHECKING:
    import slicer

#: Of a slice, with room for rounding.
_HALF = 0.5 + 1e-6


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Slices of one size, one slice of the volume apart, counted from 0 along the normal; any thread may read them.

    It is a ``KPrismLib.volumes.Stack``. The slices of a stack of voxels are exactly those that views and single clicks
    see; oblique ones show all of the volume's width and height, so that they have one size.

    Attributes:
        grid: the voxels.
        planes: the planes, in order.
        frame: what oblique slices show.
        state: of the volume, as of :func:`~KPrismLogic.volume_content.state_of`; None without its voxels.
        modality: DICOM modality, or None when unknown.
    """

    grid: VoxelGrid
    planes: tuple[SlicePlane, ...]
    frame: Frame
    state: Hashable
    modality: str | None = field(default=None)
    _images: dict[int, SliceImage] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def through(cls, volume: slicer.vtkMRMLVolumeNode, plane: SlicePlane) -> SliceStack:
        """The slices of a volume that are parallel to a plane; an oblique plane is one of them.

        Raises:
            InvalidImage: no voxels, or an oblique plane that misses the volume.
            GeometryMismatch: a non-linear parent transform.
        """
        grid = VoxelGrid.of(volume)
        across = stack_axis(grid, plane)
        frame = Frame.around(corners_of(grid), plane)
        if across is None:
            heights = (corners_of(grid) - plane.point) @ plane.normal
            step = grid.step_along(plane.normal)
            numbers = np.arange(np.ceil(heights.min() / step), np.floor(heights.max() / step) + 1)
            planes = [plane.moved_to(plane.point + plane.normal * step * number) for number in numbers]
            first, last = _showing(grid, planes, frame)
            if 0 not in numbers[first : last + 1]:
                raise InvalidImage(f"The slice lies outside {grid.name}; scroll to where the volume is.")
            planes = planes[first : last + 1]
        else:
            middle = grid.middle - grid.world[:3, across] * (grid.size[across] // 2)
            planes = [plane.moved_to(middle + grid.world[:3, across] * layer) for layer in range(grid.size[across])]
            if plane.normal @ grid.world[:3, across] < 0:
                planes.reverse()
        return cls(grid, tuple(planes), frame, state_of(volume), modality_of(volume))

    def __len__(self) -> int:
        return len(self.planes)

    def pixels(self, index: int) -> npt.NDArray[Any]:
        """Slice ``index``: (rows, columns) or (rows, columns, 3), in the volume's type."""
        return self.image(index).pixels

    @property
    def spacing(self) -> tuple[float, float]:
        """Millimetres along (rows, columns)."""
        return self.image(len(self) // 2).spacing

    @property
    def step(self) -> float:
        """Millimetres from one slice to the next."""
        return self.grid.step_along(self.planes[0].normal)

    def fits(self, volume: slicer.vtkMRMLVolumeNode, plane: SlicePlane) -> bool:
        """Whether this is still the stack of a volume through a plane."""
        try:
            return state_of(volume) == self.state and self.lies_in(volume, plane)
        except KPrismError:
            return False

    def lies_in(self, volume: slicer.vtkMRMLVolumeNode, plane: SlicePlane) -> bool:
        """Whether it lies in the world as a stack of a volume through a plane does, whatever voxels there are.

        Raises:
            GeometryMismatch: a non-linear parent transform.
        """
        return np.array_equal(world_from_volume(volume), self.grid.world) and self.planes[0].is_parallel(plane)

    def emptied(self) -> SliceStack:
        """The same slices without the voxels of the volume: they know where they lie, and show 0 everywhere."""
        return replace(self, grid=self.grid.emptied(), state=None)

    def filled(self, volume: slicer.vtkMRMLVolumeNode) -> SliceStack:
        """The same slices with the voxels that a volume has now, of which there are as many.

        Raises:
            InvalidImage, GeometryMismatch: as for :meth:`through`.
        """
        return replace(self, grid=VoxelGrid.of(volume), state=state_of(volume))

    def image(self, index: int) -> SliceImage:
        """Slice ``index``, and where its pixels lie."""
        image = self._images.get(index)
        if image is None:
            image = cut_grid(self.grid, self.planes[index], self.frame)
            if image.stack_index is not None:  # An oblique one has pixels of its own; all of them take too much memory.
                self._images[index] = image
        return image

    def image_in(self, plane: SlicePlane) -> SliceImage:
        """The slice of a parallel plane that may lie between two; its pixels are those of the nearest."""
        return cut_grid(self.grid, plane, self.frame)

    def offset(self, index: int) -> float:
        """Where a slice passes the middle of the volume: S, A or R coordinate in mm, as its plane was asked for."""
        return self.planes[index].offset_at(self.grid.middle)

    def index_of(self, plane: SlicePlane) -> int:
        """The slice nearest to a parallel plane.

        Raises:
            InvalidImage: the plane is not parallel, or lies outside.
        """
        if not self.planes[0].is_parallel(plane):
            raise InvalidImage("Slices can only be carried to a parallel plane.")
        index, apart = self._nearest(plane)
        if apart > _HALF:
            raise InvalidImage(f"The slice lies outside {self.grid.name}; scroll to where the volume is.")
        return index

    def holds(self, plane: SlicePlane) -> bool:
        """Whether a plane has a slice, as :meth:`index_of` finds it."""
        return self.planes[0].is_parallel(plane) and self._nearest(plane)[1] <= _HALF

    def _nearest(self, plane: SlicePlane) -> tuple[int, float]:
        """The slice nearest to a parallel plane, and how many slices they are apart."""
        normal = self.planes[0].normal
        heights = np.array([normal @ one.point for one in self.planes])
        apart = np.abs(heights - normal @ plane.point) / self.step
        # Of two equally near the upper one, as everywhere.
        index = len(apart) - 1 - int(np.argmin(apart[::-1].round(6)))
        return index, float(apart[index])

    def within(self, low: float | None, high: float | None) -> tuple[int, int]:
        """The first and the last slice between two offsets in mm, in any order; None for the end of the volume.

        Raises:
            InvalidImage: no slice lies between them.
        """
        offsets = np.array([self.offset(index) for index in range(len(self))])
        given = sorted(one for one in (low, high) if one is not None)
        first, last = (given[0], given[1]) if len(given) == 2 else (low, high)
        slack = self.step * 1e-3
        chosen = np.flatnonzero(
            (offsets >= (-np.inf if first is None else first - slack))
            & (offsets <= (np.inf if last is None else last + slack))
        )
        if len(chosen) == 0:
            raise InvalidImage(
                f"There is no slice from {first} to {last} mm; {self.grid.name} reaches from {offsets.min():g} to "
                f"{offsets.max():g} mm."
            )
        return int(chosen[0]), int(chosen[-1])


def _showing(grid: VoxelGrid, planes: Sequence[SlicePlane], frame: Frame) -> tuple[int, int]:
    """The first and the last of parallel oblique planes that show something, (0, -1) where none does."""
    upwards = range(len(planes))
    first, last = (
        next((index for index in order if shows(grid, planes[index], frame)), None)
        for order in (upwards, reversed(upwards))
    )
    return (0, -1) if first is None or last is None else (first, last)
