"""Noticing that the scene was closed, of which effects are told nothing while they are not chosen."""

from __future__ import annotations

import weakref
from collections.abc import Callable


class SceneWatch:
    """Calls a method after the scene was closed, until it is ended; scripts may do without a scene of the application.

    Args:
        closed: a bound method without arguments. Its object is not kept alive: not every Slicer tells an effect that
            its editor is gone.
    """

    def __init__(self, closed: Callable[[], None]) -> None:
        import slicer

        method = weakref.WeakMethod(closed)

        def on_closed(*_: object) -> None:
            call = method()
            if call is not None:
                call()

        self._scene = getattr(slicer, "mrmlScene", None)
        self._tag = None if self._scene is None else self._scene.AddObserver(self._scene.EndCloseEvent, on_closed)

    def end(self) -> None:
        """Watch no longer."""
        if self._scene is not None:
            self._scene.RemoveObserver(self._tag)
