"""The references of the effect: added by hand or found in other volumes, shown, and saved with the scene."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from KPrismDesktop.thumbnails import thumbnail
from KPrismLib.errors import KPrismError
from KPrismLogic.guide import Guide, ReferenceShelf, ReferenceSlice
from KPrismLogic.reference_records import recall, record
from KPrismLogic.reference_search import ReferenceSearch
from KPrismLogic.scene_library import TAKEN, Known
from KPrismLogic.slice_engine import shared_engine

if TYPE_CHECKING:
    from KPrismDesktop.active_editing import ActiveEditing
    from KPrismDesktop.effect_options import EffectOptions
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_origin import SliceOrigin
    from KPrismLogic.target import Target


class EffectReferences:
    """As long as the effect lives, whether it is chosen or not.

    Args:
        effect: the scripted effect, whose parameter node the scene is saved with.
        options: where they are shown.
        runner: runs the model.
    """

    def __init__(self, effect: Any, options: EffectOptions, runner: Runner) -> None:
        self._effect, self._options, self._runner = effect, options, runner
        self._shelf = ReferenceShelf()
        self._search: ReferenceSearch | None = None

    def guide(self) -> Guide:
        """All of them."""
        return self._shelf.guide()

    def add(self, active: ActiveEditing) -> None:
        """Take the shown slice; what is wrong is said in the status line."""
        with active.telling():
            added = self._shelf.add(*active.session.reference(active.shown_view()))
            active.say("" if added else "This slice is among the references already.")
        self._keep()

    def remove(self, active: ActiveEditing, index: int) -> None:
        """Take one away, by its place; there may be none."""
        active.say("" if 0 <= index < len(self._shelf) else "Select a reference first.")
        self._keep(self._shelf.remove(index))

    def find(self, active: ActiveEditing) -> None:
        """Look for those that suit the shown slice best in other volumes; they replace those found before."""
        if not active.ready():
            return
        with active.telling():
            self._shelf.check_room()
            target = active.session.target(active.shown_view())
            source, known = active.session.known_elsewhere(active.shown_view())
            self.rest()
            self._search = ReferenceSearch(
                shared_engine(),
                self._runner,
                source,
                [reference for reference, _ in known],
                TAKEN,
                target.segment().GetName(),
                progress=functools.partial(self._on_progress, active, target, len(known)),
                finished=functools.partial(self._on_found, active, known),
            )
            self._search.start()

    def rest(self) -> None:
        """The effect is left: nothing is searched any more."""
        if self._search is not None:
            self._search.end()
            self._search = None  # It holds the voxels of all volumes that it compares.

    def recall(self, active: ActiveEditing) -> None:
        """Read those that the scene was saved with, unless there are some, of whatever scene."""
        parameters = self._effect.parameterSetNode()
        if parameters is not None and not self._shelf:
            remark = recall(parameters, self._shelf)
            self._show()
            if remark:
                active.say(remark)

    def _on_progress(self, active: ActiveEditing, target: Target, count: int, encoded: int) -> bool:
        if not active.session.is_selected(target):
            self.rest()
            active.say("Another volume or segment was selected; the search was ended.")
            return False
        active.say(f"comparing {min(encoded + 1, count)} of {count} slices of other volumes …")
        return True

    def _on_found(self, active: ActiveEditing, known: Sequence[Known], done: Future[list[ReferenceSlice]]) -> None:
        self.rest()
        expected = done.exception()
        if isinstance(expected, (KPrismError, ImportError)):
            # Raised here, it would hold this frame, and that would hold it: a circle with the editing in it.
            active.failed(expected)
            return
        try:
            best = done.result()
            self._shelf.check_room()
        except Exception as error:
            active.failed(error)
            if not isinstance(error, (KPrismError, ImportError)):
                raise  # A defect: the log gets the whole story.
            return
        origins = dict(known)
        gone = self._shelf.replace_found([(one, origins[one]) for one in best])
        self._keep(*gone)
        taken = [one for one in self._shelf if one in best]
        titles = ", ".join(dict.fromkeys(one.title for one in taken))
        active.say(
            f"Found {len(taken)} references: {titles}." if taken else "The best ones are among the references already."
        )

    def _keep(self, *removed: SliceOrigin | None) -> None:
        """Show what there is now, and let it be saved with the scene."""
        if self._effect.parameterSetNode() is not None:
            record(self._effect.parameterSetNode(), self._shelf, *removed)
        self._show()

    def _show(self) -> None:
        self._options.show_references([(thumbnail(one), one.title) for one in self._shelf])
