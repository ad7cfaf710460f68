"""The module panel: the model, and segmenting without the Segment Editor."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import slicer

from KPrismDesktop.confidence_view import ConfidenceView
from KPrismDesktop.desktop_run import DesktopRun
from KPrismDesktop.model_section import ModelSection
from KPrismDesktop.panel_targets import PanelTargets
from KPrismDesktop.qt_pump import QtPump
from KPrismDesktop.run_progress import RunProgress, advice
from KPrismDesktop.scene_link import SceneLink
from KPrismDesktop.slice_range import SliceRange
from KPrismLib.errors import InvalidPrompt, KPrismError
from KPrismLogic.classes_through_volume import ClassesThroughVolume
from KPrismLogic.editor_undo import keep_state
from KPrismLogic.readiness import classes_of
from KPrismLogic.runner import ThreadRunner
from KPrismLogic.segment_editing import LogicEditor
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.shared_propagations import shared_propagations
from KPrismLogic.slice_plane import NORMAL_AXES, SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.target import Target
from KPrismLogic.temporary_editor import temporary_editor

if TYPE_CHECKING:
    from KPrismLogic.logic import KPrismLogic
    from KPrismLogic.volume_work import Step


class ModulePanel:
    """The panel's widgets and what they do.

    Args:
        ui_file: the ``.ui`` file of the panel.
        logic: the console's logic, whose model this panel chooses.
    """

    def __init__(self, ui_file: str, logic: KPrismLogic) -> None:
        self._logic = logic
        self.widget = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self._runner = ThreadRunner(QtPump())
        self._run: DesktopRun | None = None
        self._runs = shared_propagations().join(self)
        self._last: SegmentPropagation | None = None  # of those that were kept for the run that is under way
        self._targets = PanelTargets(self.ui)
        self._note: Callable[[Step], None] = _forget  # takes up what the run that is under way writes
        self._model = ModelSection(self.ui, logic.engine, self._show_classes)
        self._scene = SceneLink(self.ui, self._forget_scene)
        ui = self.ui
        ui.planeBox.addItems(list(NORMAL_AXES))
        self._slices = SliceRange(ui.rangeWidget)
        self._confidence = ConfidenceView(ui.confidenceLabel, ui.leastCertainButton)
        self._progress = RunProgress(ui.progressBar, ui.cancelButton)
        ui.segmentButton.connect("clicked()", self._on_segment)
        ui.propagateButton.connect("clicked()", self._on_propagate)
        ui.classVolumeButton.connect("clicked()", self._on_class_volume)
        ui.leastCertainButton.connect("clicked()", self._confidence.go)
        ui.cancelButton.connect("clicked()", self._on_cancel)
        ui.planeBox.connect("currentIndexChanged(int)", self._show_range)
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._show_range)
        for signal, widget in (
            ("currentIndexChanged(int)", ui.planeBox),
            ("currentNodeChanged(vtkMRMLNode*)", ui.volumeSelector),
            ("currentNodeChanged(vtkMRMLNode*)", ui.segmentationSelector),
            ("textChanged(QString)", ui.segmentEdit),
        ):
            widget.connect(signal, self._show_confidence)
        self._show_classes()
        self._show_running(False)
        self.enter()

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None

    def enter(self) -> None:
        """The panel is shown: follow the scene."""
        self._model.show_choices()
        self._model.show()
        self._scene.enter()
        self._forget_what_is_gone()
        self._show_range()

    def exit(self) -> None:
        """Another module is shown: do not follow the scene."""
        self._scene.exit()

    def close(self) -> None:
        """Leave nothing behind."""
        self._on_cancel()
        shared_propagations().leave(self)
        self._confidence.show(None)
        self._scene.close()
        self._model.close()
        self._runner.close()
        # A reload only hides the old panel, and its lists would go on telling of the scene.
        self.widget.setMRMLScene(None)

    def _forget_scene(self) -> None:
        self._on_cancel()
        self._runs.clear()
        self._slices.forget()
        self._confidence.show(None)

    def _forget_what_is_gone(self) -> None:
        if not self.busy:
            self._runs.forget_what_is_gone()
            self._show_confidence()

    def _show_confidence(self, *_: Any) -> None:
        """How sure the model was along the slices of the chosen segment, or is while a run is under way."""
        if not self.busy:
            target = self._targets.existing()
            self._confidence.show(None if target is None else self._runs.of(target))

    def _on_segment(self) -> None:
        """Segment the shown slice by the chosen class."""
        with self._telling():
            self._check_ready()
            class_name = self._class_name()
            target = self._targets.chosen(class_name)
            self._begin().segment_slice(target, class_name)

    def _on_propagate(self) -> None:
        """Carry the shown slice of the segment through its neighbours."""
        with self._telling():
            self._check_ready()
            target = self._targets.chosen()
            with _panel_editor(target) as editor:
                geometry = editor.geometry()
                run = SegmentPropagation.continued(
                    self._runs.of(target), target, geometry, keep_drawn=self.ui.keepDrawnCheckBox.checked
                )
                first, last = self._slices.chosen(run.stack)
                run.check_open(first, last)
                self._keep([run], geometry, run.note)
            pieces = run.through(first, last, learn=self.ui.learnCheckBox.checked)
            count = last - first + 1
            self._begin().through_volume(target, run.stack, pieces, count, run.records, advise=lambda: advice(run))

    def _on_class_volume(self) -> None:
        """Segment every slice of the range by the chosen class, and by those that are chosen besides."""
        with self._telling():
            self._check_ready()
            class_name = self._class_name()
            others = [one for one in self._chosen_besides() if one != class_name]
            target = self._targets.chosen(class_name)
            targets = [*(self._targets.of_class(target, one) for one in others), target]
            stack = SliceStack.through(target.volume, target.plane)
            first, last = self._slices.chosen(stack)
            names = [*others, class_name]
            known = self._keep_classes(targets, names)
            run = ClassesThroughVolume(
                stack,
                target.segmentation,
                names,
                [one.segment_id for one in targets],
                every_piece=self.ui.everyPieceCheckBox.checked,
                kept={one.target.segment_id: one.accepted for one in known},
            )
            pieces = functools.partial(run.pieces, first=first, last=last)
            records = {one.target.segment_id: one.record for one in known}
            self._begin().through_volume(target, stack, pieces, last - first + 1, records)

    def _keep_classes(self, targets: Sequence[Target], names: Sequence[str]) -> list[SegmentPropagation]:
        """Take up for each target what the run of its class writes, so that the user corrects it and goes on there."""
        with _panel_editor(targets[-1]) as editor:
            geometry = editor.geometry()
            runs = [
                SegmentPropagation.before_class(self._runs.of(target), target, name, geometry)
                for target, name in zip(targets, names, strict=True)
            ]

            def note(step: Step) -> None:
                for run in runs:
                    run.note_class(step)

            self._keep(runs, geometry, note)
        return runs

    def _keep(
        self,
        runs: list[SegmentPropagation],
        geometry: slicer.vtkOrientedImageData | None,
        note: Callable[[Step], None],
    ) -> None:
        """What the run that begins now writes is taken up by ``note``; of ``runs`` the last one is shown."""
        self._runs.keep(*runs, geometry=geometry, overwrites=False)
        self._last, self._note = runs[-1], note
        self._confidence.show(runs[-1])

    def _on_cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()

    def _check_ready(self) -> None:
        """See to it that the model can run, before a segment is made for what it would write.

        Raises:
            InvalidPrompt: something is missing.
        """
        missing = self._model.missing()
        if missing:
            raise InvalidPrompt(missing)

    def _begin(self) -> DesktopRun:
        self._run = DesktopRun(_panel_editor, self._logic.engine, self._runner, self._on_progress, self._on_finished)
        self._show_running(True)
        self._say("Working …" if self._logic.model.loaded else "Loading the model …")
        return self._run

    def _on_progress(self, step: Step, done: int, count: int) -> None:
        self._say(self._progress.tell(step, done, count))
        self._note(step)
        self._confidence.show(self._confidence.shown)

    def _on_finished(self, sentence: str) -> None:
        if self._run is not None and self._run.fruitless:
            self._targets.remove_made()
        self._targets.keep_made()
        if self._last is not None:
            self._runs.ended(self._last)
        self._run, self._note, self._last = None, _forget, None
        self._show_running(False)
        self._say(sentence)
        self._model.show()
        self._forget_what_is_gone()

    def _class_name(self) -> str:
        class_name = str(self.ui.classBox.currentText)
        if not class_name:
            raise InvalidPrompt("Choose a class first.")
        return class_name

    def _chosen_besides(self) -> list[str]:
        rows = (self.ui.besidesList.item(row) for row in range(self.ui.besidesList.count))
        return [str(item.text()) for item in rows if item.isSelected()]

    def _show_range(self, *_: Any) -> None:
        volume = self.ui.volumeSelector.currentNode()
        possible = volume is not None and volume.GetImageData() is not None
        self.ui.rangeWidget.setEnabled(possible)
        if possible:
            with self._telling():
                self._slices.show(volume, SlicePlane.of_volume(volume, self.ui.planeBox.currentText))
        else:
            self._slices.forget()

    def _show_classes(self) -> None:
        names = classes_of(self._logic.model.name)
        self.ui.classBox.clear()
        self.ui.classBox.addItems(list(names))
        self.ui.besidesList.clear()
        for name in names:
            self.ui.besidesList.addItem(name)

    def _show_running(self, running: bool) -> None:
        self._progress.show(running)
        for button in (self.ui.segmentButton, self.ui.propagateButton, self.ui.classVolumeButton):
            button.setEnabled(not running)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What is wrong becomes the status line, never a popup."""
        try:
            yield
        except KPrismError as error:
            if self._run is not None:
                self._run.cancel()
            self._targets.remove_made()
            self._say(str(error))

    def _say(self, sentence: str) -> None:
        self.ui.statusLabel.setText(sentence)


def _forget(_: Step) -> None:
    """Nothing is under way."""


@contextmanager
def _panel_editor(target: Target) -> Iterator[LogicEditor]:
    """Writes everywhere and over nothing, and keeps its state for the Segment Editor's undo."""
    with temporary_editor(*target.place, None) as parameters:
        yield LogicEditor(parameters, keep_state)
