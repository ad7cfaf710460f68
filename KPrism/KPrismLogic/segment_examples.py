"""The slices of a stack in which the user vouches for a segment, while runs write it into the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidReference
from KPrismLogic.accepted_slices import AcceptedSlices
from KPrismLogic.drawn_slices import slices_at
from KPrismLogic.found_slices import FoundSlices
from KPrismLogic.grid_change import as_large, as_seen_on
from KPrismLogic.held_voxels import HeldVoxels
from KPrismLogic.labelmaps import empty_grid, grid_key
from KPrismLogic.replayed_stack import ReplayedStack
from KPrismLogic.slice_voxels import layers_in, segment_in_slice, voxels_in
from KPrismLogic.standing_runs import standing_runs
from KPrismLogic.written_slices import WrittenSlices

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_plane import SlicePlane
    from KPrismLogic.slice_stack import SliceStack
    from KPrismLogic.slice_voxels import SliceVoxels
    from KPrismLogic.target import Target


class SegmentExamples:
    """What is accepted, what runs wrote, and what somebody made of either since.

    Args:
        target: volume, segment, and a plane of the stack.
        accept: the segment in this plane.

    Raises:
        InvalidReference: the segment is not in the slice.
        InvalidImage, GeometryMismatch: as :class:`~KPrismLogic.replayed_stack.ReplayedStack`.
    """

    def __init__(self, target: Target, *, accept: bool = True) -> None:
        self.target = target
        self._stack = ReplayedStack(target.volume, target.plane)
        self._accepted = AcceptedSlices()
        self._found = FoundSlices()
        #: What is written, for every run.
        self.record = WrittenSlices()
        self._grid: slicer.vtkOrientedImageData | None = None  # that the record knows
        self._seen: HeldVoxels | None = None  # when somebody last looked what became of the written slices
        self._name = ""  # of the segment, when a slice was accepted last
        if accept:
            self.accept(target.plane)

    @property
    def accepted(self) -> tuple[int, ...]:
        """The accepted slices, ascending."""
        return self._accepted.numbers

    @property
    def confidence(self) -> Mapping[int, float]:
        """Confidence in [0, 1] of every slice that was written, by its number in the stack."""
        return MappingProxyType(self._found.confidence)

    @property
    def records(self) -> Mapping[str, WrittenSlices]:
        """What is written, by the segment's ID."""
        return {self.target.segment_id: self.record}

    @property
    def stack(self) -> SliceStack:
        """The slices, in order."""
        return self._stack.slices

    @property
    def is_shown(self) -> bool:
        """Whether the volume shows what it showed at the beginning, still or again."""
        return self._stack.is_shown

    def fits(self, target: Target) -> bool:
        """Whether a target means this segment in this stack, and the volume shows what it showed."""
        return target.place == self.target.place and self._stack.fits(target.plane)

    def rest(self) -> None:
        """Keep nothing of the volume in memory, while it shows something else."""
        self._stack.rest()

    def accept(self, plane: SlicePlane) -> int:
        """Vouch for the segment in a slice as it is drawn now; -> the slice's number.

        Raises:
            InvalidReference: the segment is not in the slice.
            InvalidImage: the plane is no slice of the stack.
        """
        index = self.stack.index_of(plane)
        mask = self._shown_in(plane, index)
        self._name = self.target.segment().GetName()
        # An empty slice that no run has reached says nothing: the user has only scrolled on.
        known = index in self._accepted or index in self._found.confidence
        if not mask.any() and not (known and self._accepted.shows()):
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
            index = self.stack.index_of(plane) if self.stack.holds(plane) else here
            if index != here and (mask := self._shown_in(plane, index)).any():
                self._accept(index, mask, plane, drawn=False)

    def accept_changed(self, geometry: slicer.vtkOrientedImageData | None) -> None:
        """Vouch for the slices that somebody changed after they were written, and look again at the accepted ones.

        Where what made a slice an example was undone, nobody vouches for it any more; where what a run found was
        undone, it found nothing. Oblique slices share voxels, so that in one of them nobody can tell who changed what.

        Args:
            geometry: the grid on which the segment is edited; None changes nothing.
        """
        segmentation, segment_id = self.target.segmentation, self.target.segment_id
        if geometry is None or self._is_as_seen():
            return
        # Where the grid is another one by now, what was written is looked up where it was written.
        geometry = self._grid_before(geometry) or geometry
        layers = {
            index: layers_in(self.stack.image(index), segmentation, geometry, self.stack.step)
            for index in sorted({*self._found.ever, *self.accepted})
        }
        written = [one for slices in layers.values() for one in slices]
        standing = standing_runs(self.target.segment())
        told = self.record.told_apart(
            ((one, segment_id, one.read(segmentation, segment_id)) for one in written), standing
        )
        for index, slices in layers.items():
            mine, back, earlier = ([one for one in slices if one in group] for group in told)
            if earlier:
                self._found.forget_propagation(index)
            if self._found.is_undone(index, standing) and all(one.key is None for one in slices):
                self._found.forget(index)  # Oblique voxels do not tell.
            if index in self._accepted or mine:
                self._look_again(index, mine, back, geometry)
            elif back:
                self._found.forget(index)
        self._seen = HeldVoxels(segmentation, segment_id)

    def go_over_to(self, geometry: slicer.vtkOrientedImageData | None) -> None:
        """Slices are written on this grid from now on; to be called after :meth:`accept_changed`.

        What was written on another one, and nobody changed, is known on this one, too.

        Args:
            geometry: the grid on which the segment is edited; None changes nothing.
        """
        segmentation, segment_id = self.target.segmentation, self.target.segment_id
        if geometry is None:
            return
        earlier = self._grid_before(geometry)
        if earlier is not None:
            before = as_seen_on(earlier, self.stack, segmentation, segment_id)
            for index in list(self._found.confidence):
                layers = layers_in(self.stack.image(index), segmentation, geometry, self.stack.step)
                held = [(one, one.read(segmentation, segment_id)) for one in layers if one.key is not None]
                # What the earlier grid is too coarse to see is no work of a run that wrote on that grid.
                finer = [one for one, now in held if not np.array_equal(now, one.look_up(before, 1, segmentation))]
                if finer:
                    self._accept_found(index, finer, geometry)
                    continue
                self._record_as_it_is(held)
        self._grid = empty_grid(geometry)

    def take_as_written(self) -> None:
        """What the written slices hold now, on the grid that was gone over to, is the work of a run and no correction.

        It may be another run's: one of the segment in another plane, or one of a segment that took voxels from it.
        """
        segmentation, segment_id = self.target.segmentation, self.target.segment_id
        if self._grid is None or self._is_as_seen():
            return
        for index in self._found.ever.difference(self.accepted):
            layers = layers_in(self.stack.image(index), segmentation, self._grid, self.stack.step)
            self._record_as_it_is((one, one.read(segmentation, segment_id)) for one in layers)
        # Of the accepted ones nobody has seen yet what became of them.
        masks, planes = self._accepted.masks, self._accepted.planes
        changed = any(not np.array_equal(self._shown_in(planes[index], index), masks[index]) for index in masks)
        self._seen = None if changed else HeldVoxels(segmentation, segment_id)

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
            if index in self._accepted or index in self._found:
                continue
            image = self.stack.image(index)
            layers = layers_in(image, segmentation, geometry, self.stack.step)
            content = [one.read(segmentation, segment_id) for one in layers]
            if all(self.record.is_free(one, segment_id, held) for one, held in zip(layers, content, strict=True)):
                continue  # what a run wrote that was undone, and done again
            mask = segment_in_slice(image, segmentation, segment_id)
            if mask.any():
                self._accepted.put(index, mask, self.stack.planes[index], drawn=True)
                continue
            # Where the grid is finer than the volume, between slices; no example, but somebody's work.
            for voxels, held in zip(layers, content, strict=True):
                if held.any():
                    self.record.keep(voxels, segment_id)

    def release_drawn(self) -> None:
        """Vouch no longer for slices only because the segment was drawn there."""
        self._accepted.release_drawn()

    def check_open(self, first: int, last: int) -> None:
        """As :meth:`check_shown`, and see to it that there is something to find.

        Raises:
            InvalidReference: every slice from ``first`` to ``last`` is accepted, or none of these shows the segment.
        """
        self.check_shown(first, last)
        self._accepted.check_open(first, last)

    def check_shown(self, first: int, last: int) -> None:
        """See to it that there is something to find more of.

        Raises:
            InvalidReference: no accepted slice from ``first`` to ``last`` shows the segment.
        """
        if not self._accepted.shows(first, last):
            raise InvalidReference(
                "The range holds no slice in which the segment is drawn; widen the range, or show a slice inside it in "
                "which it is drawn."
            )

    def _look_again(
        self,
        index: int,
        changed: Sequence[SliceVoxels],
        undone: Sequence[SliceVoxels],
        geometry: slicer.vtkOrientedImageData,
    ) -> None:
        """Vouch for a slice as it is now, or no longer where what made it an example was undone.

        Args:
            index: a slice that is accepted or was changed.
            changed, undone: those of its layers that somebody changed, and those that were undone, since a run wrote.
            geometry: the grid.
        """
        plane = self._accepted.plane(index)
        if plane is None:
            self._accept_found(index, changed, geometry)
            return
        mask = self._shown_in(plane, index)
        if mask.any() and (changed or np.array_equal(mask, self._accepted.masks[index])):
            self._accept_as(index, mask, plane)
            return
        shown = voxels_in(self.stack.image_in(plane), self.target.segmentation, geometry).key
        if mask.any():
            if shown is None or not self._found.is_last_run_undone(standing_runs(self.target.segment())):
                self._accept_as(index, mask, plane)
            else:
                self._accepted.retract(index)  # What a run left, by undoing what somebody made of it.
            return
        # What a run found is emptied on purpose, also where the layer does not tell, as it does not in oblique slices.
        emptied = self._found.areas.get(index, 0) > 0 or not self._accepted.shows(index, index)
        if shown in [one.key for one in undone] or not (emptied or shown in [one.key for one in changed]):
            self._accepted.retract(index)
        else:
            self._accept_as(index, mask, plane)

    def _accept_found(self, index: int, changed: Sequence[SliceVoxels], geometry: slicer.vtkOrientedImageData) -> None:
        """Vouch for a slice that a run wrote as it is now, in the layer that it shows, or in a changed one."""
        segmentation, plane = self.target.segmentation, self.stack.planes[index]
        shown = voxels_in(self.stack.image(index), segmentation, geometry)
        if shown.key not in [one.key for one in changed]:
            plane = plane.moved_to(changed[0].middle(segmentation))
        self._accept(index, self._shown_in(plane, index), plane)

    def _accept_as(self, index: int, mask: Mask, plane: SlicePlane) -> None:
        """Vouch for an accepted slice as it is now."""
        before = self._accepted.mask(index)
        if before is None or not np.array_equal(mask, before):
            self._accept(index, mask, plane)

    def _record_as_it_is(self, held: Iterable[tuple[SliceVoxels, Mask]]) -> None:
        """A run wrote what the segment holds in some voxels."""
        standing = standing_runs(self.target.segment())
        for voxels, content in held:
            as_it_is = voxels.fingerprint(content)
            self.record.wrote(voxels, self.target.segment_id, as_it_is, as_it_is, standing)

    def _is_as_seen(self) -> bool:
        """Whether there is nothing new to see: looking through many slices takes far longer than comparing them all."""
        return self._seen is not None and self._seen.are_there_still()

    def _grid_before(self, geometry: slicer.vtkOrientedImageData) -> slicer.vtkOrientedImageData | None:
        """The grid that was written on, as large as the one of now; None where it still is that one."""
        if self._grid is None or grid_key(self._grid) == grid_key(geometry):
            return None
        return as_large(self._grid, geometry)

    def _shown_in(self, plane: SlicePlane, index: int) -> Mask:
        """The segment in a slice; of a segmentation finer than the volume, in the layer that the plane shows."""
        image = self.stack.image(index) if plane is self.stack.planes[index] else self.stack.image_in(plane)
        return segment_in_slice(image, self.target.segmentation, self.target.segment_id)

    def _accept(self, index: int, mask: Mask, plane: SlicePlane, *, drawn: bool | None = None) -> None:
        self._accepted.put(index, mask, plane, drawn=drawn)
        self._found.ever.add(index)
        self._found.confidence.pop(index, None)
