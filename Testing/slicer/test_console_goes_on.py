"""Calls of the console go on from what earlier ones found, as the effect and the panel do."""

import numpy as np
import pytest
import slicer

from KPrismLib.errors import InvalidPrompt, UnknownClass
from KPrismLib.predictor import Predictor
from KPrismLogic.batch import segment_folder
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from Testing.engine.command.conftest import decided_network
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.flood_propagation import FloodPropagation
from Testing.slicer.scenes import LIVER, SPLEEN, Bench, body, draw_layers, fill, geometry
from Testing.slicer.test_batch import write_image


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "identity")


@pytest.fixture
def console(bench):
    """Propagates from the layers that are given, over the range 4 to 8."""
    return _Console(bench, FloodPredictor())


class _Console:
    def __init__(self, bench, predictor):
        model = Model()
        model.use(predictor)
        self.bench, self.predictor, self.logic = bench, predictor, KPrismLogic(model)

    def height(self, k):
        return float(self.bench.ras(k, 0, 0)[2])

    def propagate(self, *layers, first=4, last=8, **more):
        return self.logic.propagate(
            self.bench.volume,
            self.bench.segmentation,
            "Liver",
            offsets=[self.height(k) for k in layers],
            first=self.height(first),
            last=self.height(last),
            **more,
        )

    def correct(self, layer):
        corrected = self.bench.array()
        corrected[layer] = SPLEEN[layer]
        fill(self.bench.editor, self.bench.segmentation, "Liver", corrected)


@pytest.mark.usefixtures("one_thread")
def test_a_slice_is_encoded_once_whatever_is_corrected(bench, monkeypatch):
    console, encoded = _Console(bench, Predictor(decided_network(5))), []
    encode = Predictor.encode
    monkeypatch.setattr(Predictor, "encode", lambda self, *a, **k: encoded.append(1) or encode(self, *a, **k))
    draw_layers(bench, 6)
    first = console.propagate(6)
    assert len(encoded) == 5  # the range
    encoded.clear()
    console.correct(5)
    again = console.propagate(6)
    assert encoded == []
    assert console.height(5) in first.confidence
    assert console.height(5) not in again.confidence  # an example by now
    assert np.array_equal(bench.array()[5], SPLEEN[5])


@pytest.mark.usefixtures("flood_propagation")
def test_only_what_depends_on_a_correction_is_found_again(bench, console):
    draw_layers(bench, 6)
    console.propagate(6, last=9)
    before = console.predictor.predictions
    console.correct(9)
    result = console.propagate(6, last=9)
    assert console.predictor.predictions == before + 1  # of slice 8; slice 7 is nearer to 6, from where it came
    assert set(result.confidence) == {console.height(k) for k in (4, 5, 7, 8)}


@pytest.mark.usefixtures("flood_propagation")
def test_what_a_class_wrote_is_no_correction(bench, console):
    draw_layers(bench, 6)
    console.propagate(6)
    console.logic.segmentVolume(bench.volume, bench.segmentation, ["liver"])
    assert np.array_equal(bench.array(), LIVER)
    written = console.propagate(6, keepDrawn=True).confidence
    assert set(written) == {console.height(k) for k in (4, 5, 7, 8)}


@pytest.mark.usefixtures("flood_propagation")
def test_a_class_that_was_asked_for_helps_in_any_spelling(bench, console, monkeypatch):
    asked, make = [], FloodPropagation.__init__

    def note(self, *given, cls=None, **more):
        asked.append(cls)
        make(self, *given, cls=cls, **more)

    monkeypatch.setattr(FloodPropagation, "__init__", note)
    draw_layers(bench, 6)
    console.propagate(6, cls="Spleen")
    console.propagate(6)
    assert asked == ["spleen", "liver"]  # by the segment's name
    before = bench.array()
    with pytest.raises(UnknownClass):
        console.propagate(6, cls="heart")
    with pytest.raises(InvalidPrompt, match="give the name of one class"):
        console.propagate(6, cls=["liver"])
    assert np.array_equal(bench.array(), before)


@pytest.mark.usefixtures("flood_propagation")
def test_a_scene_that_is_not_the_applications_will_do(bench, console, monkeypatch):
    draw_layers(bench, 6)
    monkeypatch.delattr(slicer, "mrmlScene")
    assert console.propagate(6).confidence
    assert np.array_equal(bench.array()[4:9], LIVER[4:9])


@pytest.mark.usefixtures("flood_propagation")
def test_nothing_is_kept_of_a_scene_or_a_case_that_is_gone(scene, bench, console, tmp_path):
    draw_layers(bench, 6)
    console.propagate(6)
    assert console.logic.propagations.last is not None
    scene.Clear(False)
    assert console.logic.propagations.last is None
    write_image(tmp_path / "a.nrrd", body(), geometry("identity"))
    assert segment_folder(tmp_path, tmp_path / "out", ["liver"], logic=console.logic) == 0
    assert console.logic.propagations.last is None
