"""Delivering results on Slicer's main thread while a worker thread computes."""

from __future__ import annotations

import time
from collections.abc import Callable

import qt

from KPrismDesktop.main_thread_collector import main_thread_collector

#: While Qt waits for events it holds Python's lock, and a worker stands still. A timer without interval that sleeps
#: this long lets the worker run nearly all the time, and Qt handle events every few milliseconds.
_YIELD_SECONDS = 0.005


class QtPump:
    """Calls a function from Qt's event loop, only while there is work; see ``KPrismLogic.runner.Pump``."""

    def __init__(self) -> None:
        self._tick: Callable[[], None] | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(0)

    def start(self, tick: Callable[[], None]) -> None:
        """Begin to call ``tick``; the connection keeps the pump alive until it is stopped."""
        if self._tick is None:
            main_thread_collector().hold()
            self._timer.connect("timeout()", self.beat)
            self._timer.start()
        self._tick = tick

    def stop(self) -> None:
        """Stop calling."""
        if self._tick is not None:
            self._timer.stop()
            self._timer.disconnect("timeout()", self.beat)
            self._tick = None
            main_thread_collector().release()

    def beat(self) -> None:
        """Let the worker run a moment, then look for results."""
        time.sleep(_YIELD_SECONDS)
        main_thread_collector().sweep()
        if self._tick is not None:
            self._tick()
