"""Noticing that the scene was closed, of which effects are told nothing while they are not chosen."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import slicer


class SceneWatch:
    """Calls a method after the scene was closed, until it is ended.

    Args:
        closed: a bound method without arguments. Its object is not kept alive: not every Slicer tells an effect that
            its editor is gone.
    """

    def __init__(self, closed: Callable[[], None]) -> None:
        method = weakref.WeakMethod(closed)

        def on_closed(*_: object) -> None:
            call = method()
            if call is not None:
                call()

        self._scene = slicer.mrmlScene
        self._tag = self._scene.AddObserver(self._scene.EndCloseEvent, on_closed)

    def end(self) -> None:
        """Watch no longer."""
        self._scene.RemoveObserver(self._tag)
