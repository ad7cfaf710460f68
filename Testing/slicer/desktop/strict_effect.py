"""A scripted effect, an editor widget and slice views as strict as ``strict_qt``, over the real editor logic."""

from __future__ import annotations

import time
import types
from typing import Any

import numpy as np
import slicer
import vtk

from Testing.slicer.desktop.strict_qt import QtModule, Strict, slicer_names, strict_class
from Testing.slicer.scenes import segment_array


class SliceWidget(strict_class("qMRMLSliceWidget")):  # type: ignore[misc]
    """A slice view without a window, the bar with its slider included."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self._node = node
        self._alive = True
        self._pointed = False

    def __bool__(self) -> bool:
        # In PythonQt an object that C++ has deleted is false.
        return self._alive

    def className(self) -> str:
        return "qMRMLSliceWidget"

    def mrmlSliceNode(self) -> Any:
        return self._node

    def underMouse(self) -> bool:
        return self._pointed


class ThreeDWidget(strict_class("qMRMLThreeDWidget")):  # type: ignore[misc]
    """A 3-D view without a window."""

    def className(self) -> str:
        return "qMRMLThreeDWidget"


class ScriptedEffect(strict_class("qSlicerSegmentEditorScriptedEffect")):  # type: ignore[misc]
    """``qSlicerSegmentEditorScriptedEffect``; the editor behind it is the real logic."""

    def __init__(self, desktop: Desktop) -> None:
        super().__init__()
        self._desktop, self._python = desktop, None
        self._options: list[Any] = []
        self._actors: list[Any] = []
        self._parameters: Any = None

    def self(self) -> Any:
        return self._python

    def setPythonSource(self, source: str) -> bool:
        """As Slicer: the class of the file's name in the module of the folder's name."""
        import sys
        from pathlib import Path

        path = Path(source)
        module = sys.modules[path.parent.name]
        name = path.stem if path.stem.endswith("Effect") else path.stem + "Effect"
        self._python = getattr(module, name)(self)
        return True

    def parameterSetNode(self) -> Any:
        return self._parameters

    def _key(self, name: str) -> str:
        return f"{self.name}.{name}"

    def parameter(self, name: str) -> str:
        if self._parameters is None:
            return ""
        value = self._parameters.GetAttribute(self._key(name))
        assert value is not None, f"the parameter {name} was never given a default"
        return value

    def integerParameter(self, name: str) -> int:
        return int(self.parameter(name))

    def parameterDefined(self, name: str) -> bool:
        # As in Slicer: an empty value counts as none.
        return self._parameters is not None and bool(self._parameters.GetAttribute(self._key(name)))

    def setParameterDefault(self, name: str, value: Any) -> None:
        assert self._parameters is not None, "Invalid segment editor parameter set node"
        if not self.parameterDefined(name):
            self._parameters.SetAttribute(self._key(name), str(value))

    def setParameter(self, name: str, value: Any) -> None:
        assert isinstance(value, (str, int, float))
        self._parameters.SetAttribute(self._key(name), str(value))
        if self._desktop.active is self:
            self._python.updateGUIFromMRML()

    def addOptionsWidget(self, widget: Any) -> None:
        self._options.append(widget)

    def addLabeledOptionsWidget(self, label: str, widget: Any) -> Any:
        self._options.append(widget)
        return widget

    def referenceGeometryImage(self) -> Any:
        logic = self._desktop.logic
        return logic.GetReferenceGeometryImage() if logic.UpdateReferenceGeometryImage() else None

    def sourceVolumeImageData(self) -> Any:
        logic = self._desktop.logic
        return logic.GetAlignedSourceVolume() if logic.UpdateAlignedSourceVolume() else None

    def saveStateForUndo(self) -> None:
        self._desktop.logic.SaveStateForUndo()

    def confirmCurrentSegmentVisible(self) -> int:
        self._desktop.confirmations += 1
        return self._desktop.confirmation

    def modifySegmentByLabelmap(
        self, node: Any, segment_id: str, labelmap: Any, mode: Any, bypass: bool = False
    ) -> None:
        assert mode in ("Add", "Remove")
        real = getattr(self._desktop.logic, f"ModificationMode{mode}")
        self._desktop.logic.ModifySegmentByLabelmap(node, segment_id, labelmap, real, bool(self.perSegment), bypass)

    def viewNode(self, widget: Any) -> Any:
        assert widget
        return widget.mrmlSliceNode()

    def addActor2D(self, widget: Any, actor: Any) -> None:
        assert isinstance(actor, vtk.vtkActor2D)
        assert widget
        self._actors.append((widget, actor))

    def removeActor2D(self, widget: Any, actor: Any) -> None:
        assert widget, "Failed to get renderer for view widget"
        self._actors.remove((widget, actor))

    def scheduleRender(self, widget: Any) -> None:
        assert isinstance(widget, SliceWidget)
        assert widget


class Desktop:
    """An editor widget with one effect and two slice views.

    Args:
        scene: the scene.
        parameters: the segment editor node.
    """

    def __init__(self, scene: Any, parameters: Any) -> None:
        self.scene, self.parameters = scene, parameters
        self.bench: Any = None
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetSegmentEditorNode(parameters)
        self.logic.SetSegmentationNode(parameters.GetSegmentationNode())
        self.active: Any = None
        self.confirmation, self.confirmations = 1, 0
        self.views = {name: SliceWidget(_slice_node(scene, name)) for name in ("Red", "Yellow")}
        self.interactor = vtk.vtkGenericRenderWindowInteractor()

    def start_up(self) -> ScriptedEffect:
        """Register, open a module and choose nodes: the recorded calls."""
        import SegmentEditorKPrism

        template = ScriptedEffect(self)
        template.setPythonSource(SegmentEditorKPrism.__file__.replace("__init__.py", "KPrismEffect.py"))
        effect = template.self().clone()
        effect._parameters = self.parameters
        effect.self().icon()
        effect.self().setupOptionsFrame()
        effect.self().setMRMLDefaults()
        effect.self().sourceVolumeNodeChanged()
        return effect

    def activate(self, effect: ScriptedEffect) -> None:
        """Choose the effect: the recorded calls."""
        self.active = effect
        effect.self().updateGUIFromMRML()
        effect.self().activate()
        assert isinstance(effect.self().helpText(), str)
        for widget in self.views.values():
            effect.self().createCursor(widget)

    def deactivate(self, effect: ScriptedEffect) -> None:
        """Leave the effect."""
        self.active = None
        effect.self().deactivate()

    def event(self, effect: Any, event: str, xy: tuple[int, int], *, view: str = "Red", ctrl: Any = 0, shift: Any = 0):
        """One event in a view; the answer must be a real bool."""
        self.interactor.SetEventInformation(*xy, int(bool(ctrl)), int(bool(shift)))
        number = getattr(vtk.vtkCommand, event)
        self.point_at(view)
        answer = effect.self().processInteractionEvents(self.interactor, number, self.views[view])
        assert isinstance(answer, bool)
        return answer

    def point_at(self, view: str) -> None:
        """Put the pointer somewhere into a view, in the picture or in the bar above it."""
        for name, widget in self.views.items():
            widget._pointed = name == view

    def click(self, effect: Any, xy: tuple[int, int], **more: Any) -> bool:
        """A click as recorded: moves arrive twice."""
        for _ in range(2):
            self.event(effect, "MouseMoveEvent", xy, **more)
        pressed = self.event(effect, "LeftButtonPressEvent", xy, **more)
        return pressed and self.event(effect, "LeftButtonReleaseEvent", xy, **more)


def _slice_node(scene: Any, name: str) -> Any:
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName(name)
    node.SetName(name)
    return scene.AddNode(node)  # the one that survived the clearing of the scene, if there is one


def modules(desktop_of: Any) -> dict[str, types.ModuleType]:
    """What only a desktop has, by name of import.

    Args:
        desktop_of: gives the desktop that new scripted effects belong to.
    """
    base = types.ModuleType("SegmentEditorEffects")

    class AbstractScriptedSegmentEditorEffect:
        def __init__(self, scriptedEffect: Any) -> None:
            self.scriptedEffect = scriptedEffect

    base.AbstractScriptedSegmentEditorEffect = AbstractScriptedSegmentEditorEffect  # type: ignore[attr-defined]
    effects = types.ModuleType("qSlicerSegmentationsEditorEffectsPythonQt")
    effects.qSlicerSegmentEditorScriptedEffect = lambda _: ScriptedEffect(desktop_of())  # type: ignore[attr-defined]
    return {"qt": QtModule(), "ctk": QtModule("ctk"), base.__name__: base, effects.__name__: effects}


class AbstractEffect:
    """``slicer.qSlicerSegmentEditorAbstractEffect``."""

    ModificationModeAdd, ModificationModeRemove = "Add", "Remove"
    assert {"ModificationModeAdd", "ModificationModeRemove"} <= slicer_names()["qSlicerSegmentEditorAbstractEffect"]


def timers() -> list[Any]:
    """All timers that were made and are active."""
    return [one for one in Strict.made if type(one).__name__ == "QTimer" and one.isActive()]


def settle() -> None:
    """Let timers fire as Qt would until there is nothing to do."""
    deadline = time.monotonic() + 20
    while active := timers():
        assert time.monotonic() < deadline
        for timer in active:
            if timer._values.get("singleShot"):
                timer.stop()
            timer.fire("timeout()")


def written(desktop: Desktop, segment_id: str = "Liver") -> Any:
    """bool (k, j, i): what a segment of the desktop's segmentation holds."""
    return segment_array(desktop.bench.editor, desktop.bench.segmentation, segment_id)


def xy_of(desktop: Desktop, k: float, j: int, i: int, view: str = "Red") -> tuple[int, int]:
    """Where a view shows a voxel of the desktop's volume."""
    matrix = desktop.views[view].mrmlSliceNode().GetXYToRAS()
    array = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    x, y = (np.linalg.inv(array) @ (*desktop.bench.ras(k, j, i), 1))[:2]
    return round(x), round(y)


def show_layer(desktop: Desktop, effect: Any, k: float) -> None:
    """Scroll the red view to a layer of the desktop's volume, to its middle or beside that, with the pointer in it."""
    node = desktop.views["Red"].mrmlSliceNode()
    node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *desktop.bench.ras(k, 6, 7), 0)
    scrolled(desktop, effect, "Red")
    desktop.event(effect, "MouseMoveEvent", xy_of(desktop, k, 6, 7))


def scrolled(desktop: Desktop, effect: Any, view: str, *, by_user: bool = True) -> None:
    """Tell the effect that a view was scrolled: by its user, or because it follows another one."""
    node = desktop.views[view].mrmlSliceNode()
    node.SetInteractionFlags(node.SliceToRASFlag if by_user else 0)
    if by_user:
        desktop.point_at(view)
    effect.self().processViewNodeEvents(node, 33, desktop.views[view])
    node.SetInteractionFlags(0)


def work_in(desktop: Desktop, effect: Any, view: str) -> None:
    """Let the user do something in a view that leaves the segment as it is."""
    desktop.event(effect, "MiddleButtonPressEvent", (5, 5), view=view)


def height_of(desktop: Desktop, k: int) -> float:
    """S of a layer, mm."""
    return float(desktop.bench.ras(k, 6, 7)[2])


def press(name: str) -> None:
    """Click the button with an object name."""
    widget_named(name).click()


def status() -> str:
    """What the effect's status line says."""
    return str(widget_named("KPrismStatus").text)


def widget_named(name: str) -> Any:
    """The widget that was made first with an object name."""
    return next(one for one in Strict.made if one._values.get("objectName") == name)
