"""Propagate, as the effect offers it: through the editor's own rules and undo."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import qt

from KPrismDesktop.desktop_run import DesktopRun
from KPrismDesktop.effect_editor import EffectEditor
from KPrismDesktop.qt_pump import QtPump
from KPrismDesktop.run_progress import advice
from KPrismLib.errors import KPrismError
from KPrismLogic.runner import ThreadRunner
from KPrismLogic.scene_watch import SceneWatch
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.shared_propagations import shared_propagations
from KPrismLogic.slice_engine import shared_engine
from KPrismLogic.target import NoLongerWanted

if TYPE_CHECKING:
    import slicer

    from KPrismDesktop.active_editing import ActiveEditing
    from KPrismDesktop.propagation_options import PropagationOptions
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_voxels import SliceVoxels
    from KPrismLogic.target import Target
    from KPrismLogic.volume_work import Step


#: A view that is being turned changes with every move of the mouse; the slices of an oblique plane take longer to find.
_PATIENCE_MILLISECONDS = 50


class EffectPropagation:
    """The runs of one effect; it outlives activations, so that what another effect corrected is taken up.

    Args:
        effect: the scripted effect.
        options: the widgets.
    """

    def __init__(self, effect: Any, options: PropagationOptions) -> None:
        self._effect, self._options = effect, options
        # Not the runner of clicks: cancelling drops all that a runner has.
        self._runner = ThreadRunner(QtPump())
        self._run: DesktopRun | None = None
        self._runs = shared_propagations().join(self)
        self._offered: slicer.vtkMRMLVolumeNode | None = None  # the volume of the slices to choose from
        self._watch = SceneWatch(self._forget_scene)
        self._ended = self._left = ""  # how the last run ended, and how one did that was left
        self._turning: ActiveEditing | None = None  # whose view may still be moving
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PATIENCE_MILLISECONDS)
        self._timer.connect("timeout()", self._on_still)

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None

    def found(self, target: Target, voxels: SliceVoxels, content: Mask) -> bool:
        """Whether what a segment holds in some voxels is what a run left there."""
        return self._runs.found(target, voxels, content)

    def follow(self, active: ActiveEditing, *, moving: bool = False) -> None:
        """Offer the slices of the plane that the user works in, and how sure the model was of them.

        Args:
            active: the editing.
            moving: whether a view has moved and may go on moving; turned out of the axes, it is waited for.
        """
        if self.busy:
            return
        try:
            target = active.session.target(active.shown_view())
            if moving and target.plane.name == "oblique":
                self._turning = active
                self._timer.start()
                return
            self._offered = target.volume
            self._options.slices.show(target.volume, target.plane)
        except KPrismError:
            self._options.show_plane("")
            self._options.confidence.turn_to(None)
            return
        self._options.show_plane(target.plane.name)
        self._options.confidence.turn_to(self._runs.of(target))

    def _on_still(self) -> None:
        active, self._turning = self._turning, None
        if active is not None:
            self.follow(active)

    def start(self, active: ActiveEditing, class_name: str | None) -> None:
        """Carry the shown slice of the selected segment through the range; what is wrong is said in the status line.

        Args:
            active: the editing.
            class_name: the class that is chosen as guide, or None.
        """
        if self.busy:
            return
        self.follow(active)
        try:
            self._start(active, class_name)
        except KPrismError as error:
            self.cancel()
            active.say(str(error))

    def _start(self, active: ActiveEditing, class_name: str | None) -> None:
        target = active.session.target(active.shown_view())
        editor = _RunEditor(self._effect, target)
        geometry = editor.geometry()
        run = SegmentPropagation.continued(
            self._runs.of(target),
            target,
            geometry,
            keep_drawn=self._options.keep.checked,
            answered=active.session.answered(target),
        )
        run.class_name = class_name
        first, last = self._options.slices.chosen(run.stack)
        run.check_open(first, last)
        self._runs.keep(run, geometry=geometry)
        pieces = run.through(first, last, learn=self._options.learn.checked)
        self._run = DesktopRun(
            lambda _: nullcontext(editor),
            shared_engine(),
            self._runner,
            functools.partial(self._on_progress, active, run),
            functools.partial(self._on_finished, active, run),
        )
        self._options.allow(False)
        self._options.progress.show(True)
        self._options.confidence.show(run)
        active.say("propagating …")
        self._run.through_volume(target, run.stack, pieces, last - first + 1, run.records, advise=lambda: advice(run))

    def cancel(self) -> None:
        """End the run now; what is written stays."""
        if self._run is not None:
            self._run.cancel()

    def rest(self) -> None:
        """The effect is left: nothing runs, and what belongs to nodes that are gone is forgotten."""
        self._timer.stop()
        self._turning = None
        if self.busy:
            self.cancel()
            self._left = f"{self._ended} The effect was left before the end; Propagate goes on."
        self._runner.close()
        self.forget_what_is_gone()

    def how_it_was_left(self) -> str:
        """Of a run that leaving the effect has ended, its end, told once; "" of none.

        Another module shows no status line, and a part of a segment may look like the whole.
        """
        told, self._left = self._left, ""
        return told

    def forget_what_is_gone(self) -> None:
        """Hold no propagation whose volume or segment is in no scene any more; a run ends by itself before."""
        if self.busy:
            return
        self._runs.forget_what_is_gone()
        shown = self._options.confidence.shown
        if shown is not None:
            # Drawn anew, since the panel may have changed it.
            self._options.confidence.show(shown if self._runs.keeps(shown) else None)
        if self._offered is not None and self._offered.GetScene() is None:
            self._forget_slices()

    def _forget_slices(self) -> None:
        self._options.slices.forget()
        self._offered = None

    def close(self) -> None:
        """Leave nothing behind."""
        self._watch.end()
        self.rest()
        self._timer.disconnect("timeout()", self._on_still)
        shared_propagations().leave(self)
        self._options.confidence.show(None)
        self._forget_slices()

    def _forget_scene(self) -> None:
        self.forget_what_is_gone()
        self._forget_slices()

    def _on_progress(self, active: ActiveEditing, run: SegmentPropagation, step: Step, done: int, count: int) -> None:
        run.note(step)
        self._options.confidence.show(run)
        active.say(self._options.progress.tell(step, done, count))

    def _on_finished(self, active: ActiveEditing, run: SegmentPropagation, sentence: str) -> None:
        self._run, self._ended = None, sentence
        self._runs.ended(run)
        self._options.progress.show(False)
        active.say(sentence)
        self.forget_what_is_gone()
        self.follow(active)


class _RunEditor(EffectEditor):
    """Writes to one target only, however long the run lasts."""

    def __init__(self, effect: Any, target: Target) -> None:
        super().__init__(effect)
        self._target = target

    def geometry(self) -> Any:
        """See :class:`EffectEditor`.

        Raises:
            NoLongerWanted: the editor edits something else by now.
        """
        node = self._effect.parameterSetNode()
        ours = self._target.segmentation, self._target.volume
        if node is None or (node.GetSegmentationNode(), node.GetSourceVolumeNode()) != ours:
            raise NoLongerWanted("Another volume or segmentation was chosen; the rest was not segmented.")
        if node.GetSelectedSegmentID() != self._target.segment_id:
            # Masks and overwrite rules are those of the selected segment, which would lose its protection.
            raise NoLongerWanted("Another segment was selected; the rest was not segmented.")
        return super().geometry()
