"""The propagations of all editors and the panel: what one began is corrected and carried on in another."""

from __future__ import annotations

import functools
import weakref

from KPrismDesktop.scene_watch import SceneWatch
from KPrismLogic.kept_propagations import KeptPropagations
from KPrismLogic.model import shared_model


class SharedPropagations:
    """Kept as long as an editor or the panel is there, since Slicer must be able to end without their nodes."""

    def __init__(self) -> None:
        self._kept = KeptPropagations(shared_model())
        # Not every Slicer tells an effect that its editor is gone.
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._watch: SceneWatch | None = None

    def join(self, user: object) -> KeptPropagations:
        """What is kept, for somebody who :meth:`leaves <leave>` at the end."""
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
    return SharedPropagations()
