"""Writing a whole volume slice by slice as the model gives it: live, with progress, one undo state, and an end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLib.errors import InvalidImage, KPrismError
from KPrismLogic.grid_coverage import nothing_covered, pixels_outside
from KPrismLogic.labelmaps import Mask, grid_key
from KPrismLogic.lesson import Lesson
from KPrismLogic.oblique_voxels import ObliqueVoxels
from KPrismLogic.resting_surfaces import RestingSurfaces
from KPrismLogic.run_tally import RunTally
from KPrismLogic.segment_editing import Editor, write_voxels
from KPrismLogic.slice_voxels import SliceVoxels, layers_in, voxels_in
from KPrismLogic.standing_runs import StandingRun, changed_by, new_run, standing_runs
from KPrismLogic.target import NoLongerWanted
from KPrismLogic.volume_piece import Piece
from KPrismLogic.volume_work import Pieces, Step, VolumeWork
from KPrismLogic.written_slices import WrittenSlices

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_engine import SliceEngine
    from KPrismLogic.slice_stack import SliceStack


#: Voxels, which of them shall belong to a segment, and which do.
_Wanted = tuple[SliceVoxels, Mask, Mask]


class VolumeRun:
    """Runs once; every method is for the main thread.

    Args:
        editor: where masks are written; it keeps the undo state of the run.
        engine: whose model works.
        runner: where it works.
        volume, segmentation: the nodes.
        stack: the slices of the volume.
        records: what earlier runs wrote of each segment, by its ID; of others nothing is known.
        progress: called with each piece that was written and each lesson, and how many slices are reached so far;
            false stops the run there.
        finished: called once at the end with None, or with what ended the run; it is an error, too, when the
            segmentation's grid covers nothing of what was found.
    """

    def __init__(
        self,
        editor: Editor,
        engine: SliceEngine,
        runner: Runner,
        volume: slicer.vtkMRMLVolumeNode,
        segmentation: slicer.vtkMRMLSegmentationNode,
        stack: SliceStack,
        *,
        records: Mapping[str, WrittenSlices] | None = None,
        progress: Callable[[Step, int], bool],
        finished: Callable[[Exception | None], None],
    ) -> None:
        self._editor, self._engine, self._runner = editor, engine, runner
        self._volume, self._segmentation, self._stack = volume, segmentation, stack
        self._content = segmentation.GetSegmentation()
        self._records = defaultdict(WrittenSlices, records or {})
        self._progress, self._finished = progress, finished
        # Nothing of the main thread goes to the other one, which would destroy what is closed meanwhile.
        self._work: VolumeWork | None = None  # while the run is under way
        self._name = new_run()
        self._grid: tuple[float, ...] = ()  # of the segmentation, as long as the run lasts
        self._begun = False  # whether the undo state of the run is kept
        self._changed: dict[str, int] = {}  # how often, by segment
        self._surfaces = RestingSurfaces(segmentation)
        self._tally = RunTally()

    @property
    def done(self) -> int:
        """How many slices were reached."""
        return self._tally.done

    @property
    def written(self) -> int:
        """How many slices were reached, without those that the editor's masks left as they were."""
        return self._tally.written

    @property
    def has_changed_something(self) -> bool:
        """Whether any voxel was to be changed."""
        return self._begun

    @property
    def remark(self) -> str:
        """Something the user should know at the end, or ""."""
        return self._tally.remark

    def start(self, pieces: Pieces) -> None:
        """Begin."""
        self._work = VolumeWork(self._engine, self._stack, pieces)
        self._runner.submit(self._work.step, self._on_step)

    def cancel(self) -> None:
        """End now; what is written stays."""
        if self._work is not None:
            self._runner.close()
            self._end(None)

    def _on_step(self, done: Future[Any]) -> None:
        if self._work is None:
            return
        # Not raised here, where its traceback would hold whoever holds it: a circle, and this run in it.
        failure = done.exception()
        if failure is not None:
            if self._fail(failure):
                raise failure
            return
        try:
            step = done.result()
            going_on = step is not None and self._take(step)
            self._tally.complete = step is None
        except Exception as error:
            if self._fail(error):
                raise
            return
        if self._work is None:
            return  # Cancelled by what was told of the progress.
        if going_on:
            self._runner.submit(self._work.step, self._on_step)
        elif self._tally.is_covered:
            self._end(None)
        else:
            self._end(nothing_covered())

    def _fail(self, error: BaseException) -> bool:
        """End; -> whether this is a defect: the user learns of it, and the log gets the whole story."""
        if isinstance(error, Exception):
            self._end(error)
        return not isinstance(error, (KPrismError, ImportError))

    def _end(self, error: Exception | None) -> None:
        work, self._work = self._work, None  # whatever happens meanwhile, it ends once
        if work is not None:
            work.end()
            self._tally.left_gpu = work.left_gpu
            self._surfaces.renew()
        finished = self._finished
        # These may hold this run, and a circle is left to the collector, which destroys the nodes on any thread.
        self._progress, self._finished = lambda *_: False, lambda _: None
        finished(error)

    def _take(self, step: Step) -> bool:
        """Write and tell what came; -> whether to go on."""
        self._check()
        geometry = self._geometry()
        if isinstance(step, Lesson):
            return self._progress(step, self.done)
        return self._write(step, geometry)

    def _geometry(self) -> slicer.vtkOrientedImageData:
        """The grid to write on, which stays the same as long as the run lasts."""
        geometry = self._editor.geometry()
        if geometry is None:
            raise InvalidImage("The segmentation has no geometry; choose a source volume first.")
        self._grid = self._grid or grid_key(geometry)
        if grid_key(geometry) != self._grid:
            # What is written is known by its voxels, so that in others nobody could tell what the user changed.
            raise NoLongerWanted("The segmentation's geometry was changed; the rest was not segmented.")
        return geometry

    def _write(self, piece: Piece, geometry: slicer.vtkOrientedImageData) -> bool:
        image = self._stack.image(piece.index)
        for segment_id in piece.masks:
            if self._segmentation.GetSegmentation().GetSegment(segment_id) is None:
                raise NoLongerWanted("The segment was deleted; the rest was not segmented.")
        if self._is_undone():
            raise NoLongerWanted("The segment was undone meanwhile; the rest was not segmented.")
        layers = layers_in(image, self._segmentation, geometry, self._stack.step)
        found = outside = 0
        # Of all segments before any is written: that may take voxels from the others.
        wanted: dict[str, list[_Wanted]] = {}
        for segment_id, whole in piece.masks.items():
            mask = whole & image.inside
            if piece.accepted is None:
                wanted[segment_id] = list(self._put(layers, segment_id, mask))
                found += int(mask.sum())
                outside += pixels_outside(image, mask, self._segmentation, geometry)
            else:
                shown = voxels_in(self._stack.image_in(piece.accepted), self._segmentation, geometry)
                wanted[segment_id] = list(self._fill(layers, shown, segment_id, mask))
        for segment_id, places in wanted.items():
            self._change(piece.index, segment_id, places)
        if piece.accepted is not None:
            self._tally.give()
            return True
        self._tally.reach(piece.index, found=found, outside=outside)
        return self._progress(piece, self.done)

    def _put(self, layers: Sequence[SliceVoxels], segment_id: str, mask: Mask) -> Iterator[_Wanted]:
        """A mask of the slice, in those of its layers that nobody changed."""
        standing = standing_runs(self._segment(segment_id))
        for voxels in layers:
            content = voxels.read(self._segmentation, segment_id)
            if self._records[segment_id].is_ours(voxels, segment_id, content, standing):
                yield voxels, voxels.wanted(mask, content), content

    def _fill(
        self, layers: Sequence[SliceVoxels], shown: SliceVoxels, segment_id: str, mask: Mask
    ) -> Iterator[_Wanted]:
        """What the shown layer holds, in those beside it that hold nothing of their own."""
        for voxels in layers:
            if voxels.key is None or shown.key is None:
                if isinstance(voxels, ObliqueVoxels) and isinstance(shown, ObliqueVoxels):
                    content = voxels.read(self._segmentation, segment_id)
                    yield voxels, content | (voxels.wanted(mask, content) & voxels.beyond(shown)), content
            elif voxels.key != shown.key:
                content = voxels.read(self._segmentation, segment_id)
                if self._records[segment_id].is_free(voxels, segment_id, content):
                    yield voxels, shown.read(self._segmentation, segment_id), content

    def _change(self, index: int, segment_id: str, places: Sequence[_Wanted]) -> None:
        """Write into a slice, and put on record what became of it."""
        asked = [not np.array_equal(wanted, content) for _, wanted, content in places]
        if any(asked):
            self._tally.ask_for_change(index)
            if not self._begun:
                self._editor.save_state()
                self._begun = True
        write_voxels(self._editor, segment_id, places, self._surfaces)
        left = [voxels.read(self._segmentation, segment_id) for voxels, _, _ in places]
        changed = [not np.array_equal(after, content) for after, (_, _, content) in zip(left, places, strict=True)]
        if any(changed):
            self._tally.change(index)
            self._changed[segment_id] = self._changed.get(segment_id, 0) + 1
            changed_by(self._segment(segment_id), StandingRun(self._name, self._changed[segment_id]))
        standing = standing_runs(self._segment(segment_id))
        for number, (voxels, _, content) in enumerate(places):
            if asked[number] and not changed[number]:
                continue  # masks let nothing be written: it is no run's work
            before, after = voxels.fingerprint(content), voxels.fingerprint(left[number])
            self._records[segment_id].wrote(voxels, segment_id, before, after, standing)

    def _segment(self, segment_id: str) -> slicer.vtkSegment:
        return self._segmentation.GetSegmentation().GetSegment(segment_id)

    def _is_undone(self) -> bool:
        """Whether anything that the run changed is again as it was before."""
        changed = [(self._segment(one), StandingRun(self._name, step)) for one, step in self._changed.items()]
        return any(segment is not None and not run.is_in(standing_runs(segment)) for segment, run in changed)

    def _check(self) -> None:
        if self._segmentation.GetScene() is None:
            raise NoLongerWanted("The segmentation was closed; the rest was not segmented.")
        if self._segmentation.GetSegmentation() is not self._content:
            # As a sequence browser does for its next frame, in which segments have the same IDs.
            raise NoLongerWanted("Another segmentation is shown by now; the rest was not segmented.")
        if self._volume.GetScene() is None or not self._stack.fits(self._volume, self._stack.planes[0]):
            raise NoLongerWanted("The volume was closed or changed; the rest was not segmented.")
