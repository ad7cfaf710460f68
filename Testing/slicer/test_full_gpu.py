"""What the GPU cannot hold: searches and runs through a volume begin anew on the CPU."""

import numpy as np
import pytest

from KPrismLib.errors import OutOfMemory
from KPrismLib.specialist import STEPS
from KPrismLogic.guide import ReferenceSlice
from KPrismLogic.slice_engine import LEFT_GPU
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_source import SliceSource
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, Bench, draw_layers, view_plane

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "flipped")


@pytest.fixture
def cpu(bench, monkeypatch):
    """The predictor of the CPU, while that of the bench is of a GPU."""
    bench.predictor.device = "cuda:0"
    model, predictor = bench.engine.model, FloodPredictor()
    monkeypatch.setattr(model, "choose", lambda name, device: model.use({"cpu": predictor}[device]))
    return predictor


def _full_when(reached):
    """For a predictor to call: the memory is full as soon as something is reached."""

    def call(*lesson):
        if reached(*lesson):
            raise OutOfMemory("The device cuda:0 is out of memory.")

    return call


def test_lessons_begin_anew(bench, session, cpu):
    bench.predictor.before_lesson = _full_when(lambda lesson: lesson == 2)
    session.start(learn=True).wait()
    assert session.ends == [None]
    assert [lesson for lesson, _, _ in session.lessons] == [1, 2, *range(1, STEPS + 1)]
    assert cpu.lessons == bench.predictor.lessons
    assert np.array_equal(bench.array(), LIVER)
    assert session.run.remark == LEFT_GPU


def test_slices_that_were_found_are_found_again(bench, session, cpu):
    bench.predictor.before_prediction = _full_when(lambda: len(session.written) == 3)
    session.start().wait()
    assert session.ends == [None]
    assert cpu.predictions == len(set(session.written)) > 3
    assert session.written[:3] == session.written[3:6]  # in the same order
    assert session.run.done == len(set(session.written))
    assert np.array_equal(bench.array(), LIVER)
    assert session.run.remark == LEFT_GPU
    bench.editor.logic.Undo()  # all of it
    assert not bench.editor.logic.CanUndo()


@pytest.mark.usefixtures("flood_library")
def test_references_are_compared_on_the_cpu(bench, cpu, monkeypatch):
    def full(*_, **__):
        raise OutOfMemory("The device cuda:0 is out of memory.")

    monkeypatch.setattr(bench.predictor, "reference", full)
    draw_layers(bench, 5, 6, 8)
    layers = [view_plane("axial", bench.ras(layer, 6, 7)) for layer in (5, 6, 8)]
    known = [ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Liver", layer) for layer in layers]
    source = SliceSource.of(bench.volume, cut(bench.volume, layers[0]))
    bench.engine.encode_reference(known[0])
    assert bench.engine.model.predictor() is cpu
    bench.engine.model.use(bench.predictor)
    assert bench.engine.best_references(source, known, 2) == [known[2], known[1]]
    assert bench.engine.model.predictor() is cpu
    assert len(cpu.encoded) == 1
