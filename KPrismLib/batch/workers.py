"""Cases divided among processes, of which one may die without taking the others with it."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_Taken = TypeVar("_Taken", contravariant=True)
_Given = TypeVar("_Given", covariant=True)

Progress = Callable[[int, int], None]


class Work(Protocol[_Taken, _Given]):
    """What a process does; pickled when it starts, so that it can open what is expensive (a model) by itself."""

    def do(self, task: _Taken, worker: int, progress: Progress) -> _Given:
        """Do one task; ``worker`` counts processes from 0, ``progress`` takes (steps done, steps in all)."""

    def died(self, task: _Taken, reason: str) -> _Given:
        """The result of a task whose process died."""


@dataclass
class _Worker(Generic[_Task]):
    number: int
    process: BaseProcess
    pipe: Connection
    task: _Task | None = field(default=None)


class Interruption:
    """^C: the first one ends the work between two tasks, the second one at once; a context manager.

    Args:
        announce: called at the first ^C.
    """

    def __init__(self, announce: Callable[[], None] = lambda: None) -> None:
        self.wanted = False
        self._announce = announce
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        with contextlib.suppress(ValueError):  # only the main thread may listen to signals
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
            # What job schedulers send some seconds before they kill: no time to finish anything.
            self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, *_: object) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True
        self._announce()

    def _terminate(self, *_: object) -> None:
        raise KeyboardInterrupt


def work_here(
    work: Work[_Task, _Result],
    tasks: Iterable[_Task],
    interruption: Interruption,
    progress: Callable[[int, _Task, int, int], None],
) -> Iterator[_Result]:
    """Do tasks one by one in this process; arguments as for :func:`work_in_processes`."""
    for task in tasks:
        if interruption.wanted:
            return
        yield work.do(task, 0, lambda done, total, task=task: progress(0, task, done, total))  # type: ignore[misc]


def work_in_processes(
    work: Work[_Task, _Result],
    tasks: Iterable[_Task],
    interruption: Interruption,
    progress: Callable[[int, _Task, int, int], None],
    *,
    workers: int,
) -> Iterator[_Result]:
    """Do tasks in ``workers`` processes; -> results in the order in which they become ready.

    A process that dies (killed for its memory, crashed in a decoder) costs its own task only; another one takes its
    place. When this generator is closed its processes end at once.

    Args:
        work: what to do.
        tasks: taken one at a time, as processes become free.
        interruption: when it is wanted, no further task begins; those in hand are finished.
        progress: told ``(worker, task, steps done, steps in all)``.
    """
    waiting = iter(tasks)
    crew: list[_Worker[_Task]] = []
    try:
        for number in range(workers):
            task = next(waiting, None)
            if task is None:
                break
            crew.append(_hire(work, number))
            _hand_over(crew[-1], task)
        while crew:
            for ready in wait([worker.pipe for worker in crew]):
                worker = next(one for one in crew if one.pipe is ready)
                message = _received(worker)
                if isinstance(message, _Step):
                    assert worker.task is not None
                    progress(worker.number, worker.task, message.done, message.total)
                    continue
                crew.remove(worker)
                task = worker.task
                assert task is not None
                if message is None:
                    worker.process.join()
                    yield work.died(task, _why_dead(worker.process))
                else:
                    yield message.result
                following = None if interruption.wanted else next(waiting, None)
                if following is None:
                    _dismiss(worker)
                    continue
                crew.append(_hire(work, worker.number) if message is None else worker)
                _hand_over(crew[-1], following)
    finally:
        for worker in crew:
            worker.process.terminate()
        for worker in crew:
            worker.process.join()


@dataclass(frozen=True)
class _Step:
    done: int
    total: int


@dataclass(frozen=True)
class _Done:
    result: Any


def _hire(work: Work[_Task, _Result], number: int) -> _Worker[_Task]:
    # Spawned, not forked: neither CUDA nor the threads of torch survive a fork.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_labour, args=(work, number, theirs), daemon=True)
    with _without_interrupts():
        process.start()
    theirs.close()
    return _Worker(number, process, ours)


def _hand_over(worker: _Worker[_Task], task: _Task) -> None:
    worker.task = task
    with contextlib.suppress(OSError):  # it died; reading from it will tell
        worker.pipe.send(task)


def _received(worker: _Worker[_Task]) -> _Step | _Done | None:
    """The next message; None when the process is dead."""
    try:
        message = worker.pipe.recv()
    except (EOFError, OSError):
        return None
    assert isinstance(message, _Step | _Done)
    return message


def _dismiss(worker: _Worker[_Task]) -> None:
    worker.pipe.close()  # the process sees the end of its tasks
    worker.process.join()


def _why_dead(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit status {code}"


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process that begins in here ignores ^C from its first moment, not only when Python has come up in it."""
    if sys.platform == "win32":
        # There it does not inherit the handlers of signals, but whether ^C is ignored, which is said in these words.
        ignore_interrupts = ctypes.windll.kernel32.SetConsoleCtrlHandler
        ignore_interrupts(None, True)
        try:
            yield
        finally:
            ignore_interrupts(None, False)
        return
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _labour(work: Work[Any, Any], number: int, pipe: Connection) -> None:
    """The life of a process: tasks until the pipe is closed, also when the other side is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C reaches every process of a terminal; the first one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        result = work.do(task, number, lambda done, total: pipe.send(_Step(done, total)))
        try:
            pipe.send(_Done(result))
        except OSError:
            os._exit(1)
