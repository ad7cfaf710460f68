"""What a run through a volume held is destroyed at its end, nodes by the main thread, a model before the next one."""

import gc
import threading
import weakref

import pytest

import KPrismLib.predictor
from KPrismLib.errors import InvalidImage
from KPrismLogic.kept_propagations import KeptPropagations
from KPrismLogic.runner import ThreadRunner
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.volume_run import VolumeRun
from Testing.slicer.carrying import Session
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import Bench, draw_layers, view_plane

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class _Owner:
    """Of a run that it holds, and that tells it of its steps and its end, as a desktop's does."""

    def __init__(self, bench, runner):
        self.ends = []
        target = bench.target(view_plane("axial", bench.ras(6, 6, 7)))
        self.propagation = SegmentPropagation(target)
        nodes = target.volume, target.segmentation
        given = bench.editor, bench.engine, runner, *nodes, self.propagation.stack
        self.run = VolumeRun(*given, progress=lambda *_: self.run is not None, finished=self._end)
        self.run.start(self.propagation.through(0, 13))

    def _end(self, error):
        self.ends.append(error)
        self.run = None


@pytest.fixture
def gate():
    """Holds the model's thread until it is opened."""

    class Gate:
        def __init__(self):
            self.reached, self.opened = threading.Event(), threading.Event()

        def hold(self):
            self.reached.set()
            assert self.opened.wait(20)

    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.mark.usefixtures("no_collector")
def test_the_nodes_of_a_cancelled_run_are_destroyed_before_the_model_comes_to_an_end(scene, gate):
    bench = Bench.of_body(scene, "flipped")
    draw_layers(bench, 6)
    bench.predictor.before_prediction = gate.hold
    runner, where = ThreadRunner(), {}
    owner = _Owner(bench, runner)
    for name in ("volume", "segmentation"):
        getattr(bench, name).AddObserver(
            "DeleteEvent", lambda *_, name=name: where.setdefault(name, threading.current_thread())
        )
    weakref.finalize(owner.run, lambda: where.setdefault("run", threading.current_thread()))
    assert gate.reached.wait(20)
    owner.run.cancel()
    scene.Clear(False)
    del owner, bench
    gc.collect()
    assert where == dict.fromkeys(("run", "volume", "segmentation"), threading.main_thread())
    gate.opened.set()
    runner.close()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("how", ["done", "wrong", "cancelled"])
def test_a_run_that_has_ended_is_in_no_circle(scene, how):
    bench, runner = Bench.of_body(scene, "flipped"), ThreadRunner()
    draw_layers(bench, 6)
    if how == "wrong":
        bench.predictor.before_prediction = _fail
    owner = _Owner(bench, runner)
    gone = weakref.ref(owner.run)
    if how == "cancelled":
        owner.run.cancel()
    runner.wait()
    (end,) = owner.ends
    assert isinstance(end, InvalidImage) == (how == "wrong")
    owner.ends.clear()
    del end
    assert gone() is None
    runner.close()


def test_a_run_lets_go_of_a_model_before_another_one_is_loaded(scene, monkeypatch):
    bench = Bench.of_body(scene, "flipped")
    draw_layers(bench, 6)
    session, model = Session(bench), bench.engine.model
    kept = KeptPropagations(model)
    kept.keep(session.propagation)
    first, in_memory = weakref.ref(bench.predictor), []
    bench.predictor = None

    class Loading:
        @staticmethod
        def load(*_, **__):
            gc.collect()
            in_memory.append(first() is not None)
            return FloodPredictor()

    monkeypatch.setattr(KPrismLib.predictor, "Predictor", Loading)

    def unload():
        if len(session.written) == 1:
            model.unload()

    session.start(progress=unload).wait()
    session.runner.close()
    assert session.ends == [None]
    assert in_memory == [False]


def _fail():
    raise InvalidImage("Wrong.")
