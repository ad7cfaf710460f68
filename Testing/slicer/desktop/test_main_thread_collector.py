"""What lies in circles is destroyed on the main thread, however much another one allocates."""

import gc
import threading
import weakref

import pytest


class Circle:
    """As a node and its observer: each holds the other."""

    def __init__(self, died):
        self.me = self
        weakref.finalize(self, lambda: died.append(threading.current_thread() is threading.main_thread()))


@pytest.fixture
def runner(desktop):
    from KPrismDesktop.qt_pump import QtPump
    from KPrismLogic.runner import ThreadRunner

    runner = ThreadRunner(QtPump())
    yield runner
    runner.close()
    while runner._leaving:
        runner.deliver()


def allocate():
    return [[] for _ in range(50_000)]  # enough for some collections


def beat_until_done(runner):
    while runner.busy:
        runner._pump.beat()


def test_circles_die_on_the_main_thread_while_another_one_allocates(runner):
    died, done = [], []
    gc.collect()
    for _ in range(5):
        Circle(died)
    runner.submit(allocate, done.append)
    assert not gc.isenabled()
    beat_until_done(runner)
    assert len(done) == 1
    assert gc.isenabled()
    gc.collect()
    assert died == [True] * 5


def test_what_would_have_been_collected_is_collected_meanwhile(runner):
    died, go_on = [], threading.Event()
    gc.collect()
    runner.submit(lambda: allocate() and go_on.wait(20), lambda done: done.result())
    for _ in range(5):
        Circle(died)
    kept = [[] for _ in range(5_000)]
    while not died:
        runner._pump.beat()
    assert kept
    assert died == [True] * 5
    assert not gc.isenabled()
    go_on.set()
    beat_until_done(runner)


def test_it_is_held_until_the_last_of_several_runners_rests(desktop):
    from KPrismDesktop.qt_pump import QtPump

    first, second = QtPump(), QtPump()
    first.start(lambda: None)
    second.start(lambda: None)
    second.start(lambda: None)  # again changes nothing
    first.stop()
    assert not gc.isenabled()
    second.stop()
    second.stop()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off(desktop):
    from KPrismDesktop.qt_pump import QtPump

    pump = QtPump()
    gc.disable()
    pump.start(lambda: None)
    pump.beat()
    pump.stop()
    assert not gc.isenabled()
    gc.enable()
