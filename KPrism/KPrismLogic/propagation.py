"""Carrying a segmented slice through its neighbours, one request after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidImage
from KPrismLogic.guide import Guide
from KPrismLogic.matrices import world_from_volume
from KPrismLogic.slice_controller import Request
from KPrismLogic.slice_engine import Answer
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.target import Target

if TYPE_CHECKING:
    from KPrismLogic.slice_controller import SliceController


class Propagation:
    """Asks about each slice between two, nearest first.

    Args:
        first: the segmented slice and its segment.
        last: the plane of the last slice to segment.
        guide: what to look for, the first slice as reference as a rule.
        progress: called with (slices done, all slices) after each; returning False ends the run.
        current: whether the user still wants it; asked before each slice is written.

    Raises:
        InvalidImage: the planes are not parallel.
    """

    def __init__(
        self,
        first: Target,
        last: SlicePlane,
        guide: Guide,
        progress: Callable[[int, int], bool],
        current: Callable[[], bool] = lambda: True,
    ) -> None:
        self._target, self._guide, self._progress, self._current = first, guide, progress, current
        planes = list(_between(first, last))
        self._planes = iter(planes)
        self._controller: SliceController | None = None
        self.all = len(planes)
        self.done = 0

    @property
    def finished(self) -> bool:
        """Whether nothing more will be asked."""
        return self._controller is None

    def start(self, controller: SliceController) -> None:
        """Ask about the first slice; each answer must be given to :meth:`advance`."""
        self._controller = controller
        self._ask()

    def advance(self, _answer: Answer) -> None:
        """A slice was written: report, and ask about the next."""
        self.done += 1
        if not self._progress(self.done, self.all):
            self.stop()
        self._ask()

    def stop(self) -> None:
        """Ask no more; what is written stays."""
        self._controller = None

    def _ask(self) -> None:
        plane = next(self._planes, None)
        if plane is None or self._controller is None:
            self._controller = None
            return
        target = Target(self._target.volume, self._target.segmentation, self._target.segment_id, plane)
        self._controller.ask(Request(target, self._guide, anew=True, current=self._current))


def carried(target: Target, steps: int) -> SlicePlane:
    """The plane as many slices of the volume further along the normal; negative for against it."""
    plane = target.plane
    spacing = _spacing(target)
    return plane.moved_to(plane.point + plane.normal * spacing * steps)


def _spacing(target: Target) -> float:
    """Millimetres from one slice of the volume to the next."""
    return float(np.abs(target.plane.normal @ world_from_volume(target.volume)[:3, :3]).max())


def _between(first: Target, last: SlicePlane) -> Iterator[SlicePlane]:
    """Planes after the first up to the last, one slice of the volume apart."""
    normal = first.plane.normal
    if not np.allclose(normal, last.normal, atol=1e-4):
        raise InvalidImage("Slices can only be carried to a parallel plane.")
    spacing = _spacing(first)
    distance = float(normal @ (last.point - first.plane.point))
    for number in range(1, round(abs(distance) / spacing) + 1):
        yield first.plane.moved_to(first.plane.point + normal * np.sign(distance) * spacing * number)
