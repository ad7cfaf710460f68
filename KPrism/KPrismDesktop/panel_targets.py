"""What the widgets of the module panel choose, and the segments that are made for it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from KPrismDesktop.slice_views import shown_slice
from KPrismLib.errors import InvalidPrompt, InvalidReference, KPrismError
from KPrismLogic.segments import add_segment, remove_if_empty, segment_named
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.target import Target
from KPrismLogic.temporary_editor import check_editable

if TYPE_CHECKING:
    import slicer


class PanelTargets:
    """Volume, segmentation, segment and plane that are chosen.

    Args:
        ui: the panel's widgets by name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._made: list[Target] = []  # whose segments were made for what was asked last

    def chosen(self, new: str | None = None) -> Target:
        """What the widgets choose, and the slice that a view shows.

        Args:
            new: the class that a segment is made for where there is none of that name; None makes none.

        Raises:
            InvalidPrompt, InvalidReference: something is not chosen, or there is no such segment.
            InvalidImage, InvalidMask: the segmentation cannot be edited.
        """
        plane, volume = self._plane(), self._ui.volumeSelector.currentNode()
        segmentation, name = self._ui.segmentationSelector.currentNode(), self._ui.segmentEdit.text.strip()
        if plane is None or segmentation is None or not name:
            raise InvalidPrompt("Choose a volume and a segmentation, and name a segment, first.")
        check_editable(volume, segmentation)
        segment_id = segment_named(segmentation, name)
        self._made = []
        if segment_id is not None:
            return Target(volume, segmentation, segment_id, plane)
        if new is None:
            raise InvalidReference(f"{segmentation.GetName()} has no segment {name}; segment it in one slice first.")
        return self._with_segment(volume, segmentation, name, new, plane)

    def existing(self) -> Target | None:
        """As :meth:`chosen`, without looking whether it can be edited; None where something is missing."""
        volume, segmentation = self._ui.volumeSelector.currentNode(), self._ui.segmentationSelector.currentNode()
        try:
            plane = self._plane()
        except KPrismError:
            return None  # Whoever asks for something is told what is wrong with the volume.
        segment_id = None if segmentation is None else segment_named(segmentation, self._ui.segmentEdit.text.strip())
        return None if plane is None or segment_id is None else Target(volume, segmentation, segment_id, plane)

    def of_class(self, target: Target, class_name: str) -> Target:
        """The same place for another class, whose segment has its name and is made where there is none.

        Raises:
            InvalidPrompt: it is the segment of ``target``, which is for a class of its own.
        """
        segment_id = segment_named(target.segmentation, class_name)
        if segment_id == target.segment_id:
            raise InvalidPrompt(
                f"Two classes cannot go to the segment {target.segment().GetName()}; name another segment, or choose "
                f"{class_name} as the class."
            )
        if segment_id is not None:
            return dataclasses.replace(target, segment_id=segment_id)
        return self._with_segment(target.volume, target.segmentation, class_name, class_name, target.plane)

    def keep_made(self) -> None:
        """What was made is used."""
        self._made = []

    def remove_made(self) -> None:
        """Leave no segments behind for which there is nothing."""
        for target in self._made:
            remove_if_empty(target.segmentation, target.segment_id)
        self._made = []

    def _with_segment(
        self,
        volume: slicer.vtkMRMLVolumeNode,
        segmentation: slicer.vtkMRMLSegmentationNode,
        name: str,
        class_name: str,
        plane: SlicePlane,
    ) -> Target:
        self._made.append(Target(volume, segmentation, add_segment(segmentation, name, class_name), plane))
        return self._made[-1]

    def _plane(self) -> SlicePlane | None:
        """The slice of the chosen plane that a view shows, or the middle one; None without a volume."""
        volume = self._ui.volumeSelector.currentNode()
        if volume is None or volume.GetImageData() is None:
            return None
        return shown_slice(SlicePlane.of_volume(volume, self._ui.planeBox.currentText))
