"""Classes through every slice of a volume; the engine's pass over a stack on nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from KPrismLogic.segments import find_or_add_segment
from KPrismLogic.volume_run import Piece

if TYPE_CHECKING:
    import slicer

    from KPrismLib.intensity import IntensityWindow
    from KPrismLib.predictor import Predictor
    from KPrismLogic.slice_stack import SliceStack


class ClassesThroughVolume:
    """A segment for each class, made if it is not there, with its terminology and colour.

    Args:
        stack: the slices.
        segmentation: where the segments are.
        classes: classes that the model knows.
        names: names or IDs of the segments; None for those of the classes.
        every_piece: keep what is hardly certain and what is small beside the largest piece.
    """

    def __init__(
        self,
        stack: SliceStack,
        segmentation: slicer.vtkMRMLSegmentationNode,
        classes: Sequence[str],
        names: Sequence[str] | None = None,
        *,
        every_piece: bool = False,
    ) -> None:
        self._stack, self._classes, self._every_piece = stack, tuple(classes), every_piece
        pairs = zip(names or classes, classes, strict=True)
        self.segment_ids = tuple(find_or_add_segment(segmentation, name, cls) for name, cls in pairs)

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
            masks = {segment_id: piece.labels == number for number, segment_id in enumerate(self.segment_ids, 1)}
            yield Piece(piece.index, masks)
