"""The intensity window of a slice's volume: chosen by all voxels, which it holds no longer than it takes to look."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from KPrismLib.errors import InvalidImage
from KPrismLogic.recently_used import RecentlyUsed

if TYPE_CHECKING:
    import vtk

    from KPrismLib.intensity import IntensityWindow

#: By state of a volume, rule and modality, so that a volume is looked at once for all of its slices.
_chosen: RecentlyUsed[IntensityWindow] = RecentlyUsed(64)


class VolumeWindow:
    """Of a volume as it is when this is made; any thread may ask.

    A slice may be needed for as long as the process lasts, as a reference to which clicks are owed; one that held the
    voxels would keep the whole volume in memory, whatever becomes of its scene.

    Args:
        state: of the volume; what never is the same for other voxels.
        voxels: all of them, of any shape; held until the first window is chosen.
        modality: DICOM modality, or None when unknown.
        scalars: what holds the voxels in VTK, asked for them where a second rule is; None where nothing does.
    """

    def __init__(
        self,
        state: Hashable,
        voxels: npt.NDArray[Any],
        modality: str | None,
        scalars: vtk.vtkDataArray | None = None,
    ) -> None:
        import vtk

        self.modality = modality
        self._state = state
        self._voxels: npt.NDArray[Any] | None = voxels
        self._windows: dict[str, IntensityWindow] = {}
        self._scalars, self._time = vtk.vtkWeakReference(), 0
        if scalars is not None:
            self._scalars.Set(scalars)
            self._time = scalars.GetMTime()

    def known(self, rule: str) -> IntensityWindow | None:
        """The window that a rule chose, or None before it did.

        Args:
            rule: as of ``KPrismLib.intensity.RULES``.
        """
        window = self._windows.get(rule) or _chosen.get((self._state, rule, self.modality))
        if window is not None:
            self._windows[rule], self._voxels = window, None
        return window

    def by(self, rule: str) -> IntensityWindow:
        """The window that a rule chooses, the same for every path to a slice of the volume.

        Args:
            rule: as of ``KPrismLib.intensity.RULES``.

        Raises:
            InvalidImage, InvalidConfig: as ``KPrismLib.intensity.window_for``, or the volume is gone that another rule
                has looked at.
        """
        from KPrismLib.intensity import window_for

        if self.known(rule) is None:
            window = window_for(self._all_voxels(), rule=rule, modality=self.modality)
            self._windows[rule] = _chosen.put((self._state, rule, self.modality), window)
            self._voxels = None
        return self._windows[rule]

    def _all_voxels(self) -> npt.NDArray[Any]:
        from vtk.util.numpy_support import vtk_to_numpy

        voxels, scalars = self._voxels, self._scalars.Get()
        if voxels is not None:
            return voxels
        if scalars is None or scalars.GetMTime() != self._time:
            raise InvalidImage("The volume of a slice is gone, and no other intensity window can be chosen for it.")
        values: npt.NDArray[Any] = vtk_to_numpy(scalars)
        return values if values.ndim == 1 else values[:, :3]
