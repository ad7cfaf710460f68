"""The plane of a slice in world coordinates, and how a picture of it is held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidImage
from KPrismLogic.matrices import Vector, array_from_matrix, transformed, unit, world_from_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    import slicer

#: World axis (0 R, 1 A, 2 S) along the normal of each anatomical plane.
NORMAL_AXES = {"axial": 2, "coronal": 1, "sagittal": 0}

#: Cosine of the angle to its axis up to which a plane still has that axis' name, and to another up to which they are
#: parallel.
_ALONG_AXIS = 1 - 1e-6

# For each normal axis, the world directions in which columns and rows of the picture run, as radiologists hold it:
# patient right, or anterior, on the left; anterior, or superior, up. The engine's ``imaging.planes`` does the same.
_RIGHTWARDS = {2: (-1.0, 0.0, 0.0), 1: (-1.0, 0.0, 0.0), 0: (0.0, -1.0, 0.0)}
_DOWNWARDS = {2: (0.0, -1.0, 0.0), 1: (0.0, 0.0, -1.0), 0: (0.0, 0.0, -1.0)}


@dataclass(frozen=True, eq=False)
class SlicePlane:
    """A plane in the world; how a view is turned or mirrored in it does not matter.

    Attributes:
        point: a point of the plane, RAS mm.
        normal: unit normal; its largest component is positive, so that a plane has one normal only.
        axis: world axis (0 R, 1 A, 2 S) by whose coordinate its place is told.
    """

    point: Vector
    normal: Vector
    axis: int

    @classmethod
    def through(
        cls, point: Sequence[float] | Vector, normal: Sequence[float] | Vector, axis: int | None = None
    ) -> SlicePlane:
        """The plane through a point (RAS mm) across a normal of any length and sign.

        Args:
            point, normal: finite.
            axis: world axis by whose coordinate its place is told; None for the one nearest to the normal.

        Raises:
            InvalidImage: no finite point, or a normal without direction.
        """
        place, direction = np.array(point, dtype=np.float64), np.array(normal, dtype=np.float64)
        if not (np.isfinite(place).all() and np.isfinite(direction).all() and direction.any()):
            raise InvalidImage(f"There is no plane through {tuple(place)} across {tuple(direction)}.")
        direction = unit(direction)
        nearest = _largest(direction)
        return cls(place, direction * np.sign(direction[nearest]), nearest if axis is None else axis)

    @property
    def name(self) -> str:
        """One of ``axial``, ``coronal``, ``sagittal`` and ``oblique``."""
        return next((name for name, axis in NORMAL_AXES.items() if self.normal[axis] > _ALONG_AXIS), "oblique")

    @classmethod
    def of_view(cls, view: slicer.vtkMRMLSliceNode) -> SlicePlane:
        """The plane that a slice view shows."""
        matrix = array_from_matrix(view.GetSliceToRAS())
        return cls.through(matrix[:3, 3], matrix[:3, 2])

    @classmethod
    def of_volume(cls, volume: slicer.vtkMRMLVolumeNode, plane: str, offset: float | None = None) -> SlicePlane:
        """A stack slice of a volume: of an oblique volume, the plane of its voxels that is nearest to ``plane``.

        Args:
            volume: the volume.
            plane: "axial", "coronal" or "sagittal".
            offset: S, A or R coordinate in mm, where the slice passes the middle of the volume; None for its middle.

        Raises:
            InvalidImage: no such plane, or no voxels.
            GeometryMismatch: a non-linear parent transform.
        """
        if plane not in NORMAL_AXES:
            raise InvalidImage(f"There is no plane {plane!r}; choose one of {', '.join(NORMAL_AXES)}.")
        image = volume.GetImageData()
        if image is None:
            raise InvalidImage(f"{volume.GetName()} holds no voxels.")
        world = world_from_volume(volume)
        axis, across = NORMAL_AXES[plane], _voxel_axis(world, NORMAL_AXES[plane])
        first, second = (world[:3, other] for other in range(3) if other != across)
        # The middle voxel, not the middle of the box: of an even number of slices one must be chosen.
        point = transformed(world, [extent // 2 for extent in image.GetDimensions()])
        if offset is not None:
            point[axis] = offset
        # Of an oblique volume another axis may be nearer, but this one is asked for.
        return cls.through(point, np.cross(first, second).astype(np.float64), axis)

    @property
    def rightwards(self) -> Vector:
        """Unit direction in which columns of a picture of this plane run."""
        wanted = np.array(_RIGHTWARDS[_largest(self.normal)])
        return unit(wanted - self.normal * (wanted @ self.normal))

    @property
    def downwards(self) -> Vector:
        """Unit direction in which rows of a picture of this plane run; perpendicular to :attr:`rightwards`."""
        across = np.cross(self.normal, self.rightwards)
        return across * np.sign(across @ np.array(_DOWNWARDS[_largest(self.normal)]))

    def offset_at(self, point: Vector) -> float:
        """Coordinate along :attr:`axis` in mm where the plane passes a point (RAS mm), straight along that axis."""
        return float(point[self.axis]) + float(self.normal @ (self.point - point)) / float(self.normal[self.axis])

    def is_parallel(self, other: SlicePlane) -> bool:
        """Whether another plane is parallel, but for rounding."""
        return abs(float(self.normal @ other.normal)) > _ALONG_AXIS

    def moved_to(self, point: Sequence[float] | Vector) -> SlicePlane:
        """The parallel plane through a point, RAS mm."""
        return SlicePlane.through(point, self.normal, self.axis)


def _largest(direction: Vector) -> int:
    # Rounded, so that noise does not decide between equal components of a plane at 45 degrees.
    return int(np.argmax(np.abs(direction).round(6)))


def _voxel_axis(world: Vector, axis: int) -> int:
    """The axis of the voxels (0 i, 1 j, 2 k) that runs nearest to a world axis, when each has one of its own."""
    import itertools

    directions = np.abs(world[:3, :3] / np.linalg.norm(world[:3, :3], axis=0))
    best = max(itertools.permutations(range(3)), key=lambda order: sum(directions[r, order[r]] for r in range(3)))
    return best[axis]
