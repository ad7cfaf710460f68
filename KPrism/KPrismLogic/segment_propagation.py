"""One segment through a volume, from slices that the user vouches for; the engine's propagation on nodes."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidReference
from KPrismLogic.accepted_slices import AcceptedSlices
from KPrismLogic.drawn_slices import slices_at
from KPrismLogic.engine_propagation import EnginePropagation
from KPrismLogic.grid_change import as_large, as_seen_on
from KPrismLogic.held_voxels import HeldVoxels
from KPrismLogic.labelmaps import empty_grid, grid_key
from KPrismLogic.lesson import Lesson
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.slice_voxels import layers_in, segment_in_slice, voxels_in
from KPrismLogic.volume_piece import Piece
from KPrismLogic.volume_result import most_in_doubt
from KPrismLogic.written_slices import WrittenSlices

if TYPE_CHECKING:
    import slicer

    from KPrismLib.intensity import IntensityWindow
    from KPrismLib.predictor import Predictor
    from KPrismLib.volumes import SliceResult
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_plane import SlicePlane
    from KPrismLogic.slice_voxels import SliceVoxels
    from KPrismLogic.target import Target
    from KPrismLogic.volume_run import Pieces, Step


class SegmentPropagation:
    """Accept slices, let a :class:`~KPrismLogic.volume_run.VolumeRun` go :meth:`through`, correct, accept, go on.

    A correction computes again only what depends on it.

    Args:
        target: volume, segment, and a plane of the stack; the segment in this plane is accepted.

    Raises:
        InvalidReference: the segment is not in the slice.
        InvalidImage, GeometryMismatch: as :meth:`SliceStack.through`.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stack = SliceStack.through(target.volume, target.plane)
        self._accepted = AcceptedSlices()
        self._confidence: dict[int, float] = {}
        self._areas: dict[int, int] = {}
        #: The class of the segment, if one was chosen for it; otherwise its name may say it.
        self.class_name: str | None = None
        #: What is written, for every run.
        self.record = WrittenSlices()
        self._grid: slicer.vtkOrientedImageData | None = None  # that the record knows
        self._name = ""  # of the segment, when a slice was accepted last
        self._engine: EnginePropagation | None = None
        self._held: HeldVoxels | None = None  # what the segment held when the last run began
        self.accept(target.plane)

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
            run.accept_changed(geometry)
            run.accept(target.plane)
        run.accept_answered(answered, target.plane)
        run.go_over_to(geometry)
        if keep_drawn:
            run.accept_drawn(geometry)
        else:
            run._accepted.release_drawn()
        return run

    @property
    def accepted(self) -> tuple[int, ...]:
        """The accepted slices, ascending."""
        return self._accepted.numbers

    @property
    def confidence(self) -> Mapping[int, float]:
        """Confidence in [0, 1] of every slice that was written, by its number in the stack."""
        return MappingProxyType(self._confidence)

    def fits(self, target: Target) -> bool:
        """Whether a target means this segment in this stack, and the volume is still what it was."""
        ours = self.target
        same = (target.volume, target.segmentation, target.segment_id) == (
            ours.volume,
            ours.segmentation,
            ours.segment_id,
        )
        return same and self.stack.fits(target.volume, target.plane)

    def accept(self, plane: SlicePlane) -> int:
        """Vouch for the segment in a slice as it is drawn now; -> the slice's number.

        Raises:
            InvalidReference: the segment is not in the slice.
            InvalidImage: the plane is no slice of the stack.
        """
        index = self.stack.index_of(plane)
        # A segmentation may be finer than the volume: what counts is the layer that the plane shows.
        mask = segment_in_slice(self.stack.image_in(plane), self.target.segmentation, self.target.segment_id)
        self._name = self.target.segment().GetName()
        if not mask.any() and not self.accepted:
            raise InvalidReference(f"This slice holds nothing of {self._name}; show a slice in which it is segmented.")
        self._accept(index, mask, plane, drawn=False)
        return index

    def accept_answered(self, planes: Iterable[SlicePlane], shown: SlicePlane) -> None:
        """Vouch for the slices that clicks, a class or references answered, each as its own plane shows it.

        Args:
            planes: any; those that have no slice in the stack are passed over.
            shown: the plane whose slice is accepted as it is shown there.
        """
        here = self.stack.index_of(shown)
        for plane in planes:
            if not self.stack.holds(plane) or self.stack.index_of(plane) == here:
                continue
            mask = segment_in_slice(self.stack.image_in(plane), self.target.segmentation, self.target.segment_id)
            if mask.any():
                self._accept(self.stack.index_of(plane), mask, plane, drawn=False)

    def accept_changed(self, geometry: slicer.vtkOrientedImageData | None) -> None:
        """Vouch for the slices that somebody changed after they were written, and look again at the accepted ones.

        Oblique slices share voxels, so that in one of them nobody can tell who changed what.

        Args:
            geometry: the grid on which the segment is edited; None changes nothing.
        """
        segmentation, segment_id = self.target.segmentation, self.target.segment_id
        if geometry is None:
            return
        # Where the grid is another one by now, what was written is looked up where it was written.
        if self._grid is not None and grid_key(self._grid) != grid_key(geometry):
            geometry = as_large(self._grid, geometry)
        layers = {
            index: layers_in(self.stack.image(index), segmentation, geometry, self.stack.step)
            for index in sorted({*self.accepted, *self._confidence})
        }
        written = [one for index in self._confidence for one in layers[index]]
        changed = self.record.changed((one, segment_id, one.read(segmentation, segment_id)) for one in written)
        for index, slices in layers.items():
            mine = [one for one in slices if one in changed]
            if index in self._accepted or mine:
                self._accept_now(index, mine, geometry)

    def go_over_to(self, geometry: slicer.vtkOrientedImageData | None) -> None:
        """Slices are written on this grid from now on; to be called after :meth:`accept_changed`.

        What was written on another one, and nobody changed, is known on this one, too.

        Args:
            geometry: the grid on which the segment is edited; None changes nothing.
        """
        segmentation, segment_id = self.target.segmentation, self.target.segment_id
        if geometry is None:
            return
        if self._grid is not None and grid_key(self._grid) != grid_key(geometry):
            before = as_seen_on(as_large(self._grid, geometry), self.stack, segmentation, segment_id)
            for index in list(self._confidence):
                layers = layers_in(self.stack.image(index), segmentation, geometry, self.stack.step)
                held = [(one, one.read(segmentation, segment_id)) for one in layers if one.key is not None]
                # What the earlier grid is too coarse to see is no work of a run that wrote on that grid.
                finer = [one for one, now in held if not np.array_equal(now, one.look_up(before, 1, segmentation))]
                if finer:
                    self._accept_now(index, finer, geometry)
                    continue
                for voxels, content in held:
                    as_it_is = voxels.fingerprint(content)
                    self.record.wrote(voxels, segment_id, as_it_is, as_it_is)
        self._grid = empty_grid(geometry)

    def accept_drawn(self, geometry: slicer.vtkOrientedImageData | None) -> None:
        """Vouch for the slices that hold the segment already and that no run of this propagation wrote.

        Oblique slices share voxels: what one of them holds may have been drawn in another.

        Args:
            geometry: the grid on which the segment is edited; None changes nothing.
        """
        segmentation, segment_id = self.target.segmentation, self.target.segment_id
        if geometry is None:
            return
        # One that is known to show the volume: the outermost of an oblique stack may pass it by.
        shown = self.stack.image(self.stack.index_of(self.target.plane))
        if voxels_in(shown, segmentation, geometry).key is None:
            return
        for index in slices_at(self.stack, segmentation, segment_id):
            if index in self._accepted or index in self._confidence:
                continue
            image = self.stack.image(index)
            mask = segment_in_slice(image, segmentation, segment_id)
            if mask.any():
                self._accepted.put(index, mask, self.stack.planes[index], drawn=True)
                continue
            # Where the grid is finer than the volume, between slices; no example, but somebody's work.
            for voxels in layers_in(image, segmentation, geometry, self.stack.step):
                if voxels.read(segmentation, segment_id).any():
                    self.record.keep(voxels, segment_id)

    def check_open(self, first: int, last: int) -> None:
        """See to it that there is something to find.

        Raises:
            InvalidReference: every slice from ``first`` to ``last`` is accepted.
        """
        self._accepted.check_open(first, last)

    def _accept_now(self, index: int, changed: Sequence[SliceVoxels], geometry: slicer.vtkOrientedImageData) -> None:
        """Vouch for a slice as it is now, in the layer that it shows, or in a changed one if that was not changed."""
        segmentation = self.target.segmentation
        plane = self._accepted.plane(index) or self.stack.planes[index]
        if changed and index in self._confidence:
            shown = voxels_in(self.stack.image(index), segmentation, geometry)
            if shown.key not in [one.key for one in changed]:
                plane = plane.moved_to(changed[0].middle(segmentation))
        mask = segment_in_slice(self.stack.image_in(plane), segmentation, self.target.segment_id)
        before = self._accepted.mask(index)
        if before is None or not np.array_equal(mask, before):
            self._accept(index, mask, plane)

    def _accept(self, index: int, mask: Mask, plane: SlicePlane, *, drawn: bool | None = None) -> None:
        self._accepted.put(index, mask, plane, drawn=drawn)
        self._confidence.pop(index, None)

    @property
    def guided(self) -> bool:
        """Whether the last run was told more than by its slices: by a class that finds them, or by what it learned."""
        return self._engine is not None and self._engine.guided

    def least_certain(self) -> int | None:
        """The written slice to look at next, where most pixels are in doubt, or None."""
        return most_in_doubt(self._confidence, self._areas)

    def through(self, first: int, last: int, *, learn: bool = False) -> Pieces:
        """:meth:`pieces` for a run that begins now."""
        self._held = HeldVoxels(self.target.segmentation, self.target.segment_id) if learn else None
        return functools.partial(self.pieces, first=first, last=last, learn=learn)

    def pieces(
        self, predictor: Predictor, window: IntensityWindow, first: int, last: int, *, learn: bool = False
    ) -> Iterator[Step]:
        """What to write into the slices ``first`` to ``last``, nearest to the accepted ones first; for any thread.

        Args:
            predictor: the model.
            window: intensity window of the volume.
            first, last: the range.
            learn: learn the structure from the accepted slices before, unless nothing of them changed since it was
                learned; otherwise what was learned is forgotten.

        Raises:
            KPrismError: as ``KPrismLib.volumes.Propagation.propagate`` and ``learn``.
        """
        from KPrismLib.class_names import class_called

        # Only as far as the class finds the accepted slices, which the engine sees to.
        cls = class_called(self.class_name or self._name, predictor.classes)
        if self._engine is None or not self._engine.is_of(predictor, cls):
            self._engine = EnginePropagation(predictor, self.stack, window, cls)
        accepted, planes = self._accepted.masks, self._accepted.planes
        for step in self._engine.steps(accepted, first, last, learn=learn):
            yield step if isinstance(step, Lesson) else self._piece(step)
        for index, mask in sorted(accepted.items()):
            if first <= index <= last:
                yield Piece(index, {self.target.segment_id: mask}, accepted=planes[index])

    def note(self, step: Step) -> None:
        """A run went a step: a piece was written, or something was learned.

        Raises:
            NoLongerWanted: the segment changed while it was learned, so that what is learned may be wrong by now.
        """
        if isinstance(step, Lesson):
            if self._held is not None:
                self._held.check()
        elif step.confidence is not None and step.index not in self._accepted:
            self._confidence[step.index] = step.confidence
            self._areas[step.index] = step.area

    def _piece(self, result: SliceResult) -> Piece:
        return Piece(result.index, {self.target.segment_id: result.mask}, result.confidence)
