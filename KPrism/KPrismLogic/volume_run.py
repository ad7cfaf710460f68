"""Writing a whole volume slice by slice as the model gives it: live, with progress, one undo state, and an end."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from KPrismLib.errors import InvalidImage, KPrismError
from KPrismLogic.labelmaps import Mask, fingerprint
from KPrismLogic.oblique_voxels import ObliqueVoxels
from KPrismLogic.segment_editing import Editor, write_voxels
from KPrismLogic.slice_voxels import SliceVoxels, layers_in, voxels_in
from KPrismLogic.target import NoLongerWanted

if TYPE_CHECKING:
    import slicer

    from KPrismLib.intensity import IntensityWindow
    from KPrismLib.predictor import Predictor
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_engine import SliceEngine
    from KPrismLogic.slice_plane import SlicePlane
    from KPrismLogic.slice_stack import SliceStack


@dataclass(frozen=True, eq=False)
class Piece:
    """What is to be written into one slice.

    Attributes:
        index: the slice of the stack.
        masks: bool (rows, columns) of the slice for each segment ID.
        confidence: in [0, 1], or None where nothing says how sure the model is.
        accepted: the plane of a slice that stays as it is. Where the segmentation has several layers for it, those
            that hold nothing of their own get what the layer in this plane holds.
    """

    index: int
    masks: Mapping[str, Mask]
    confidence: float | None = None
    accepted: SlicePlane | None = None

    @property
    def area(self) -> int:
        """Pixels of all masks."""
        return sum(int(mask.sum()) for mask in self.masks.values())


Where = TypeVar("Where", int, float)


def most_in_doubt(confidence: Mapping[Where, float | None], area: Mapping[Where, int]) -> Where | None:
    """Of slices the one to look at next, as the engine has it; None when no slice has a confidence.

    Args:
        confidence: in [0, 1] by slice; None where nothing says how sure the model is.
        area: pixels of the mask by slice.
    """
    from KPrismLib.volumes.slice_result import pixels_in_doubt

    doubt = {where: pixels_in_doubt(sure, area[where]) for where, sure in confidence.items() if sure is not None}
    return max(doubt, key=lambda where: (doubt[where], -where), default=None)


#: Voxels by their key, and a segment.
_Place = tuple[Hashable, str]


class WrittenSlices:
    """What runs wrote into slices, to know what somebody changed there since: that is never written over.

    Oblique slices share voxels, so that in one of them nobody can tell who changed what; they are written as they come.
    """

    def __init__(self) -> None:
        # By layer and segment: all that runs left there, all that they found, and the last run that changed it.
        self._left: dict[_Place, set[bytes]] = {}
        self._found: dict[_Place, set[bytes]] = {}
        self._changed_by: dict[_Place, int] = {}
        self._runs = 0

    def begin(self) -> None:
        """A run begins."""
        self._runs += 1

    def is_ours(self, voxels: SliceVoxels, segment_id: str, content: Mask) -> bool:
        """Whether a segment holds what a run wrote or found there; where no run was yet, all is to be written over."""
        place = voxels.key, segment_id
        return place not in self._left or fingerprint(content) in self._left[place] | self._found[place]

    def is_free(self, voxels: SliceVoxels, segment_id: str, content: Mask) -> bool:
        """Whether nobody but a run put anything there."""
        return not content.any() or fingerprint(content) in self._left.get((voxels.key, segment_id), ())

    def changed(self, holdings: Iterable[tuple[SliceVoxels, str, Mask]]) -> list[SliceVoxels]:
        """Those of all written voxels, each with a segment and what it holds of it, that somebody changed since.

        What holds again what a run found there was undone, if all is undone that this run changed; otherwise somebody
        took it away.
        """
        changed, back, standing = [], [], set()
        for voxels, segment_id, content in holdings:
            place, now = (voxels.key, segment_id), fingerprint(content)
            if now in self._left.get(place, (now,)):
                standing.add(self._changed_by.get(place))
            elif now in self._found[place]:
                back.append((voxels, self._changed_by.get(place)))
            else:
                changed.append(voxels)
        return changed + [voxels for voxels, run in back if run in standing]

    def keep(self, voxels: SliceVoxels, segment_id: str) -> None:
        """What a segment holds there is somebody else's."""
        self._left.setdefault((voxels.key, segment_id), set())
        self._found.setdefault((voxels.key, segment_id), set())

    def wrote(self, voxels: SliceVoxels, segment_id: str, before: Mask, after: Mask) -> None:
        """A run wrote a slice."""
        if voxels.key is not None:
            place, found, left = (voxels.key, segment_id), fingerprint(before), fingerprint(after)
            self._found.setdefault(place, set()).add(found)
            self._left.setdefault(place, set()).add(left)
            if found != left:
                self._changed_by[place] = self._runs


@dataclass(frozen=True, eq=False)
class _Change:
    """What a segment held in some voxels before the run, and after a slice was written."""

    voxels: SliceVoxels
    segment_id: str
    before: bytes
    after: bytes

    def is_undone(self, segmentation: slicer.vtkMRMLSegmentationNode) -> bool:
        """Whether the segment holds again what it held; of an oblique slice, whether it holds anything else.

        Undo brings back what was there before the run, which in shared voxels is not what was there before the slice.
        """
        now = fingerprint(self.voxels.read(segmentation, self.segment_id))
        return now != self.after if self.voxels.key is None else now == self.before


#: Voxels, which of them shall belong to a segment, and which do.
_Wanted = tuple[SliceVoxels, Mask, Mask]

#: Makes the pieces; called beside the main thread, as is every step of what it returns.
Pieces = Callable[["Predictor", "IntensityWindow"], Iterator[Piece]]


class VolumeRun:
    """Runs once; every method is for the main thread.

    Args:
        editor: where masks are written; it keeps the undo state of the run.
        engine: whose model works.
        runner: where it works.
        volume, segmentation: the nodes.
        stack: the slices of the volume.
        record: what earlier runs wrote; None for nothing.
        progress: called with each piece that was written, and how many slices there are so far; false stops the run
            there.
        finished: called once at the end with None, or with what ended the run.
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
        record: WrittenSlices | None = None,
        progress: Callable[[Piece, int], bool],
        finished: Callable[[Exception | None], None],
    ) -> None:
        self._editor, self._engine, self._runner = editor, engine, runner
        self._volume, self._segmentation, self._stack = volume, segmentation, stack
        self._record = WrittenSlices() if record is None else record
        self._progress, self._finished = progress, finished
        self._iterator: Iterator[Piece] | None = None
        self._running = False
        self._before: dict[_Place, bytes] = {}  # what there was before the run
        self._begun = False  # whether the undo state of the run is kept
        self._last: list[_Change] = []  # of the last piece that changed something
        self._reached: set[int] = set()  # slices; a run may come back to one

    @property
    def done(self) -> int:
        """How many slices were written."""
        return len(self._reached)

    def start(self, pieces: Pieces) -> None:
        """Begin."""
        self._running = True
        self._record.begin()
        self._runner.submit(lambda: self._first(pieces), self._on_piece)

    def cancel(self) -> None:
        """End now; what is written stays."""
        if self._running:
            self._running = False
            self._runner.close()
            self._finished(None)

    def _first(self, pieces: Pieces) -> Piece | None:
        def begin(predictor: Predictor) -> Piece | None:
            self._iterator = pieces(predictor, self._engine.window_of(self._stack))
            return next(self._iterator, None)

        return self._engine.lend(begin)

    def _next(self) -> Piece | None:
        iterator = self._iterator
        return None if iterator is None else self._engine.lend(lambda _: next(iterator, None))

    def _on_piece(self, done: Future[Any]) -> None:
        if not self._running:
            return
        try:
            piece = done.result()
            going_on = piece is not None and self._write(piece)
        except Exception as error:
            self._end(error)
            if not isinstance(error, (KPrismError, ImportError)):
                raise  # A defect: the user learns of it, and the log gets the whole story.
            return
        if not self._running:
            return  # Cancelled by what was told of the progress.
        if going_on:
            self._runner.submit(self._next, self._on_piece)
        else:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        self._running = False
        self._finished(error)

    def _write(self, piece: Piece) -> bool:
        self._check()
        image, geometry = self._stack.image(piece.index), self._editor.geometry()
        if geometry is None:
            raise InvalidImage("The segmentation has no geometry; choose a source volume first.")
        if self._last and all(change.is_undone(self._segmentation) for change in self._last):
            raise NoLongerWanted("The segment was undone meanwhile; the rest was not segmented.")
        layers = layers_in(image, self._segmentation, geometry, self._stack.step)
        changes: list[_Change] = []
        for segment_id, mask in piece.masks.items():
            if self._segmentation.GetSegmentation().GetSegment(segment_id) is None:
                raise NoLongerWanted("The segment was deleted; the rest was not segmented.")
            if piece.accepted is None:
                places = self._put(layers, segment_id, mask & image.inside)
            else:
                shown = voxels_in(self._stack.image_in(piece.accepted), self._segmentation, geometry)
                places = self._fill(layers, shown, segment_id, mask & image.inside)
            changes += self._change(segment_id, list(places))
        self._last = changes or self._last
        if piece.accepted is not None:
            return True
        self._reached.add(piece.index)
        return self._progress(piece, self.done)

    def _put(self, layers: Sequence[SliceVoxels], segment_id: str, mask: Mask) -> Iterator[_Wanted]:
        """A mask of the slice, in those of its layers that nobody changed."""
        for voxels in layers:
            content = voxels.read(self._segmentation, segment_id)
            if self._record.is_ours(voxels, segment_id, content):
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
                if self._record.is_free(voxels, segment_id, content):
                    yield voxels, shown.read(self._segmentation, segment_id), content

    def _change(self, segment_id: str, places: Sequence[_Wanted]) -> Iterator[_Change]:
        """Write, and tell what changed."""
        if not self._begun and any(not np.array_equal(wanted, content) for _, wanted, content in places):
            self._editor.save_state()
            self._begun = True
        write_voxels(self._editor, segment_id, places)
        for voxels, _, content in places:
            after = voxels.read(self._segmentation, segment_id)
            self._record.wrote(voxels, segment_id, content, after)
            before = fingerprint(content)
            if voxels.key is not None:
                before = self._before.setdefault((voxels.key, segment_id), before)
            if before != fingerprint(after):
                yield _Change(voxels, segment_id, before, fingerprint(after))

    def _check(self) -> None:
        if self._segmentation.GetScene() is None:
            raise NoLongerWanted("The segmentation was closed; the rest was not segmented.")
        if self._volume.GetScene() is None or not self._stack.fits(self._volume, self._stack.planes[0]):
            raise NoLongerWanted("The volume was closed or changed; the rest was not segmented.")
