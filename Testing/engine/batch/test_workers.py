"""Tasks divided among processes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from KPrismLib.batch import workers
from KPrismLib.batch.workers import Interruption, work_here, work_in_processes
from Testing.engine.batch.tiny_work import Squares

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def _nothing(*_: object) -> None:
    pass


def _receive(number: signal.Signals, times: int = 1) -> None:
    for _ in range(times):
        os.kill(os.getpid(), number)
        time.sleep(0.01)


def test_every_task_is_done_once_by_several_processes(tmp_path) -> None:
    steps = []
    work = Squares(tmp_path, seconds=0.05)
    results = list(work_in_processes(work, range(6), Interruption(), lambda *step: steps.append(step), workers=2))
    assert sorted(number for number, *_ in results) == list(range(6))
    assert all(square == number**2 for number, square, _ in results)
    pids = {pid for *_, pid in results}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids
    assert {(task, done, total) for _, task, done, total in steps} == {(task, 1, 2) for task in range(6)}


def test_a_process_that_dies_costs_its_own_task_only(tmp_path) -> None:
    work = Squares(tmp_path, killed_at=1, leaves_at=2)
    results = sorted(result[:2] for result in work_in_processes(work, range(5), Interruption(), _nothing, workers=1))
    assert results == [(0, 0), (1, "signal SIGKILL"), (2, "exit status 7"), (3, 9), (4, 16)]


def test_when_results_are_no_longer_wanted_processes_end_at_once(tmp_path) -> None:
    results = work_in_processes(Squares(tmp_path, seconds=0.2), range(100), Interruption(), _nothing, workers=2)
    next(results)
    before = time.monotonic()
    results.close()
    assert time.monotonic() - before < 10
    begun = len(list(tmp_path.iterdir()))
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) == begun < 10


def test_no_task_begins_after_the_first_interrupt_and_those_in_hand_are_finished(tmp_path) -> None:
    said = []
    with Interruption(lambda: said.append("stopping")) as interruption:
        results = []
        for result in work_in_processes(Squares(tmp_path, seconds=0.3), range(100), interruption, _nothing, workers=2):
            if not results:
                os.kill(os.getpid(), signal.SIGINT)
            results.append(result)
    assert said == ["stopping"]
    assert len(results) == len(list(tmp_path.iterdir())) < 5


def test_on_windows_processes_begin_while_the_console_ignores_interrupts(tmp_path, monkeypatch) -> None:
    """And only then: afterwards ^C reaches this process again, by the handlers that it has had all the time."""
    ignored = [False]
    begun = []

    class Process:
        def start(self) -> None:
            begun.append((ignored[-1], signal.getsignal(signal.SIGINT)))

    def set_handler(routine: None, ignore: bool) -> None:
        assert routine is None
        ignored.append(ignore)

    kernel = SimpleNamespace(SetConsoleCtrlHandler=set_handler)
    context = SimpleNamespace(Pipe=lambda: (None, SimpleNamespace(close=_nothing)), Process=lambda **_: Process())
    monkeypatch.setattr("multiprocessing.get_context", lambda _: context)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    handler = signal.getsignal(signal.SIGINT)
    workers._hire(Squares(tmp_path), 0)
    assert begun == [(True, handler)]
    assert ignored == [False, True, False]
    monkeypatch.setattr(Process, "start", lambda _: (tmp_path / "nowhere").stat())
    with pytest.raises(FileNotFoundError):
        workers._hire(Squares(tmp_path), 0)
    assert ignored[-2:] == [True, False]


def test_here_too(tmp_path) -> None:
    with Interruption() as interruption:
        results = []
        for result in work_here(Squares(tmp_path), range(100), interruption, _nothing):
            results.append(result[0])
            if len(results) == 3:
                os.kill(os.getpid(), signal.SIGINT)
    assert results == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 3


def test_the_second_interrupt_is_at_once_and_the_old_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Interruption():
        _receive(signal.SIGINT, times=2)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_scheduler_that_terminates_is_obeyed_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption():
        _receive(signal.SIGTERM)


def test_outside_the_main_thread_nobody_listens_to_signals(tmp_path) -> None:
    results = []

    def run() -> None:
        with Interruption() as interruption:
            results.extend(work_here(Squares(tmp_path), [3], interruption, _nothing))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [result[:2] for result in results] == [(3, 9)]
