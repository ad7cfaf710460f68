"""The K-Prism effect: the Segment Editor's side of everything that ``KPrismLogic`` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect

from KPrismDesktop.effect_options import GUIDES, EffectOptions
from KPrismDesktop.pointer import WORKING, Pointer
from KPrismDesktop.qt_pump import QtPump

if TYPE_CHECKING:
    from KPrismDesktop.active_editing import ActiveEditing
    from KPrismDesktop.effect_propagation import EffectPropagation
    from KPrismDesktop.effect_references import EffectReferences
    from KPrismLogic.guide import Guide

_HELP = """<html>Segment the shown slice with K-Prism.<p>
<b>Click</b> what belongs to the segment, <b>Ctrl+click</b> (Cmd on a Mac) what does not, or drag a scribble.<br>
<b>Class</b> and <b>Reference</b> give a mask at once, again with <b>Enter</b>; clicks refine it.
Undo takes a click back with its mask.<br>
<b>Propagate</b> carries the shown slice through the volume, in one step of undo.<p>
For research use only.</html>"""


class KPrismEffect(AbstractScriptedSegmentEditorEffect):
    """What Slicer calls; one for every editor widget, alive with it."""

    def __init__(self, scriptedEffect: Any) -> None:
        scriptedEffect.name = "K-Prism"
        scriptedEffect.title = "K-Prism"
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.options: EffectOptions | None = None
        self._active: ActiveEditing | None = None
        # Made when the effect is chosen for the first time: Slicer makes an effect for every editor, used or not.
        self._runner: Any = None
        self._references: EffectReferences | None = None
        self._propagation: EffectPropagation | None = None
        self._pointer = Pointer(self._draw)
        self._other_tool = False

    def clone(self) -> Any:
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        copy = effects.qSlicerSegmentEditorScriptedEffect(None)
        copy.setPythonSource(__file__.replace("\\", "/"))
        return copy

    def icon(self) -> Any:
        path = Path(__file__).with_name("KPrismEffect.png")
        return qt.QIcon(str(path)) if path.exists() else qt.QIcon()

    def helpText(self) -> str:
        return _HELP

    @property
    def busy(self) -> bool:
        """Whether a click waits for its mask."""
        return self._active is not None and self._active.session.controller.busy

    @property
    def propagating(self) -> bool:
        """Whether a slice is being carried through the volume."""
        return self._propagation is not None and self._propagation.busy

    def prompts_in(self, widget: Any) -> int:
        """How many clicks and scribbles the slice that a view shows has."""
        return 0 if self._active is None else len(self._active.session.markers(self.scriptedEffect.viewNode(widget)))

    def setupOptionsFrame(self) -> None:
        self.options = EffectOptions(self.scriptedEffect, self)

    def activate(self) -> None:
        from KPrismDesktop.active_editing import ActiveEditing
        from KPrismDesktop.effect_propagation import EffectPropagation
        from KPrismDesktop.effect_references import EffectReferences
        from KPrismLogic.runner import ThreadRunner

        self.deactivate()
        # The editor ends other tools before it activates an effect, and does not tell effects that are not active.
        self._other_tool = False
        if self._runner is None:
            self._runner = ThreadRunner(QtPump())
        if self.options is not None:
            if self._propagation is None or self._references is None:
                self._references = EffectReferences(self.scriptedEffect, self.options, self._runner)
                self._propagation = EffectPropagation(self.scriptedEffect, self.options.propagation)
            self._propagation.forget_what_is_gone()
            told = self._runner, self._guide_kind, self._follow, self._on_another_image, self._propagation.found
            self._active = ActiveEditing(self.scriptedEffect, self.options, *told)
            self._references.recall(self._active)
            if left := self._propagation.how_it_was_left():
                self._active.say(left)
        self.updateGUIFromMRML()

    def deactivate(self) -> None:
        self._pointer.cancel()
        if self._active is not None:
            if self._propagation is not None and self._references is not None:
                self._propagation.rest()
                self._references.rest()
            self._active.close()
            self._active = None

    def cleanup(self) -> None:
        self.deactivate()
        if self._propagation is not None:
            self._propagation.close()
        if self.options is not None:
            self.options.close()

    def createCursor(self, _widget: Any) -> Any:
        return qt.QCursor(qt.Qt.CrossCursor)

    def processInteractionEvents(self, callerInteractor: Any, eventId: int, viewWidget: Any) -> bool:
        if self._active is None or self._other_tool or viewWidget.className() != "qMRMLSliceWidget":
            return False
        if self._active.enter(viewWidget, working=eventId in WORKING):
            self._follow()
        if eventId == vtk.vtkCommand.KeyPressEvent:
            return self._on_key(callerInteractor.GetKeySym())
        return bool(self._pointer.handle(callerInteractor, eventId, viewWidget))

    def processViewNodeEvents(self, callerViewNode: Any, _eventId: int, viewWidget: Any) -> None:
        if self._active is not None:
            self._active.view_changed(viewWidget, callerViewNode)
            if self._propagation is not None:
                self._propagation.follow(self._active, moving=True)

    def setMRMLDefaults(self) -> None:
        if self.scriptedEffect.parameterSetNode() is None:
            return  # The scene was closed.
        self.scriptedEffect.setParameterDefault("Guide", "clicks")
        self.scriptedEffect.setParameterDefault("Class", "")
        self.scriptedEffect.setParameterDefault("Erasing", 0)

    def sourceVolumeNodeChanged(self) -> None:
        if self._propagation is not None:
            self._propagation.forget_what_is_gone()
        if self._active is not None and self._references is not None:
            self._active.nodes_changed()
            # An effect may stay chosen while a scene is opened.
            self._references.recall(self._active)
            self._follow()

    def layoutChanged(self) -> None:
        if self._active is not None:
            self._active.leave_views()
            self._follow()

    def interactionNodeModified(self, interactionNode: Any) -> None:
        """Stay chosen while the mouse places a markup or changes window and level, but leave it to that."""
        self._other_tool = interactionNode.GetCurrentInteractionMode() != interactionNode.ViewTransform
        if self._other_tool:
            self._pointer.cancel()

    def updateGUIFromMRML(self) -> None:
        if self.options is not None and self.scriptedEffect.parameterSetNode() is not None:
            self.options.show_state(self._guide_kind(), self._parameter("Class"), self._erasing())
            if self._active is not None:
                self._active.show_status()
                self._follow()

    def updateMRMLFromGUI(self) -> None:
        """Each option writes its own parameter when it is used."""

    def onGuideChosen(self, guide: str) -> None:
        self.scriptedEffect.setParameter("Guide", guide)
        self.updateGUIFromMRML()

    def onClassChosen(self, class_name: str) -> None:
        self.scriptedEffect.setParameter("Class", class_name)
        self.onSegmentShownSlice()

    def onNameSegment(self) -> None:
        if self._active is not None and self._free():
            with self._active.telling():
                self._active.session.name_segment(self._parameter("Class"))

    def onAddReference(self) -> None:
        if self._active is not None and self._references is not None:
            self._references.add(self._active)

    def onFindReferences(self) -> None:
        if self._active is not None and self._references is not None:
            self._references.find(self._active)

    def onRemoveReference(self, index: int) -> None:
        if self._active is not None and self._references is not None:
            self._references.remove(self._active, index)

    def onSegmentShownSlice(self) -> None:
        if self._active is None:
            return
        guide = self._guide()
        if not guide:
            missing = "Choose a class first." if self._guide_kind() == "class" else "Add a reference slice first."
            self._active.say(missing)
        elif self._free() and self._active.ready() and self.scriptedEffect.confirmCurrentSegmentVisible():
            with self._active.telling():
                self._active.session.show_guide(self._active.shown_view(), guide)

    def onPropagate(self) -> None:
        active, propagation = self._active, self._propagation
        if active is None or propagation is None or not active.ready():
            return
        if self.busy:
            active.say("A click is still waiting for its mask; press Propagate again when it is there.")
        elif self.scriptedEffect.confirmCurrentSegmentVisible():
            propagation.start(active, self._guide().cls)

    def onCancel(self) -> None:
        if self._propagation is not None:
            self._propagation.cancel()

    def onInstall(self) -> None:
        from KPrismDesktop.installation import install_missing

        def say(sentence: str = "") -> None:
            if self._active is not None:
                self._active.say(sentence)

        say(install_missing(say))

    def onErasingChanged(self, erasing: bool) -> None:
        self.scriptedEffect.setParameter("Erasing", int(erasing))

    def _on_another_image(self) -> None:
        if self._propagation is not None:
            self._propagation.forget_what_is_gone()
        self._follow()

    def _on_key(self, key: str | None) -> bool:
        """Enter asks for the guide's mask again, as it applies what Draw has drawn."""
        if key not in ("Return", "KP_Enter") or self._guide_kind() == "clicks":
            return False
        self.onSegmentShownSlice()
        return True

    def _draw(self, widget: Any, positions: list[tuple[int, int]], modified: bool) -> None:
        active = self._active
        if (
            active is not None
            and self._free()
            and active.ready()
            and self.scriptedEffect.confirmCurrentSegmentVisible()
        ):
            with active.telling():
                view = self.scriptedEffect.viewNode(widget)
                active.session.draw(view, positions, modified == self._erasing(), self._guide())

    def _free(self) -> bool:
        """Whether nothing else writes; a run and clicks would take turns in one undo list."""
        if self.propagating and self._active is not None:
            self._active.say("Press Cancel first: a slice is being propagated.")
        return not self.propagating

    def _follow(self) -> None:
        if self._active is not None and self._propagation is not None:
            self._propagation.follow(self._active)

    def _parameter(self, name: str) -> str:
        return str(self.scriptedEffect.parameter(name)) if self.scriptedEffect.parameterDefined(name) else ""

    def _guide_kind(self) -> str:
        kind = self._parameter("Guide")
        return kind if kind in GUIDES else "clicks"

    def _erasing(self) -> bool:
        return self._parameter("Erasing") == "1"

    def _guide(self) -> Guide:
        from KPrismLogic.guide import Guide

        kind = self._guide_kind()
        if kind == "class":
            return Guide(self._parameter("Class") or None)
        return self._references.guide() if kind == "reference" and self._references is not None else Guide()
