"""K-Prism from Python: the console, scripts and batch runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from KPrismLib.class_names import row_of_class
from KPrismLib.errors import InvalidPrompt, InvalidReference
from KPrismLogic.classes_through_volume import ClassesThroughVolume, segments_of_classes
from KPrismLogic.console_arguments import (
    check_editing,
    check_model,
    check_nodes,
    classes_of,
    guide_of,
    millimetres,
    offsets_of,
    plane_of,
    progress_of,
    strokes_of,
)
from KPrismLogic.console_propagations import ConsolePropagations
from KPrismLogic.console_run import ConsoleRun
from KPrismLogic.editor_undo import KeepState, keep_state
from KPrismLogic.guide import ReferenceSlice
from KPrismLogic.lost_ways import lost_ways
from KPrismLogic.model import Model
from KPrismLogic.runner import DirectRunner
from KPrismLogic.scene_library import TAKEN, known_elsewhere
from KPrismLogic.segment_editing import LogicEditor
from KPrismLogic.segments import existing_segment, find_or_add_segment, find_segment
from KPrismLogic.shared_propagations import SharedPropagations, shared_propagations
from KPrismLogic.slice_controller import SliceController
from KPrismLogic.slice_engine import Answer, SliceEngine, shared_engine
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_request import Request
from KPrismLogic.slice_source import SliceSource
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.target import Target
from KPrismLogic.temporary_editor import check_readable, temporary_editor
from KPrismLogic.volume_result import VolumeResult

if TYPE_CHECKING:
    import numpy.typing as npt
    import slicer

    from KPrismLogic.kept_propagations import KeptPropagations
    from KPrismLogic.volume_work import Step

#: (R, A, S) in mm, or (R, A, S, positive).
ClickRAS = Sequence[float]


class KPrismLogic:
    """Segments slices of volume nodes; needs no window.

    Each call that writes is one state of the Segment Editor's undo, if that editor shows the segmentation.

    Args:
        model: the model to use; None for the one that all editors share.
        saveState: called with the segmentation node before a call writes, for the undo of another editor.

    Raises:
        InvalidConfig: something else than a model.

    Example:
        >>> import KPrism                                                                  # doctest: +SKIP
        >>> logic = KPrism.KPrismLogic()                                                   # doctest: +SKIP
        >>> ct, segmentation = slicer.util.getNode("CT"), slicer.util.getNode("Organs")    # doctest: +SKIP
        >>> logic.segmentSlice(ct, segmentation, "Liver", offset=-120.0, cls="liver")      # doctest: +SKIP
        >>> logic.segmentSlice(ct, segmentation, "Cyst", clicks=[(-31.5, 12.0, -120.0)])   # doctest: +SKIP
        >>> known = logic.referenceSlice(ct, segmentation, "Liver", offset=-120.0)         # doctest: +SKIP
        >>> logic.segmentSlice(ct, segmentation, "Liver", offset=-115.0, reference=[known])  # doctest: +SKIP
        >>> best = logic.findReferences(ct, segmentation, "Liver", offset=-115.0)          # doctest: +SKIP
        >>> result = logic.propagate(ct, segmentation, "Liver", offsets=[-120.0])          # doctest: +SKIP
        >>> result.leastCertain                                                            # doctest: +SKIP
        >>> logic.segmentVolume(ct, segmentation, ["liver", "spleen"])                     # doctest: +SKIP
    """

    def __init__(self, model: Model | None = None, *, saveState: KeepState = keep_state) -> None:
        check_model(model)
        self.engine = shared_engine() if model is None else SliceEngine(model)
        self.model = self.engine.model
        self._save_state = saveState
        self._kept = shared_propagations() if model is None else SharedPropagations(model)

    @functools.cached_property
    def propagations(self) -> KeptPropagations:
        """What runs have found, and the next ones go on from."""
        return self._kept.join(self)

    def classes(self) -> tuple[str, ...]:
        """The classes that the model knows; loads it."""
        return self.model.predictor().classes

    def segmentSlice(
        self,
        volumeNode: slicer.vtkMRMLVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        segment: str,
        *,
        plane: str | SlicePlane | slicer.vtkMRMLSliceNode = "axial",
        offset: float | None = None,
        cls: str | None = None,
        reference: ReferenceSlice | Sequence[ReferenceSlice] = (),
        clicks: Sequence[ClickRAS] | npt.NDArray[Any] = (),
        scribbles: Sequence[Sequence[ClickRAS] | npt.NDArray[Any]] = (),
        editorNode: slicer.vtkMRMLSegmentEditorNode | None = None,
    ) -> Answer:
        """Segment one slice and write it into a segment; every other slice stays as it is.

        With a class or references the segment's slice is replaced; with clicks and scribbles alone it is refined.

        Args:
            volumeNode: scalar or colour volume.
            segmentationNode: where the segment is, or will be.
            segment: name or ID; a name that does not exist yet becomes a segment.
            plane: "axial", "coronal", "sagittal" (of an oblique volume: its own nearest slices), a plane, or a view.
            offset: S, A or R coordinate in mm of an axial, coronal or sagittal slice, measured in the middle of the
                volume; None for the slice of the first click, else the middle one. A plane or view has none.
            cls: a class of :meth:`classes`.
            reference: segmented slices from :meth:`referenceSlice`, or one.
            clicks: points (R, A, S) in mm, a list or an array, not farther than half a slice from the slice; a fourth
                value that is false makes a click negative.
            scribbles: strokes, each a sequence of points like those of ``clicks``; the first point's sign counts.
            editorNode: whose masks and overwrite rules hold; None edits everywhere and leaves all other segments.

        Returns:
            The predicted mask (rows, columns) of the slice, with its time.

        Raises:
            KPrismError: one sentence on what is wrong; nothing is written then.
        """
        check_editing(volumeNode, segmentationNode, editorNode, segment)
        guide, strokes = guide_of(cls, reference), strokes_of(clicks, scribbles)
        if not (guide or strokes):
            raise InvalidPrompt("Nothing says what to segment; give cls, reference, clicks or scribbles.")
        where = plane_of(volumeNode, plane, offset, strokes)
        existed = find_segment(segmentationNode, segment) is not None
        segment_id = find_or_add_segment(segmentationNode, segment, guide.cls)
        answers: list[Answer] = []
        try:
            with temporary_editor(volumeNode, segmentationNode, segment_id, editorNode) as parameters:
                controller = self._controller(parameters, answers.append)
                target = Target(volumeNode, segmentationNode, segment_id, where)
                controller.ask(Request(target, guide, strokes, anew=bool(guide), continues=False))
        finally:
            if not (answers or existed):
                segmentationNode.GetSegmentation().RemoveSegment(segment_id)
        return answers[0]

    def referenceSlice(
        self,
        volumeNode: slicer.vtkMRMLVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        segment: str,
        *,
        plane: str | SlicePlane | slicer.vtkMRMLSliceNode = "axial",
        offset: float | None = None,
    ) -> ReferenceSlice:
        """A segmented slice to give as an example; arguments as for :meth:`segmentSlice`.

        Raises:
            InvalidReference: nothing of the segment in the slice.
            InvalidMask: no such segment, or segments that are stored as surfaces.
        """
        check_nodes(volumeNode, segmentationNode, segment)
        check_readable(segmentationNode)
        where = plane_of(volumeNode, plane, offset)
        segment_id = existing_segment(segmentationNode, segment)
        return ReferenceSlice.of_segment(volumeNode, segmentationNode, segment_id, where)

    def findReferences(
        self,
        volumeNode: slicer.vtkMRMLVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        segment: str,
        *,
        plane: str | SlicePlane | slicer.vtkMRMLSliceNode = "axial",
        offset: float | None = None,
        count: int = TAKEN,
    ) -> list[ReferenceSlice]:
        """The slices of other volumes that suit a slice best, best first; arguments as for :meth:`segmentSlice`.

        They come from all volumes of the scene in which a segment of the same name is drawn.

        Args:
            volumeNode, segmentationNode, segment, plane, offset: the slice and the structure, whose segment may be
                empty.
            count: how many at most.

        Raises:
            InvalidReference: no other volume has such a segment.
            InvalidConfig: ``count`` below 1.
            InvalidMask: no such segment.
        """
        check_nodes(volumeNode, segmentationNode, segment)
        where = plane_of(volumeNode, plane, offset)
        segment_id = existing_segment(segmentationNode, segment)
        source = SliceSource.of(volumeNode, cut(volumeNode, where))
        known = [reference for reference, _ in known_elsewhere(volumeNode, segmentationNode, segment_id, where)]
        name = segmentationNode.GetSegmentation().GetSegment(segment_id).GetName()
        return self.engine.best_references(source, known, count, name)

    def propagate(
        self,
        volumeNode: slicer.vtkMRMLVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        segment: str,
        *,
        plane: str | SlicePlane | slicer.vtkMRMLSliceNode = "axial",
        offsets: float | Sequence[float | None] | None = (None,),
        first: float | None = None,
        last: float | None = None,
        cls: str | None = None,
        keepDrawn: bool = False,
        learn: bool = False,
        progress: Callable[[int, int], bool | None] | None = None,
        editorNode: slicer.vtkMRMLSegmentEditorNode | None = None,
    ) -> VolumeResult:
        """Carry a segment from slices in which it is segmented through their neighbours, until it ends.

        It goes on from what the last call, the effect or the panel found of the segment in this plane: slices that were
        given before, or that somebody changed since, stay as they are, and only what depends on new ones is computed
        again.

        Args:
            volumeNode, segmentationNode, segment, plane, editorNode: as for :meth:`segmentSlice`.
            offsets: coordinates in mm of the segmented slices, or one; None for that of a view, else the middle one.
            first, last: coordinates in mm of the range, in any order; None for the end of the volume.
            cls: a class of :meth:`classes`, in any spelling, that helps where it finds the given slices; None for that
                of the segment's name, if there is one.
            keepDrawn: take every other slice that holds the segment, and that no run wrote, as segmented, too, and
                leave it as it is; not for oblique planes, whose slices share voxels.
            learn: learn the structure from the segmented slices before, which takes seconds on a GPU and up to half a
                minute on a CPU. It pays off where the model does not know the structure or the kind of image; the
                more slices, the better.
            progress: called with (slices written, slices in the range) after each, and with (0, slices in the range)
                after each step of learning; returning False stops there. None for no progress.

        Returns:
            What was written, with a confidence for each slice, and where and why it went no further.

        Raises:
            KPrismError: one sentence on what is wrong; slices written before stay.
        """
        check_editing(volumeNode, segmentationNode, editorNode, segment)
        told = progress_of(progress)
        segment_id = existing_segment(segmentationNode, segment)
        asked_for = guide_of(cls, None).cls
        known = [plane_of(volumeNode, plane, offset) for offset in offsets_of(offsets)]
        if not known:
            raise InvalidReference("Give at least one slice in which the segment is segmented.")
        class_name = None if asked_for is None else self._known_class(asked_for)
        going_on = ConsolePropagations(self.propagations, editorNode)
        target = Target(volumeNode, segmentationNode, segment_id, known[0])
        run = going_on.continued(target, known[1:], class_name, keep_drawn=keepDrawn)
        start, end = run.stack.within(millimetres("first", first), millimetres("last", last))
        if keepDrawn:
            run.check_open(start, end)
        run.check_shown(start, end)
        pieces = run.through(start, end, learn=learn)
        with going_on.keeping(run):
            result = ConsoleRun(self.engine, self._save_state, editorNode, told, run.note).through_volume(
                volumeNode, segmentationNode, segment_id, run.stack, pieces, end - start + 1, records=run.records
            )
        remark = " ".join(filter(None, (result.remark, lost_ways(run))))
        return replace(result, ends=run.ends, remark=remark)

    def segmentVolume(
        self,
        volumeNode: slicer.vtkMRMLVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        classes: Iterable[str],
        *,
        plane: str | SlicePlane | slicer.vtkMRMLSliceNode = "axial",
        first: float | None = None,
        last: float | None = None,
        everyPiece: bool = False,
        progress: Callable[[int, int], bool | None] | None = None,
        editorNode: slicer.vtkMRMLSegmentEditorNode | None = None,
    ) -> VolumeResult:
        """Segment classes in every slice; a voxel that several are sure of goes to the most probable.

        What is hardly certain in a slice is left out, and at the end what is not the structure that a class is surest
        of, or that another class is surer of. A run that is stopped before leaves what was found slice by slice.
        Slices that are examples of a propagation by then stay as they are.

        Args:
            volumeNode, segmentationNode, plane, editorNode: as for :meth:`segmentSlice`.
            classes: classes of :meth:`classes`, in any spelling; each becomes the segment of its name there.
            everyPiece: leave nothing out, as for lesions of all sizes.
            first, last, progress: as for :meth:`propagate`.

        Returns:
            What was written, with a confidence for each slice that shows something: that of its least certain class.

        Raises:
            KPrismError: one sentence on what is wrong; slices written before stay.
        """
        names = classes_of(classes)
        check_editing(volumeNode, segmentationNode, editorNode, *names)
        names = list(dict.fromkeys(map(self._known_class, names)))
        told = progress_of(progress)
        where = plane_of(volumeNode, plane, None)
        stack = SliceStack.through(volumeNode, where)
        start, end = stack.within(millimetres("first", first), millimetres("last", last))
        before = set(segmentationNode.GetSegmentation().GetSegmentIDs())
        segment_ids = segments_of_classes(segmentationNode, names)
        new = set(segment_ids) - before
        going_on = ConsolePropagations(self.propagations, editorNode)
        targets = [Target(volumeNode, segmentationNode, one, where) for one in segment_ids]
        runs = going_on.before_classes(targets, names)
        kept = {one.target.segment_id: one.accepted for one in runs}
        through = ClassesThroughVolume(stack, segmentationNode, names, segment_ids, every_piece=everyPiece, kept=kept)
        pieces = functools.partial(through.pieces, first=start, last=end)
        records = {one.target.segment_id: one.record for one in runs}

        def note(step: Step) -> None:
            for run in runs:
                run.note_class(step)

        with going_on.keeping(*runs):
            return ConsoleRun(self.engine, self._save_state, editorNode, told, note).through_volume(
                volumeNode, segmentationNode, segment_ids[0], stack, pieces, end - start + 1, new, records
            )

    def _known_class(self, cls: str) -> str:
        """A class in the model's own spelling."""
        known = self.classes()
        return known[row_of_class(cls, known)]

    def _controller(self, parameters: Any, report: Callable[[Answer], None]) -> SliceController:
        editor = LogicEditor(parameters, self._save_state)
        return SliceController(editor, self.engine, DirectRunner(), report=report, fail=_raise)


def _raise(error: Exception) -> NoReturn:
    raise error
