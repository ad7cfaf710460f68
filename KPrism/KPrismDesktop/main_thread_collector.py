"""While another thread works, Python's cycle collector runs on the main thread only.

It runs on whichever thread happens to allocate, and destroys there what it finds: nodes with their observers, and Qt
objects of any module that lie in a circle. Neither may be destroyed beside the main thread; Slicer crashes, in
somebody else's code.
"""

from __future__ import annotations

import functools
import gc


class MainThreadCollector:
    """Every method is for the main thread."""

    def __init__(self) -> None:
        self._holders = 0
        self._found_enabled = False

    def hold(self) -> None:
        """No collection of its own accord from now on; each call needs a :meth:`release`."""
        if self._holders == 0:
            self._found_enabled = gc.isenabled()
            gc.disable()
        self._holders += 1

    def release(self) -> None:
        """The other thread is at rest."""
        self._holders -= 1
        if self._holders == 0 and self._found_enabled:
            gc.enable()

    def sweep(self) -> None:
        """Collect what Python would have collected by now; old objects wait, for that takes long."""
        young, middle, _ = gc.get_count()
        most_young, most_middle, _ = gc.get_threshold()
        if self._found_enabled and most_young and young > most_young:
            gc.collect(1 if middle > most_middle else 0)


@functools.cache
def main_thread_collector() -> MainThreadCollector:
    """The one of this process."""
    return MainThreadCollector()
