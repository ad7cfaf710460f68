"""Which segment a name or an ID means."""

import numpy as np
import pytest

from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.segments import find_or_add_segment, find_segment
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, Bench, body, fill, geometry, segmentation_node, volume_node


@pytest.fixture
def bench(scene):
    volume = volume_node(scene, body(), geometry("identity"))
    return Bench.make(scene, volume, segmentation_node(scene, volume, ("Other",)), "Other")


def test_exact_name_comes_before_an_id_and_an_id_before_other_capital_letters(bench):
    content = bench.segmentation.GetSegmentation()
    for segment_id, name in (
        ("Segment_1", "Kidney"),
        ("a", "kidney"),
        ("b", "Segment_1"),
        ("c", "CYST"),
        ("cyst", "d"),
    ):
        content.AddEmptySegment(segment_id, name)
    wanted = {"Segment_1": "b", "Kidney": "Segment_1", "kidney": "a", "cyst": "cyst", "Cyst": "c", "CYST": "c"}
    assert {name: find_segment(bench.segmentation, name) for name in wanted} == wanted
    assert find_segment(bench.segmentation, "Spleen") is None
    assert find_segment(bench.segmentation, "") is None


def test_a_renamed_segment_is_still_found_by_its_id(bench):
    bench.segmentation.GetSegmentation().AddEmptySegment("Segment_1", "Kidney")
    assert find_or_add_segment(bench.segmentation, "Segment_1", "liver") == "Segment_1"


def test_a_segment_that_was_renamed_is_not_replaced_by_what_has_its_old_name(bench):
    content = bench.segmentation.GetSegmentation()
    content.AddEmptySegment("Segment_1", "Kidney")
    content.AddEmptySegment("Segment_2", "Segment_1")
    fill(bench.editor, bench.segmentation, "Segment_1", LIVER)
    model = Model()
    model.use(FloodPredictor())
    KPrismLogic(model).segmentSlice(bench.volume, bench.segmentation, "Segment_1", cls="spleen")
    assert np.array_equal(bench.array("Segment_1"), LIVER)
    assert bench.array("Segment_2").any()


def test_classes_go_to_segments_of_their_names_only(bench):
    content = bench.segmentation.GetSegmentation()
    content.AddEmptySegment("spleen", "Cyst")  # a spleen that became something else
    fill(bench.editor, bench.segmentation, "spleen", LIVER)
    model = Model()
    model.use(FloodPredictor())
    KPrismLogic(model).segmentVolume(bench.volume, bench.segmentation, ["spleen"])
    assert np.array_equal(bench.array("spleen"), LIVER)
    assert np.array_equal(bench.array(content.GetSegmentIdBySegmentName("spleen")), body() == 200)
