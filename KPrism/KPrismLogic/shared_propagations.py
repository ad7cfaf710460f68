"""The propagations of all editors, the panel and the console: what one began is corrected and carried on in another."""

from __future__ import annotations

import functools
import weakref

from KPrismLogic.kept_propagations import KeptPropagations
from KPrismLogic.model import Model, shared_model
from KPrismLogic.scene_watch import SceneWatch


class SharedPropagations:
    """Kept as long as one of their users is there, since Slicer must be able to end without their nodes.

    Args:
        model: whose predictor they work with.
    """

    def __init__(self, model: Model) -> None:
        self._kept = KeptPropagations(model)
        # Not every Slicer tells an effect that its editor is gone, and nobody ends the console's logic.
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._watch: SceneWatch | None = None

    def join(self, user: object) -> KeptPropagations:
        """What is kept, for somebody who :meth:`leaves <leave>` at the end; there is a scene by then."""
        if not self._users:
            self._kept.clear()  # of those who did not leave
        self._users.add(user)
        if self._watch is None:
            self._watch = SceneWatch(self._kept.forget_what_is_gone)
        return self._kept

    def leave(self, user: object) -> None:
        """Somebody is gone; the last one takes everything along."""
        self._users.discard(user)
        if not self._users and self._watch is not None:
            self._watch.end()
            self._watch = None
            self._kept.clear()


@functools.cache
def shared_propagations() -> SharedPropagations:
    """The one that there is."""
    return SharedPropagations(shared_model())
