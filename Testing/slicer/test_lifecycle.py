"""Whatever happens while the model thinks: no crash, no wrong write, no click lost."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import slicer

from KPrismLogic.guide import Guide
from KPrismLogic.model import Model
from KPrismLogic.runner import ThreadRunner
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_request import Request
from KPrismLogic.stroke import Stroke
from KPrismLogic.target import NoLongerWanted
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import SIZE, Bench, body, fill, geometry, segmentation_node, volume_node

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "KPrism"


class Gate:
    """Holds the predictor until the test has done its mischief."""

    def __init__(self, bench):
        self.open, self.reached = threading.Event(), threading.Event()
        bench.predictor.before_prediction = self.pass_through

    def pass_through(self):
        self.reached.set()
        assert self.open.wait(20)

    def wait(self):
        assert self.reached.wait(20)


@pytest.fixture
def bench(scene):
    volume = volume_node(scene, body(), geometry("flipped"))
    runner = ThreadRunner()
    bench = Bench.make(scene, volume, segmentation_node(scene, volume), runner=runner)
    bench.runner = runner
    yield bench
    runner.close()


def _plane(bench, k=6):
    return SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(k, 6, 7))


def _click_and(bench, mischief, **more):
    gate = Gate(bench)
    bench.click(_plane(bench), bench.ras(6, 6, 7), **more)
    gate.wait()
    mischief()
    gate.open.set()
    bench.runner.wait()


def test_result_is_written_on_the_thread_that_asked(bench):
    threads = []
    bench.predictor.before_prediction = lambda: threads.append(threading.current_thread())
    add = bench.editor.add
    bench.editor.add = lambda *given: (threads.append(threading.current_thread()), add(*given))
    bench.click(_plane(bench), bench.ras(6, 6, 7))
    bench.runner.wait()
    assert threads[0] is not threading.main_thread()
    assert threads[-1] is threading.main_thread()
    assert bench.array().any()


def test_asking_does_not_block(bench):
    bench.click(_plane(bench), bench.ras(6, 6, 7))
    bench.runner.wait()
    bench.predictor.before_prediction = lambda: time.sleep(0.5)
    start = time.perf_counter()
    bench.click(_plane(bench), bench.ras(6, 6, 14))
    bench.runner.deliver()
    assert time.perf_counter() - start < 0.25
    bench.runner.wait()
    assert bench.array()[6, 6, 14]


def test_clicks_during_a_run_are_queued_and_build_on_each_other(bench):
    def more():
        bench.click(_plane(bench), bench.ras(6, 6, 14))
        bench.click(_plane(bench, 8), bench.ras(8, 6, 7), segment_id="Other")
        bench.click(_plane(bench), bench.ras(6, 6, 7), positive=True)

    _click_and(bench, more)
    assert not bench.failures
    assert np.array_equal(bench.array()[6], body()[6] > 0)
    assert np.array_equal(bench.array("Other")[8], body()[8] == 100)
    assert len(bench.reports) == 4


@pytest.mark.parametrize(
    "mischief",
    [
        pytest.param(lambda b: b.segmentation.GetSegmentation().RemoveSegment("Liver"), id="segment deleted"),
        pytest.param(lambda b: b.volume.GetScene().RemoveNode(b.volume), id="volume closed"),
        pytest.param(lambda b: b.segmentation.GetScene().RemoveNode(b.segmentation), id="segmentation removed"),
        pytest.param(lambda b: b.volume.GetScene().Clear(False), id="scene closed"),
        pytest.param(lambda b: b.volume.SetAndObserveImageData(None), id="volume emptied"),
        pytest.param(lambda b: b.volume.SetSpacing(3, 3, 3), id="volume's geometry changed"),
    ],
)
def test_what_is_gone_is_not_written(bench, mischief):
    _click_and(bench, lambda: mischief(bench))
    assert len(bench.failures) == 1
    assert isinstance(bench.failures[0], NoLongerWanted)
    assert not bench.reports
    for name in ("Liver", "Other"):
        segment = bench.segmentation.GetSegmentation().GetSegment(name)
        assert segment is None or bench.segmentation.GetScene() is None or not bench.array(name).any()


@pytest.mark.parametrize(("layer", "written"), [(6, False), (2, True)], ids=["in the slice", "elsewhere"])
def test_volume_edited_during_the_run(bench, layer, written):
    def edit():
        scalars = bench.volume.GetImageData().GetPointData().GetScalars()
        scalars.SetTuple1(layer * SIZE[0] * SIZE[1], 1)
        scalars.Modified()
        bench.volume.GetImageData().Modified()

    _click_and(bench, edit)
    assert [type(one) for one in bench.failures] == [NoLongerWanted] * (not written)
    assert bench.array().any() == written


def test_answer_for_what_is_no_longer_shown_is_dropped(bench):
    shown = [True]
    _click_and(bench, lambda: shown.__setitem__(0, False), current=lambda: shown[0])
    assert isinstance(bench.failures[0], NoLongerWanted)
    assert not bench.array().any()
    assert not bench.editor.logic.CanUndo()


def test_no_click_is_written_into_another_content_of_the_node(bench):
    """A sequence browser gives the node that of the next frame, where segments have the same IDs and names."""
    frame, next_frame = bench.segmentation.GetSegmentation(), slicer.vtkSegmentation()
    next_frame.DeepCopy(frame)

    def click_and_turn():
        bench.click(_plane(bench, 7), bench.ras(7, 6, 7))  # waits for the first one
        bench.segmentation.SetAndObserveSegmentation(next_frame)

    _click_and(bench, click_and_turn)
    assert [type(one) for one in bench.failures] == [NoLongerWanted] * 2
    assert "Another segmentation" in str(bench.failures[0])
    assert not bench.reports
    assert not bench.array().any()
    bench.click(_plane(bench), bench.ras(6, 6, 7))
    bench.runner.wait()
    assert bench.array().any()
    bench.segmentation.SetAndObserveSegmentation(frame)
    assert not bench.array().any()


def test_undo_during_a_run_takes_the_running_click_with_it(bench):
    bench.click(_plane(bench), bench.ras(6, 6, 7))
    bench.runner.wait()
    gate = Gate(bench)
    bench.click(_plane(bench), bench.ras(6, 6, 14))
    gate.wait()
    bench.undo()
    gate.open.set()
    bench.runner.wait()
    assert not bench.array().any()
    assert isinstance(bench.failures[0], NoLongerWanted)


def test_painting_during_a_run_is_kept_and_the_click_counts(bench):
    painted = np.zeros(body().shape, bool)
    painted[6, 0:2, 0:2] = True
    _click_and(bench, lambda: fill(bench.editor, bench.segmentation, "Liver", painted))
    assert not bench.failures
    assert np.array_equal(bench.array()[6], painted[6] | (body()[6] == 100))


def test_other_segment_selected_during_a_run_gets_nothing(bench):
    _click_and(bench, lambda: bench.parameters.SetSelectedSegmentID("Other"))
    assert bench.array("Liver").any()
    assert not bench.array("Other").any()


def test_closing_during_a_run_writes_nothing_and_leaves_no_thread(bench):
    _click_and(bench, bench.controller.close)
    assert not bench.array().any()
    assert not bench.reports
    assert not bench.failures
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("K-Prism") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


class CountedPump:
    """Remembers whether it was stopped; the test calls what Qt would."""

    def __init__(self):
        self.tick = None

    def start(self, tick):
        self.tick = tick

    def stop(self):
        self.tick = None


def test_closed_runner_sees_its_thread_off_and_works_again(bench):
    pump, done, gate = CountedPump(), [], threading.Event()
    runner = ThreadRunner(pump)
    runner.submit(lambda: gate.wait(20), done.append)
    runner.close()
    assert pump.tick is not None  # somebody must give the thread Python's lock until it ends
    gate.set()
    deadline = time.monotonic() + 20
    while pump.tick is not None:
        assert time.monotonic() < deadline
        pump.tick()
        time.sleep(0.001)
    assert not [one for one in threading.enumerate() if one.name.startswith("K-Prism")]
    assert done == []
    runner.submit(lambda: 7, done.append)
    while pump.tick is not None:
        pump.tick()
    assert done[0].result() == 7
    runner.close()
    assert pump.tick is None


def test_choosing_another_model_does_not_wait_for_the_one_that_loads(monkeypatch):
    gate, asked = threading.Event(), []

    def load(name, device):
        asked.append(name)
        assert gate.wait(20)
        return FloodPredictor(device=name)

    monkeypatch.setattr("KPrismLib.predictor.Predictor.load", load)
    model = Model("first", "cpu")
    loaded = []
    thread = threading.Thread(target=lambda: loaded.append(model.predictor()))
    thread.start()
    while not asked:
        time.sleep(0.001)
    assert model.loading
    model.choose("second", "cpu")
    assert not model.loaded
    gate.set()
    thread.join(20)
    assert asked == ["first", "second"]
    assert loaded[0].device == "second"
    assert model.loaded
    assert not model.loading


def test_linking_torch_imports_nothing_and_the_import_works_afterwards():
    code = (
        f"import sys; sys.path[:0] = {[str(MODULE_FOLDER)]!r}\n"
        "from KPrismLogic.torch_libraries import link_torch\n"
        "link_torch()\n"
        "assert 'torch' not in sys.modules\n"
        "if sys.platform == 'linux':\n"
        "    assert 'libtorch_cpu' in open('/proc/self/maps').read()\n"
        "import torch\n"
        "assert torch.ones(2).sum() == 2\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr


def test_two_editors_share_a_model_and_not_a_wrong_word(scene, bench):
    other_runner = ThreadRunner()
    other = Bench.make(scene, bench.volume, bench.segmentation, "Other", other_runner)
    other.engine.model.use(bench.predictor)
    active = []

    def alone():
        active.append(1)
        time.sleep(0.01)
        assert len(active) == 1
        active.pop()

    bench.engine.model = other.engine.model
    bench.predictor.before_prediction = alone
    for _ in range(3):
        bench.click(_plane(bench), bench.ras(6, 6, 7))
        other.click(_plane(bench), bench.ras(6, 6, 14), segment_id="Other")
    bench.runner.wait()
    other_runner.wait()
    other_runner.close()
    assert not bench.failures
    assert not other.failures
    assert np.array_equal(bench.array("Liver")[6], body()[6] == 100)
    assert np.array_equal(bench.array("Other")[6], body()[6] == 200)


def test_failure_leaves_everything_and_the_next_click_works(bench):
    def fail():
        raise ValueError("a defect")

    bench.predictor.before_prediction = fail
    bench.click(_plane(bench), bench.ras(6, 6, 7))
    with pytest.raises(ValueError, match="a defect"):
        bench.runner.wait()
    assert len(bench.failures) == 1
    bench.predictor.before_prediction = None
    bench.click(_plane(bench), bench.ras(6, 6, 7))
    bench.runner.wait()
    assert bench.array().any()


def test_unknown_class_is_said_in_a_sentence(bench):
    bench.controller.ask(Request(bench.target(_plane(bench)), Guide("heart"), anew=True))
    bench.runner.wait()
    assert "heart" in str(bench.failures[0])


def test_click_outside_the_volume_is_said_in_a_sentence(bench):
    bench.controller.ask(Request(bench.target(_plane(bench)), strokes=(Stroke(((900.0, 0.0, 0.0),)),)))
    assert "outside" in str(bench.failures[0])


def test_hidden_and_locked_segments_take_clicks(bench):
    bench.segmentation.GetDisplayNode().SetSegmentVisibility("Liver", False)
    bench.segmentation.GetSegmentation().GetSegment("Liver").SetTag("Segmentation.Status", "completed")
    bench.click(_plane(bench), bench.ras(6, 6, 7))
    bench.runner.wait()
    assert bench.array().any()


def test_overlapping_segments_keep_their_overlap(bench):
    overlap = np.zeros(body().shape, bool)
    overlap[4:9, 2:9, 2:9] = True
    fill(bench.editor, bench.segmentation, "Other", overlap)
    bench.click(_plane(bench), bench.ras(6, 6, 7))
    bench.runner.wait()
    assert np.array_equal(bench.array("Other"), overlap)
    assert np.array_equal(bench.array("Liver")[6], body()[6] == 100)
