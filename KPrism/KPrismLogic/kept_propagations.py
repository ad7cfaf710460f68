"""The propagations that editors began, so that each goes on where it was left, whatever came in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KPrismLib.errors import KPrismError
from KPrismLogic.volume_content import is_replayed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import slicer

    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.model import Model
    from KPrismLogic.propagation_pieces import PropagationPieces
    from KPrismLogic.segment_propagation import SegmentPropagation
    from KPrismLogic.slice_voxels import SliceVoxels
    from KPrismLogic.target import Target

#: So many besides those that a run writes: a model has fewer classes, and all of them may be run at once. What each
#: remembers of its slices takes a few megabytes, once it holds nothing of the model.
_KEPT = 63


class KeptPropagations:
    """The last ones, one for each segment and stack of slices; everything is for the main thread.

    Only the last one holds what the model encoded, and none does once that model is unloaded: one that goes on later
    computes its slices again, and still knows which of them it wrote.

    Args:
        model: whose predictor they work with.
    """

    def __init__(self, model: Model) -> None:
        self._runs: list[SegmentPropagation] = []
        self._of_model = _OfModel()
        # Of each run that is under way, those whose slices it may change.
        self._beside: dict[SegmentPropagation, list[SegmentPropagation]] = {}
        model.when_replaced(self._of_model.forget)

    @property
    def last(self) -> SegmentPropagation | None:
        """The one that was kept last, or None."""
        return self._runs[-1] if self._runs else None

    def of(self, target: Target) -> SegmentPropagation | None:
        """The one that goes on with a target, or None."""
        return next((run for run in reversed(self._runs) if run.fits(target)), None)

    def keeps(self, run: SegmentPropagation) -> bool:
        """Whether one is kept."""
        return run in self._runs

    def keep(
        self,
        *runs: SegmentPropagation,
        geometry: slicer.vtkOrientedImageData | None = None,
        overwrites: bool = True,
    ) -> None:
        """Keep some, new or known, as the last, which one run writes next: :meth:`ended` is to be called at its end.

        It may change what the others wrote, in other planes or where a segment takes voxels from theirs; so they
        take up now what the user corrected, which could not be told from that later.

        Args:
            runs: of segments of one segmentation.
            geometry: the grid on which that is edited; None changes nothing in the others.
            overwrites: whether it may take voxels from other segments; what somebody makes of those meanwhile is taken
                for the run's work then.
        """
        self.forget_what_is_gone()
        earlier = [one for one in self._runs if one not in runs]
        ours, segments = runs[-1].target.segmentation, {one.target.segment_id for one in runs}
        beside = [
            one
            for one in earlier
            if one.target.segmentation is ours
            and (overwrites or one.target.segment_id in segments)
            # A segmentation that changes with the volume is another one there.
            and (one.is_shown or not is_replayed(ours))
        ]
        for other in beside:
            other.accept_changed(geometry)
            other.go_over_to(geometry)
        self._beside[runs[-1]] = beside
        _forget_model(earlier)
        self._are([*earlier[-_KEPT:], *runs])

    def ended(self, last: SegmentPropagation) -> None:
        """A run is at an end, whatever that was: what it made of others' slices is no correction.

        Args:
            last: of those that it wrote, which were kept together.
        """
        self.forget_what_is_gone()
        for other in self._beside.pop(last, []):
            if other in self._runs:
                other.take_as_written()

    def found(self, target: Target, voxels: SliceVoxels, content: Mask) -> bool:
        """Whether what a segment holds in some voxels is what one of them left there."""
        ours = [run for run in self._runs if run.target.place[1:] == target.place[1:]]
        return any(run.record.is_free(voxels, target.segment_id, content) for run in ours)

    def forget_what_is_gone(self) -> None:
        """Keep none whose volume, segmentation or segment is gone, or whose volume was changed.

        Those rest whose volume shows another item of a sequence, and go on when theirs is shown again.
        """
        gone = [run for run in self._runs if not _lives(run)]
        self._are([run for run in self._runs if run not in gone])
        _forget_model(gone)
        for run in self._runs:
            if not run.is_shown:
                run.rest()

    def clear(self) -> None:
        """Keep none."""
        self._of_model.forget()
        self._are([])
        self._beside = {}

    def _are(self, runs: list[SegmentPropagation]) -> None:
        self._runs = runs
        self._of_model.pieces = tuple(run.pieces for run in runs)


class _OfModel:
    """What holds something of the model; no nodes, since the thread that holds one last destroys it.

    Attributes:
        pieces: of the propagations that are kept.
    """

    def __init__(self) -> None:
        self.pieces: tuple[PropagationPieces, ...] = ()

    def forget(self) -> None:
        """Hold nothing of the model any more; any thread may ask."""
        for one in self.pieces:
            one.forget_model()


def _forget_model(runs: Iterable[SegmentPropagation]) -> None:
    """Also of those that are kept no longer: circles with callbacks of their runs may keep them for some time."""
    for run in runs:
        run.pieces.forget_model()


def _lives(run: SegmentPropagation) -> bool:
    try:
        run.target.segment()
    except KPrismError:
        return False
    return run.is_shown or is_replayed(run.target.volume)
