"""Classes through every slice of a volume; the engine's pass over a stack on nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from KPrismLogic.segments import add_segment, segment_named
from KPrismLogic.volume_piece import Piece

if TYPE_CHECKING:
    import slicer

    from KPrismLib.intensity import IntensityWindow
    from KPrismLib.predictor import Predictor
    from KPrismLogic.slice_stack import SliceStack


def segments_of_classes(segmentation: slicer.vtkMRMLSegmentationNode, classes: Sequence[str]) -> list[str]:
    """IDs of the segments with the names of classes, made where they are missing."""
    # Not by ID: a segment keeps that of its old name when it is renamed, and the class is somewhere else then.
    return [segment_named(segmentation, cls) or add_segment(segmentation, cls, cls) for cls in classes]


class ClassesThroughVolume:
    """A segment for each class; a new one has its terminology and colour.

    Args:
        stack: the slices.
        segmentation: where the segments are.
        classes: classes that the model knows.
        segment_ids: IDs of the segments; None for segments with the names of the classes, made where they are missing.
        every_piece: keep what is hardly certain and what is elsewhere.
        kept: by segment ID, slices that stay as they are; a slice in which all segments do is passed over.
    """

    def __init__(
        self,
        stack: SliceStack,
        segmentation: slicer.vtkMRMLSegmentationNode,
        classes: Sequence[str],
        segment_ids: Sequence[str] | None = None,
        *,
        every_piece: bool = False,
        kept: Mapping[str, Collection[int]] | None = None,
    ) -> None:
        self._stack, self._classes, self._every_piece = stack, tuple(classes), every_piece
        self._kept = {segment_id: frozenset(indices) for segment_id, indices in (kept or {}).items()}
        self.segment_ids = tuple(segment_ids or segments_of_classes(segmentation, classes))

    def pieces(self, predictor: Predictor, window: IntensityWindow, first: int, last: int) -> Iterator[Piece]:
        """What to write into the slices ``first`` to ``last``, in order, some of them once more; for any thread.

        Raises:
            KPrismError: as ``KPrismLib.volumes.segment_classes``.
        """
        from KPrismLib.volumes import segment_classes

        found = segment_classes(
            predictor,
            self._stack,
            self._classes,
            window=window,
            first=first,
            last=last,
            every_piece=self._every_piece,
        )
        for piece in found:
            masks = {
                segment_id: piece.labels == number
                for number, segment_id in enumerate(self.segment_ids, 1)
                if piece.index not in self._kept.get(segment_id, ())
            }
            confidence = {
                segment_id: sure
                for segment_id, sure in zip(self.segment_ids, piece.confidence, strict=True)
                if segment_id in masks and masks[segment_id].any()
            }
            if masks:
                yield Piece(piece.index, masks, confidence)
