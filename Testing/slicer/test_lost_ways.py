"""Why a propagation went no further: kept in the result, and told where it asks for something."""

import pytest

from KPrismLib.volumes.walk import End, EndReason
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.lost_ways import COLLAPSED
from KPrismLogic.model import Model
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.flood_propagation import FloodPropagation
from Testing.slicer.scenes import Bench, draw_layers, view_plane

pytestmark = pytest.mark.usefixtures("flood_propagation")

_LOST, _ENDED = EndReason.CONFIDENCE_COLLAPSED, EndReason.STRUCTURE_ENDED


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "flipped")


@pytest.fixture
def propagate(bench):
    model = Model()
    model.use(FloodPredictor())
    draw_layers(bench, 6)
    logic = KPrismLogic(model)

    def propagate(plane="axial", **more):
        offsets = [_height(bench, 6) if plane == "axial" else None]
        return logic.propagate(bench.volume, bench.segmentation, "Liver", plane=plane, offsets=offsets, **more)

    return propagate


def _height(bench, k):
    return float(bench.ras(k, 0, 0)[2])


def test_why_it_went_no_further_is_in_the_result(bench, propagate, monkeypatch):
    monkeypatch.setattr(FloodPropagation, "ends", (End(11, 1, _ENDED), End(2, -1, _LOST)))
    result = propagate()
    assert result.ends == {_height(bench, 2): "confidence collapsed", _height(bench, 11): "structure ended"}
    assert _LOST.value == COLLAPSED
    assert result.remark == (
        f"The model lost its way at S = {_height(bench, 2):g} mm; if the structure goes on there, segment it there and "
        "propagate again."
    )


def test_where_the_structure_ends_nothing_is_asked_for(propagate, monkeypatch):
    monkeypatch.setattr(FloodPropagation, "ends", (End(11, 1, _ENDED), End(2, -1, _ENDED)))
    result = propagate()
    assert result.remark == ""
    assert set(result.ends.values()) == {"structure ended"}


def test_a_run_that_was_stopped_has_come_to_no_end(propagate, monkeypatch):
    monkeypatch.setattr(FloodPropagation, "ends", (End(2, -1, _LOST),))
    assert propagate().ends
    stopped = propagate(progress=lambda *_: False)
    assert (stopped.ends, stopped.remark) == ({}, "")


def test_a_few_places_are_named_in_any_plane(bench, propagate, monkeypatch):
    monkeypatch.setattr(FloodPropagation, "ends", tuple(End(k, 1, _LOST) for k in range(5)))
    remark = propagate(view_plane("oblique", bench.ras(6, 6, 7))).remark
    assert remark.count("S = ") == 3
    assert " mm and other slices; if" in remark
