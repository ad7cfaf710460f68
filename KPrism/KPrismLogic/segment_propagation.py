"""One segment through a volume, from slices that the user vouches for; the engine's propagation on nodes."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from KPrismLogic.held_voxels import HeldVoxels
from KPrismLogic.lesson import Lesson
from KPrismLogic.propagation_pieces import PropagationPieces
from KPrismLogic.segment_examples import SegmentExamples
from KPrismLogic.standing_runs import standing_runs
from KPrismLogic.volume_piece import Piece
from KPrismLogic.volume_result import most_in_doubt

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.slice_plane import SlicePlane
    from KPrismLogic.target import Target
    from KPrismLogic.volume_work import Pieces, Step


class SegmentPropagation(SegmentExamples):
    """Accept slices, let a :class:`~KPrismLogic.volume_run.VolumeRun` go :meth:`through`, correct, accept, go on.

    A correction computes again only what depends on it. Where a run of a class was before, what it found and nobody
    changed is no example, and stays where the propagation does not reach it. Arguments and errors are those of
    :class:`~KPrismLogic.segment_examples.SegmentExamples`.
    """

    def __init__(self, target: Target, *, accept: bool = True) -> None:
        super().__init__(target, accept=accept)
        #: The class of the segment, if one was chosen for it; otherwise one that was run through it, or its name.
        self.class_name: str | None = None
        self._class_run: str | None = None
        given = target.segment_id, self._accepted, self._found.confidence, self._found.areas
        self._pieces = PropagationPieces(*given)
        self._held: HeldVoxels | None = None  # what the segment held when the last run began

    @classmethod
    def continued(
        cls,
        earlier: SegmentPropagation | None,
        target: Target,
        geometry: slicer.vtkOrientedImageData | None,
        *,
        keep_drawn: bool,
        answered: Iterable[SlicePlane] = (),
    ) -> SegmentPropagation:
        """The earlier one with the target's slice accepted and all that changed since, if it fits; else a new one.

        Args:
            earlier: of an earlier run, or None.
            target: as for the class.
            geometry: the grid on which the segment is edited.
            answered: planes in which the segment is what clicks, a class or references made of it: their slices are
                accepted, too.
            keep_drawn: accept every other slice, too, that holds the segment already and that no run wrote.

        Raises:
            InvalidReference, InvalidImage, GeometryMismatch: as for the class.
        """
        if earlier is None or not earlier.fits(target):
            run = cls(target)
        else:
            run = earlier
            run._stack.go_on()
            run.accept_changed(geometry)
            run.accept(target.plane)
        run.accept_answered(answered, target.plane)
        run.go_over_to(geometry)
        if keep_drawn:
            run.accept_drawn(geometry)
        else:
            run.release_drawn()
        return run

    @classmethod
    def before_class(
        cls,
        earlier: SegmentPropagation | None,
        target: Target,
        class_name: str,
        geometry: slicer.vtkOrientedImageData | None,
    ) -> SegmentPropagation:
        """The earlier one, if it fits, else a new one, that takes up what a run of the segment's class writes.

        That run is to leave the accepted slices alone; what was only drawn it writes over.

        Args:
            earlier, target, geometry: as for :meth:`continued`.
            class_name: the class, which helps when the segment is propagated from then on.
        """
        if earlier is None or not earlier.fits(target):
            run = cls(target, accept=False)
        else:
            run = earlier
            run._stack.go_on()
            run.accept_changed(geometry)
        run.go_over_to(geometry)
        run._class_run = class_name
        return run

    @property
    def guided(self) -> bool:
        """Whether the last run was told more than by its slices: by a class that finds them, or by what it learned."""
        engine = self._pieces.engine  # Another thread may have it forgotten in between.
        return engine is not None and engine.guided

    @property
    def ends(self) -> dict[float, str]:
        """Why the last run went no further, by the offset in mm of the last slice that it saw, ascending.

        "structure ended" or "confidence collapsed"; nothing where it came to the end of its range or was stopped.
        """
        return dict(sorted((self.stack.offset(index), reason) for index, reason in self._pieces.ends.items()))

    @property
    def pieces(self) -> PropagationPieces:
        """What a run writes, with what it keeps of the model."""
        return self._pieces

    def rest(self) -> None:
        """Keep nothing of the volume in memory, nor what the model encoded of it."""
        super().rest()
        self._pieces.forget_model()

    def least_certain(self) -> int | None:
        """The written slice to look at next, where most pixels are in doubt, or None."""
        return most_in_doubt(self._found.confidence, self._found.areas)

    def through(self, first: int, last: int, *, learn: bool = False) -> Pieces:
        """What a run that begins now writes, and learns before; see :meth:`PropagationPieces.steps`."""
        self._held = HeldVoxels(self.target.segmentation, self.target.segment_id) if learn else None
        return functools.partial(
            self._pieces.steps,
            stack=self.stack,
            name=self.class_name or self._class_run or self._name,
            first=first,
            last=last,
            learn=learn,
            by_class=self._found.by_class,
        )

    def note(self, step: Step) -> None:
        """A run went a step: a piece was written, or something was learned.

        Raises:
            NoLongerWanted: the segment changed while it was learned, so that what is learned may be wrong by now.
        """
        if isinstance(step, Lesson):
            if self._held is not None:
                self._held.check()
        elif step.accepted is None and step.index not in self._accepted:
            self._take_note(step, by_class=False)

    def note_class(self, piece: Step) -> None:
        """A run of the segment's class wrote a slice, perhaps once more."""
        if isinstance(piece, Piece) and piece.index not in self._accepted:
            self._take_note(piece, by_class=True)

    def _take_note(self, piece: Piece, *, by_class: bool) -> None:
        segment_id, standing = self.target.segment_id, standing_runs(self.target.segment())
        area = int(piece.masks[segment_id].sum()) if segment_id in piece.masks else 0
        self._found.note(piece.index, piece.confidence.get(segment_id), area, standing, by_class=by_class)
