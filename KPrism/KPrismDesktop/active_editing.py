"""All that exists while the effect is chosen: the session, its markers in views, prefetching, the status line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from KPrismDesktop.effect_editor import EffectEditor
from KPrismDesktop.image_watch import ImageWatch
from KPrismDesktop.model_settings import restore
from KPrismDesktop.selection_watch import SelectionWatch
from KPrismDesktop.slice_views import is_scrolled, visible_slice_nodes
from KPrismDesktop.status_line import StatusLine, failure
from KPrismDesktop.view_markers import ViewMarkers
from KPrismDesktop.warm_up import WarmUp
from KPrismLib.errors import InvalidPrompt, KPrismError
from KPrismLogic.editing_session import EditingSession
from KPrismLogic.readiness import classes_of
from KPrismLogic.slice_engine import shared_engine

if TYPE_CHECKING:
    from KPrismDesktop.effect_options import EffectOptions
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_engine import Answer
    from KPrismLogic.slice_voxels import SliceVoxels
    from KPrismLogic.target import Target


class ActiveEditing:
    """From the effect's activation to its deactivation.

    Args:
        effect: the scripted effect.
        options: where status and classes are shown.
        runner: runs the model.
        guide_kind: gives the kind of guide that is chosen, "clicks", "class" or "reference".
        selected: called when another segment was selected.
        settled: called when another image is shown to stay, as of a sequence, or it lies elsewhere.
        found: whether what a segment holds is what a run left there, as of ``KPrismLogic.slice_controller``.
    """

    def __init__(
        self,
        effect: Any,
        options: EffectOptions,
        runner: Runner,
        guide_kind: Callable[[], str],
        selected: Callable[[], None],
        settled: Callable[[], None],
        found: Callable[[Target, SliceVoxels, Mask], bool],
    ) -> None:
        engine = shared_engine()
        restore(engine)
        self._effect, self._guide_kind = effect, guide_kind
        self._selected, self._settled = selected, settled
        # The view that the pointer is in, and the one that the user works in: the way to the panel leads across others.
        self._pointed: Any = None
        self._view: Any = None
        self.session = EditingSession(
            effect.parameterSetNode,
            EffectEditor(effect),
            engine,
            runner,
            report=self._on_written,
            fail=self.failed,
            found=found,
        )
        controller = self.session.controller
        self._status = StatusLine(options.show_status, engine.model, lambda: controller.busy)
        self._markers = ViewMarkers(effect, self.session)
        self._warm_up = WarmUp(self.session, self._pointed_node, lambda: not self._status.missing())
        self._markers.follow_segmentation()
        self._selection = SelectionWatch(effect.parameterSetNode, self._on_selected)
        self._image = ImageWatch(effect.parameterSetNode, self._markers.refresh, self._on_settled)
        options.show_classes(classes_of(engine.model.name))

    def close(self) -> None:
        """Leave nothing behind; afterwards only the status line works, for runs that end late."""
        self._selection.end()
        self._image.end()
        self._warm_up.close()
        self._markers.close()
        self.session.close()
        # Whoever holds this still, if only in a circle, must not keep timers and actors: those would be destroyed where
        # Python collects circles, which may be the thread that the model runs in.
        del self._selection, self._image, self._warm_up, self._markers, self.session

    def enter(self, widget: Any, *, working: bool) -> bool:
        """The pointer is in a slice view; -> whether that has become the one that the user works in.

        Args:
            widget: the view.
            working: whether the user clicks or types there, and does not merely cross it; in the first view all counts.
        """
        if self._pointed is None or widget != self._pointed:
            self._pointed = widget
            self._warm_up.later()
        self._selection.follow()
        self._image.follow()
        self._markers.enter(widget)
        return (working or not self._view) and self._work_in(widget)

    def view_changed(self, widget: Any, node: Any) -> None:
        """A view shows another slice, or the same one elsewhere."""
        self._markers.refresh_view(widget, node)
        if self._pointed is not None and widget == self._pointed:
            self._warm_up.later()
        if is_scrolled(widget, node):
            self._work_in(widget)

    def nodes_changed(self) -> None:
        """Another volume or segmentation was chosen."""
        self._selection.follow()
        self._image.follow()
        self._markers.follow_segmentation()
        self._warm_up.later()

    def leave_views(self) -> None:
        """Views may be gone, with their renderers."""
        self._pointed = self._view = None
        self._markers.leave_views()

    def shown_view(self) -> Any:
        """The slice node of the view that the user works in: clicked, scrolled or typed in last.

        Before any is, it is the first one that the pointer came into, or else the first one that the layout shows.

        Raises:
            InvalidPrompt: there is no slice view.
        """
        node = self._node_of(self._view) or next(visible_slice_nodes(), None)
        if node is None:
            raise InvalidPrompt("Show a slice view first.")
        return node

    def ready(self) -> bool:
        """Whether nothing is missing; otherwise the status line says what is."""
        self.say("")
        return not self._status.missing()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What is wrong becomes the status line, never a popup."""
        try:
            yield
        except KPrismError as error:
            self.say(str(error))
        else:
            self.show_status()

    def say(self, sentence: str) -> None:
        """Say something in the status line until the next thing happens."""
        self._status.say(sentence)
        self.show_status()

    def show_status(self) -> None:
        """Show how things are."""
        self._status.refresh(self._guide_kind())

    def _work_in(self, widget: Any) -> bool:
        new = self._view is None or widget != self._view
        self._view = widget
        return bool(new)

    def _pointed_node(self) -> Any:
        return self._node_of(self._pointed)

    def _node_of(self, widget: Any) -> Any:
        return self._effect.viewNode(widget) if widget else None  # A view that is gone is false.

    def _on_selected(self) -> None:
        self._image.follow()
        self._markers.follow_segmentation()
        self._markers.refresh()
        self._selected()

    def _on_settled(self) -> None:
        self._settled()
        self._warm_up.now()

    def _on_written(self, answer: Answer) -> None:
        self._status.answered(answer)
        self.show_status()
        self._markers.refresh()
        self._warm_up.later()

    def failed(self, error: Exception) -> None:
        """Say what kept something from being done."""
        self.say(failure(error))
