"""Running work beside the main thread, with results delivered on it; where nothing must stay responsive, at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

Work = Callable[[], Any]
Done = Callable[["Future[Any]"], None]


class Runner(Protocol):
    """Runs work in the order it came, one piece at a time."""

    @property
    def busy(self) -> bool:
        """Whether something is running or waits for delivery."""

    def submit(self, work: Work, done: Done) -> None:
        """Run ``work`` anywhere, then ``done`` with its finished future on the main thread."""

    def close(self) -> None:
        """Drop what waits; deliver nothing any more."""


class DirectRunner:
    """Runs work when it is submitted, for console, batch and tests; what that submits in turn runs after it."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Work, Done]] = deque()
        self._running = False

    @property
    def busy(self) -> bool:
        """See :class:`Runner`."""
        return False

    def submit(self, work: Work, done: Done) -> None:
        """See :class:`Runner`."""
        self._waiting.append((work, done))
        if self._running:
            return  # A volume has more slices than Python allows calls within calls.
        self._running = True
        try:
            while self._waiting:
                self._run(*self._waiting.popleft())
        finally:
            self._running = False
            self._waiting.clear()

    def close(self) -> None:
        """See :class:`Runner`."""
        self._waiting.clear()

    def _run(self, work: Work, done: Done) -> None:
        future: Future[Any] = Future()
        try:
            future.set_result(work())
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            future.set_exception(error)
        done(future)


class Pump(Protocol):
    """Calls a function again and again on the main thread while there is work."""

    def start(self, tick: Callable[[], None]) -> None:
        """Begin to call ``tick``; does nothing when it runs already."""

    def stop(self) -> None:
        """Stop calling."""


class ThreadRunner:
    """Runs work on one other thread; results wait for :meth:`deliver` on the main thread.

    May be used again after it was closed.

    Args:
        pump: what calls :meth:`deliver` on a desktop; None where the owner does, or calls :meth:`wait`.
    """

    def __init__(self, pump: Pump | None = None) -> None:
        self._pump = pump
        self._executor: ThreadPoolExecutor | None = None
        self._pending: deque[tuple[Future[Any], Done]] = deque()
        self._leaving: list[tuple[ThreadPoolExecutor, list[Future[Any]]]] = []

    @property
    def busy(self) -> bool:
        """See :class:`Runner`."""
        return bool(self._pending)

    def submit(self, work: Work, done: Done) -> None:
        """See :class:`Runner`."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="K-Prism")
        self._start()  # first: whoever beats the pump prepares the main thread for another one
        self._pending.append((self._executor.submit(work), done))

    def deliver(self) -> None:
        """Deliver what is finished; call it on the main thread."""
        self._see_off()
        while self._pending and self._pending[0][0].done():
            future, done = self._pending.popleft()
            # Before delivering: what is done with the result may fail, and the pump must not outlive the work.
            self._rest()
            if not future.cancelled():
                done(future)
        self._rest()

    def wait(self) -> None:
        """Block until everything is delivered, and what that submitted too."""
        while self._pending:
            self._pending[0][0].exception()
            self.deliver()

    def close(self) -> None:
        """See :class:`Runner`; the thread ends with the piece of work that it is at."""
        futures = [future for future, _ in self._pending]
        self._pending.clear()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._leaving.append((self._executor, futures))
            self._executor = None
        self._see_off()
        if self._leaving:
            # A thread needs Python's lock to end, and an idle Qt loop would hold it for ever.
            self._start()
        else:
            self._rest()

    def _see_off(self) -> None:
        """Join the threads that have nothing to do any more."""
        ended = [one for one in self._leaving if all(future.done() for future in one[1])]
        for executor, _ in ended:
            executor.shutdown(wait=True)
        self._leaving = [one for one in self._leaving if one not in ended]

    def _start(self) -> None:
        if self._pump is not None:
            self._pump.start(self.deliver)

    def _rest(self) -> None:
        if self._pump is not None and not self._pending and not self._leaving:
            self._pump.stop()
