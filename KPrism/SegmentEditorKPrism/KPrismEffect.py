"""The K-Prism effect: the Segment Editor's side of everything that ``KPrismLogic`` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from KPrismDesktop.effect_editor import EffectEditor
from KPrismDesktop.effect_options import GUIDES, EffectOptions
from KPrismDesktop.pointer import Pointer
from KPrismDesktop.qt_pump import QtPump
from KPrismDesktop.status_line import StatusLine
from KPrismDesktop.view_markers import ViewMarkers
from KPrismDesktop.warm_up import WarmUp
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect

_HELP = """<html>Segment the shown slice with K-Prism.<p>
<b>Click</b> what belongs to the segment, <b>Ctrl+click</b> (Cmd on a Mac) what does not, or drag a scribble.<br>
<b>Class</b> and <b>Reference</b> give a mask at once, again with <b>Enter</b>; clicks refine it.
Undo takes a click back with its mask.<p>
For research use only.</html>"""


class KPrismEffect(AbstractScriptedSegmentEditorEffect):
    """What Slicer calls; one for every editor widget, alive with it."""

    def __init__(self, scriptedEffect: Any) -> None:
        scriptedEffect.name = "K-Prism"
        scriptedEffect.title = "K-Prism"
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self._options: EffectOptions | None = None
        self._status: StatusLine | None = None
        self._runner: Any = None
        self._shelf: Any = None
        self._states: Any = None
        # From here on only while the effect is active.
        self._session: Any = None
        self._markers: ViewMarkers | None = None
        self._warm_up: WarmUp | None = None
        self._pointer = Pointer(self._draw)
        self._placing = False
        self._view: Any = None

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
        return self._session is not None and self._session.controller.busy

    def prompts_in(self, widget: Any) -> int:
        """How many clicks and scribbles the slice that a view shows has."""
        return 0 if self._session is None else len(self._session.markers(self.scriptedEffect.viewNode(widget)))

    def setupOptionsFrame(self) -> None:
        self._options = EffectOptions(self.scriptedEffect, self)

    def activate(self) -> None:
        from KPrismDesktop.model_settings import restore
        from KPrismLogic.editing_session import EditingSession
        from KPrismLogic.guide import ReferenceShelf
        from KPrismLogic.prompt_states import PromptStates
        from KPrismLogic.readiness import classes_of
        from KPrismLogic.runner import ThreadRunner
        from KPrismLogic.slice_engine import shared_engine

        self.deactivate()
        engine = shared_engine()
        restore(engine)
        if self._runner is None:
            self._runner, self._shelf, self._states = ThreadRunner(QtPump()), ReferenceShelf(), PromptStates()
        self._status = StatusLine(self._options.show_status, engine.model, lambda: self.busy)
        self._session = EditingSession(
            self.scriptedEffect.parameterSetNode,
            EffectEditor(self.scriptedEffect),
            engine,
            self._runner,
            states=self._states,
            report=self._on_written,
            fail=self._on_failed,
        )
        self._markers = ViewMarkers(self.scriptedEffect, self._session)
        self._markers.follow_segmentation()
        self._warm_up = WarmUp(self._session, self._view_node, lambda: not self._status.missing())
        self._options.show_classes(classes_of(engine.model.name))
        self.updateGUIFromMRML()

    def deactivate(self) -> None:
        self._pointer.cancel()
        for part in (self._warm_up, self._markers, self._session):
            if part is not None:
                part.close()
        self._warm_up = self._markers = self._session = self._view = None

    def cleanup(self) -> None:
        self.deactivate()
        if self._options is not None:
            self._options.close()

    def createCursor(self, _widget: Any) -> Any:
        return qt.QCursor(qt.Qt.CrossCursor)

    def processInteractionEvents(self, callerInteractor: Any, eventId: int, viewWidget: Any) -> bool:
        if self._session is None or self._placing or viewWidget.className() != "qMRMLSliceWidget":
            return False
        if viewWidget != self._view:
            self._view = viewWidget
            self._warm_up.later()
        self._markers.enter(viewWidget)
        if eventId == vtk.vtkCommand.KeyPressEvent:
            return self._on_key(callerInteractor.GetKeySym())
        return bool(self._pointer.handle(callerInteractor, eventId, viewWidget))

    def processViewNodeEvents(self, callerViewNode: Any, _eventId: int, viewWidget: Any) -> None:
        if self._markers is not None:
            self._markers.refresh_view(viewWidget, callerViewNode)
            if viewWidget == self._view:
                self._warm_up.later()

    def setMRMLDefaults(self) -> None:
        if self.scriptedEffect.parameterSetNode() is None:
            return  # The scene was closed.
        self.scriptedEffect.setParameterDefault("Guide", "clicks")
        self.scriptedEffect.setParameterDefault("Class", "")
        self.scriptedEffect.setParameterDefault("Erasing", 0)

    def sourceVolumeNodeChanged(self) -> None:
        if self._markers is not None:
            self._markers.follow_segmentation()
            self._warm_up.later()

    referenceGeometryChanged = sourceVolumeNodeChanged

    def layoutChanged(self) -> None:
        # Views of the old layout may be gone, with their renderers.
        self._view = None
        if self._markers is not None:
            self._markers.leave_views()

    def interactionNodeModified(self, interactionNode: Any) -> None:
        """Stay chosen while a markup is placed, but leave the clicks to it."""
        self._placing = interactionNode.GetCurrentInteractionMode() == interactionNode.Place

    def updateGUIFromMRML(self) -> None:
        if self._options is not None and self.scriptedEffect.parameterSetNode() is not None:
            self._options.show_state(self._guide_kind(), self._parameter("Class"), self._erasing())
            self._show_status()

    def updateMRMLFromGUI(self) -> None:
        """Each option writes its own parameter when it is used."""

    def onGuideChosen(self, guide: str) -> None:
        self.scriptedEffect.setParameter("Guide", guide)
        self.updateGUIFromMRML()

    def onClassChosen(self, class_name: str) -> None:
        self.scriptedEffect.setParameter("Class", class_name)
        self.onSegmentShownSlice()

    def onNameSegment(self) -> None:
        if self._session is not None:
            with self._telling():
                self._session.name_segment(self._parameter("Class"))

    def onAddReference(self) -> None:
        if self._session is None:
            return
        with self._telling():
            self._shelf.add(self._session.reference(self._shown_view()))
        self._show_references()

    def onRemoveReference(self, index: int) -> None:
        if self._shelf is not None:
            self._shelf.remove(index)
            self._show_references()

    def onSegmentShownSlice(self) -> None:
        guide = self._guide()
        if not guide:
            self._say("Choose a class first." if self._guide_kind() == "class" else "Add a reference slice first.")
        elif self._ready() and self.scriptedEffect.confirmCurrentSegmentVisible():
            with self._telling():
                self._session.show_guide(self._shown_view(), guide)

    def onInstall(self) -> None:
        from KPrismDesktop.installation import install_missing

        self._say(install_missing())

    def onErasingChanged(self, erasing: bool) -> None:
        self.scriptedEffect.setParameter("Erasing", int(erasing))

    def _on_key(self, key: str | None) -> bool:
        """Enter asks for the guide's mask again, as it applies what Draw has drawn."""
        if key not in ("Return", "KP_Enter") or self._guide_kind() == "clicks":
            return False
        self.onSegmentShownSlice()
        return True

    def _draw(self, widget: Any, positions: list[tuple[int, int]], modified: bool) -> None:
        if self._ready() and self.scriptedEffect.confirmCurrentSegmentVisible():
            with self._telling():
                view = self.scriptedEffect.viewNode(widget)
                self._session.draw(view, positions, modified == self._erasing(), self._guide())

    def _parameter(self, name: str) -> str:
        return self.scriptedEffect.parameter(name) if self.scriptedEffect.parameterDefined(name) else ""

    def _guide_kind(self) -> str:
        kind = self._parameter("Guide")
        return kind if kind in GUIDES else "clicks"

    def _erasing(self) -> bool:
        return self._parameter("Erasing") == "1"

    def _guide(self) -> Any:
        from KPrismLogic.guide import Guide

        kind = self._guide_kind()
        if kind == "class":
            return Guide(self._parameter("Class") or None)
        return self._shelf.guide() if kind == "reference" and self._shelf is not None else Guide()

    def _view_node(self) -> Any:
        """The slice node of the view that the pointer was in last; None when that is not known."""
        return None if self._view is None else self.scriptedEffect.viewNode(self._view)

    def _shown_view(self) -> Any:
        """As :meth:`_view_node`, or that of the first slice view of the layout."""
        from KPrismLib.errors import InvalidPrompt

        node = self._view_node()
        if node is None:
            layout = slicer.app.layoutManager()
            names = layout.sliceViewNames() if layout is not None else ()
            if not names:
                raise InvalidPrompt("Show a slice view first.")
            node = layout.sliceWidget(names[0]).mrmlSliceNode()
        return node

    def _ready(self) -> bool:
        """Whether a session is open and nothing is missing; otherwise the status line says what is."""
        self._say("")
        return self._session is not None and not self._status.missing()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What is wrong becomes the status line, never a popup."""
        from KPrismLib.errors import KPrismError

        try:
            yield
        except KPrismError as error:
            self._say(str(error))
        else:
            self._show_status()

    def _say(self, sentence: str) -> None:
        if self._status is not None:
            self._status.say(sentence)
        self._show_status()

    def _show_status(self) -> None:
        if self._status is not None:
            self._status.refresh(self._guide_kind())

    def _show_references(self) -> None:
        from KPrismDesktop.thumbnails import thumbnail

        self._options.show_references([(thumbnail(one), one.title) for one in self._shelf])

    def _on_written(self, answer: Any) -> None:
        self._status.answered(answer)
        self._show_status()
        if self._markers is not None:
            self._markers.refresh()
        if self._warm_up is not None:
            self._warm_up.later()

    def _on_failed(self, error: Exception) -> None:
        from KPrismLib.errors import KPrismError

        expected = isinstance(error, (KPrismError, ImportError))
        self._say(str(error) if expected else f"Something went wrong ({error}); the log has more.")
