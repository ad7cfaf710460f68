"""The K-Prism effect: the Segment Editor's side of everything that ``KPrismLogic`` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qt
import slicer
from KPrismDesktop.effect_editor import EffectEditor
from KPrismDesktop.effect_options import GUIDES, EffectOptions
from KPrismDesktop.pointer import Pointer
from KPrismDesktop.qt_pump import QtPump
from KPrismDesktop.view_markers import ViewMarkers
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect

_HELP = """<html>Segment the shown slice with K-Prism.<p>
<b>Click</b> what belongs to the segment, <b>Ctrl+click</b> (Cmd on a Mac) what does not, or drag a scribble.<br>
<b>Class</b> and <b>Reference</b> give a mask at once; clicks refine it. Undo takes a click back with its mask.<p>
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
        self._session: Any = None
        self._shelf: Any = None
        self._states: Any = None
        self._pointer = Pointer(self._draw)
        self._markers: ViewMarkers | None = None
        self._placing = False
        self._view: Any = None
        self._remark = ""

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
        from KPrismLogic.editing_session import EditingSession
        from KPrismLogic.guide import ReferenceShelf
        from KPrismLogic.model import shared_model
        from KPrismLogic.prompt_states import PromptStates
        from KPrismLogic.readiness import classes_of
        from KPrismLogic.runner import ThreadRunner
        from KPrismLogic.slice_engine import SliceEngine

        self.deactivate()
        if self._shelf is None:
            self._shelf, self._states = ReferenceShelf(), PromptStates()
        model = shared_model()
        self._session = EditingSession(
            self.scriptedEffect.parameterSetNode,
            EffectEditor(self.scriptedEffect),
            SliceEngine(model),
            ThreadRunner(QtPump()),
            states=self._states,
            report=self._on_written,
            fail=self._on_failed,
        )
        self._markers = ViewMarkers(self.scriptedEffect, self._session)
        self._markers.follow_segmentation()
        self._remark = ""
        self._options.show_classes(classes_of(model.name))
        self.updateGUIFromMRML()

    def deactivate(self) -> None:
        self._pointer.cancel()
        if self._markers is not None:
            self._markers.close()
            self._markers = None
        if self._session is not None:
            self._session.close()
            self._session = None
        self._view = None

    def cleanup(self) -> None:
        self.deactivate()

    def createCursor(self, _widget: Any) -> Any:
        return qt.QCursor(qt.Qt.CrossCursor)

    def processInteractionEvents(self, callerInteractor: Any, eventId: int, viewWidget: Any) -> bool:
        if self._session is None or self._placing or viewWidget.className() != "qMRMLSliceWidget":
            return False
        self._view = viewWidget
        self._markers.enter(viewWidget)
        return bool(self._pointer.handle(callerInteractor, eventId, viewWidget))

    def processViewNodeEvents(self, callerViewNode: Any, _eventId: int, viewWidget: Any) -> None:
        if self._markers is not None:
            self._markers.refresh_view(viewWidget, callerViewNode)

    def setMRMLDefaults(self) -> None:
        if self.scriptedEffect.parameterSetNode() is None:
            return  # The scene was closed.
        self.scriptedEffect.setParameterDefault("Guide", "clicks")
        self.scriptedEffect.setParameterDefault("Class", "")
        self.scriptedEffect.setParameterDefault("Erasing", 0)

    def sourceVolumeNodeChanged(self) -> None:
        if self._markers is not None:
            self._markers.follow_segmentation()

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
        if self._options is None or self.scriptedEffect.parameterSetNode() is None:
            return
        effect = self.scriptedEffect
        erasing = effect.parameterDefined("Erasing") and effect.integerParameter("Erasing") != 0
        self._options.show_state(self._guide_kind(), effect.parameter("Class"), erasing)
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
        from KPrismLogic.segments import apply_term

        node, name = self.scriptedEffect.parameterSetNode(), self.scriptedEffect.parameter("Class")
        segmentation = node.GetSegmentationNode() if node is not None else None
        segment = None
        if segmentation is not None:
            segment = segmentation.GetSegmentation().GetSegment(node.GetSelectedSegmentID() or "")
        if segment is None or not name:
            self._say("Choose a class, and select a segment, first.")
            return
        self.scriptedEffect.saveStateForUndo()
        apply_term(segment, name)

    def onAddReference(self) -> None:
        if self._session is None:
            return
        with self._telling():
            self._shelf.add(self._session.reference(self._shown_view()))
        self._show_references()

    def onRemoveReference(self, index: int) -> None:
        self._shelf.remove(index)
        self._show_references()

    def onSegmentShownSlice(self) -> None:
        guide = self._guide()
        if not guide:
            self._say("Choose a class first." if self._guide_kind() == "class" else "Add a reference slice first.")
        elif self._ready() and self.scriptedEffect.confirmCurrentSegmentVisible():
            with self._telling():
                self._session.show_guide(self._shown_view(), guide)
                self._show_status()

    def onInstall(self) -> None:
        from KPrismDesktop.installation import install_missing

        self._say(install_missing())

    def onErasingChanged(self, erasing: bool) -> None:
        self.scriptedEffect.setParameter("Erasing", int(erasing))

    def _draw(self, widget: Any, positions: list[tuple[int, int]], modified: bool) -> None:
        if not self._ready() or not self.scriptedEffect.confirmCurrentSegmentVisible():
            return
        erasing = self.scriptedEffect.integerParameter("Erasing") != 0
        with self._telling():
            view = self.scriptedEffect.viewNode(widget)
            self._session.draw(view, positions, modified == erasing, self._guide())
            self._show_status()

    def _guide_kind(self) -> str:
        kind = self.scriptedEffect.parameter("Guide")
        return kind if kind in GUIDES else "clicks"

    def _guide(self) -> Any:
        from KPrismLogic.guide import Guide

        kind = self._guide_kind()
        if kind == "class":
            return Guide(self.scriptedEffect.parameter("Class") or None)
        return self._shelf.guide() if kind == "reference" and self._shelf is not None else Guide()

    def _shown_view(self) -> Any:
        """The slice view that the pointer was in last, or the first of the layout."""
        from KPrismLib.errors import InvalidPrompt

        widget = self._view
        if widget is None:
            layout = slicer.app.layoutManager()
            names = layout.sliceViewNames() if layout is not None else ()
            widget = layout.sliceWidget(names[0]) if names else None
        if widget is None:
            raise InvalidPrompt("Show a slice view first.")
        return self.scriptedEffect.viewNode(widget)

    def _ready(self) -> bool:
        """Whether a session is open and nothing is missing; otherwise the status line says what is."""
        self._remark = ""
        self._show_status()
        return self._session is not None and not self._missing()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What is wrong becomes the status line, never a popup."""
        from KPrismLib.errors import KPrismError

        try:
            yield
        except KPrismError as error:
            self._say(str(error))

    def _missing(self) -> str:
        from KPrismLogic.model import shared_model
        from KPrismLogic.readiness import what_is_missing

        return "" if shared_model().loaded else what_is_missing(shared_model().name)

    def _say(self, sentence: str) -> None:
        self._remark = sentence
        self._show_status()

    def _show_status(self) -> None:
        from KPrismLogic.model import shared_model
        from KPrismLogic.readiness import missing_packages

        if self._options is None:
            return
        model, missing = shared_model(), self._missing()
        working = "Working …" if self.busy else ""
        ready = f"{Path(model.name).stem} on {model.device}"
        sentence = missing or " – ".join(part for part in (ready, working or self._remark) if part)
        self._options.show_status(sentence, installable=bool(missing) and bool(missing_packages()))

    def _show_references(self) -> None:
        from KPrismDesktop.thumbnails import thumbnail

        self._options.show_references([(thumbnail(one), one.title) for one in self._shelf])

    def _on_written(self, answer: Any) -> None:
        self._say(answer.remark or f"{answer.milliseconds:.0f} ms")
        if self._markers is not None:
            self._markers.refresh()
        if self._session is not None and self._view is not None:
            self._session.prefetch(self.scriptedEffect.viewNode(self._view))

    def _on_failed(self, error: Exception) -> None:
        from KPrismLib.errors import KPrismError

        expected = isinstance(error, (KPrismError, ImportError))
        self._say(str(error) if expected else f"Something went wrong ({error}); the log has more.")
