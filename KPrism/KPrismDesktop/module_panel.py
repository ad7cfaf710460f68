"""The module panel: the model, and segmenting without the Segment Editor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slicer

from KPrismDesktop.model_section import ModelSection
from KPrismDesktop.qt_pump import QtPump
from KPrismDesktop.slice_run import SliceRun
from KPrismLogic.readiness import classes_of
from KPrismLogic.runner import ThreadRunner
from KPrismLogic.slice_plane import NORMAL_AXES, SlicePlane

if TYPE_CHECKING:
    from KPrismLogic.logic import KPrismLogic

_PARAMETER_NODE = "KPrism"


class ModulePanel:
    """The panel's widgets and what they do.

    Args:
        ui_file: the ``.ui`` file of the panel.
        logic: the console's logic, whose model this panel chooses.
    """

    def __init__(self, ui_file: str, logic: KPrismLogic) -> None:
        self._logic = logic
        self.widget = slicer.util.loadUI(ui_file)
        self._ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self._model = ModelSection(self._ui, logic.engine, self._show_classes)
        self._parameters: Any = None
        self._connection: Any = None
        self._run: SliceRun | None = None
        self._entered = False
        self._runner = ThreadRunner(QtPump())
        self._ui.planeBox.addItems(list(NORMAL_AXES))
        self._ui.segmentButton.connect("clicked()", self._on_segment)
        self._ui.propagateButton.connect("clicked()", self._on_propagate)
        self._ui.cancelButton.connect("clicked()", self._on_cancel)
        self._tags = [
            slicer.mrmlScene.AddObserver(slicer.mrmlScene.StartCloseEvent, self._on_scene_closing),
            slicer.mrmlScene.AddObserver(slicer.mrmlScene.EndCloseEvent, self._on_scene_closed),
        ]
        self._show_classes()
        self._show_running(False)
        self.enter()

    def enter(self) -> None:
        """The panel is shown: follow the scene."""
        self._entered = True
        self._model.show()
        self._follow_scene()

    def exit(self) -> None:
        """Another module is shown: do not follow the scene."""
        self._entered = False
        self._leave_scene()

    def close(self) -> None:
        """Leave nothing behind."""
        self._on_cancel()
        self.exit()
        self._model.close()
        self._runner.close()
        for tag in self._tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._tags = []

    def _on_scene_closing(self, *_: Any) -> None:
        self._on_cancel()
        self._leave_scene()

    def _on_scene_closed(self, *_: Any) -> None:
        if self._entered:
            self._follow_scene()

    def _follow_scene(self) -> None:
        if self._parameters is None:
            from KPrismDesktop.panel_parameters import PanelParameters

            self._parameters = PanelParameters(_parameter_node())  # type: ignore[call-arg]  # the wrapper makes it
            if self._parameters.volume is None:
                self._parameters.volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            self._connection = self._parameters.connectGui(self._ui)

    def _leave_scene(self) -> None:
        if self._parameters is not None:
            self._parameters.disconnectGui(self._connection)
            self._parameters = None

    def _on_segment(self) -> None:
        """Segment the shown slice by the chosen class."""
        plane = self._plane()
        class_name = self._ui.classBox.currentText
        if plane is None or not class_name:
            self._say("Choose a class first." if plane is not None else "Choose a volume first.")
            return
        self._begin(plane, cls=class_name)

    def _on_propagate(self) -> None:
        """Carry the shown slice of the segment through its neighbours."""
        plane = self._plane()
        if plane is None:
            self._say("Choose a volume and a segmentation first.")
            return
        self._begin(plane, steps=(self._ui.forwardBox.value, -self._ui.backwardBox.value))

    def _begin(self, plane: SlicePlane, *, cls: str | None = None, steps: Sequence[int] = ()) -> None:
        volume = self._ui.volumeSelector.currentNode()
        segmentation = self._ui.segmentationSelector.currentNode()
        name = self._ui.segmentEdit.text.strip()
        if volume is None or segmentation is None or not name:
            self._say("Choose a volume and a segmentation, and name a segment, first.")
            return
        missing = self._model.missing()
        if missing:
            self._say(missing)
            return
        self._run = SliceRun(self._logic.engine, self._runner, self._on_progress, self._on_finished)
        self._show_running(True)
        self._say("Working …")
        self._run.start(volume, segmentation, name, plane, cls=cls, steps=steps)

    def _on_progress(self, done: int, count: int) -> None:
        self._ui.progressBar.setMaximum(max(count, 1))
        self._ui.progressBar.setValue(done)

    def _on_finished(self, sentence: str) -> None:
        self._run = None
        self._show_running(False)
        self._say(sentence)
        self._model.show()

    def _on_cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()

    def _plane(self) -> SlicePlane | None:
        """The slice of the chosen plane that a view shows, or the middle one."""
        volume = self._ui.volumeSelector.currentNode()
        if volume is None or volume.GetImageData() is None:
            return None
        plane = SlicePlane.of_volume(volume, self._ui.planeBox.currentText)
        layout = slicer.app.layoutManager()
        for name in layout.sliceViewNames() if layout is not None else ():
            shown = SlicePlane.of_view(layout.sliceWidget(name).mrmlSliceNode())
            if abs(float(shown.normal @ plane.normal)) > 0.9:
                # Through the middle of the volume, at the height that the view shows.
                apart = float(shown.normal @ (shown.point - plane.point)) / float(shown.normal @ plane.normal)
                return plane.moved_to(plane.point + plane.normal * apart)
        return plane

    def _show_classes(self) -> None:
        names = classes_of(self._logic.model.name)
        self._ui.classBox.clear()
        self._ui.classBox.addItems(list(names))

    def _show_running(self, running: bool) -> None:
        self._ui.progressBar.setVisible(running)
        self._ui.cancelButton.setVisible(running)
        self._ui.segmentButton.setEnabled(not running)
        self._ui.propagateButton.setEnabled(not running)

    def _say(self, sentence: str) -> None:
        self._ui.statusLabel.setText(sentence)


def _parameter_node() -> Any:
    """The module's parameter node, one in a scene."""
    node = slicer.mrmlScene.GetSingletonNode(_PARAMETER_NODE, "vtkMRMLScriptedModuleNode")
    if node is None:
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(_PARAMETER_NODE)
        node.SetName(_PARAMETER_NODE)
        node = slicer.mrmlScene.AddNode(node)
    # Closing a scene resets a singleton and leaves it there.
    node.SetAttribute("ModuleName", _PARAMETER_NODE)
    return node
