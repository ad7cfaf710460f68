"""The propagations that the console's calls go on from: the same as those of the effect and the panel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from KPrismLogic.segment_editing import LogicEditor
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.temporary_editor import temporary_editor

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.kept_propagations import KeptPropagations
    from KPrismLogic.slice_plane import SlicePlane
    from KPrismLogic.target import Target


class ConsolePropagations:
    """For one call.

    Args:
        kept: what runs have found until now.
        rules: the editor node whose masks and overwrite rules hold for the call; None overwrites nothing.
    """

    def __init__(self, kept: KeptPropagations, rules: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        self._kept, self._rules = kept, rules

    def continued(
        self, target: Target, others: Sequence[SlicePlane], cls: str | None, *, keep_drawn: bool
    ) -> SegmentPropagation:
        """What goes on with a target, from its slice, and from others in which the segment is right, too.

        Args:
            target, keep_drawn: as for :meth:`SegmentPropagation.continued`.
            others: planes of these slices.
            cls: the class that is to help; None for that of the segment's name, if there is one.

        Raises:
            InvalidReference, InvalidImage, GeometryMismatch: as there.
        """
        run = SegmentPropagation.continued(self._kept.of(target), target, self._geometry(target), keep_drawn=keep_drawn)
        for other in others:
            run.accept(other)
        run.class_name = cls
        return run

    def before_classes(self, targets: Sequence[Target], classes: Sequence[str]) -> list[SegmentPropagation]:
        """What takes up what the run of each class writes; see :meth:`SegmentPropagation.before_class`."""
        geometry = self._geometry(targets[0])
        return [
            SegmentPropagation.before_class(self._kept.of(target), target, cls, geometry)
            for target, cls in zip(targets, classes, strict=True)
        ]

    @contextmanager
    def keeping(self, *runs: SegmentPropagation) -> Iterator[None]:
        """While one run writes these, for whatever comes after it."""
        self._kept.keep(*runs, geometry=self._geometry(runs[-1].target), overwrites=self._rules is not None)
        try:
            yield
        finally:
            self._kept.ended(runs[-1])

    def _geometry(self, target: Target) -> slicer.vtkOrientedImageData | None:
        with temporary_editor(*target.place, self._rules) as parameters:
            return LogicEditor(parameters).geometry()
