"""References that the effect finds in other volumes of the scene."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from KPrismLib.errors import OutOfMemory
from KPrismLogic.model import shared_model
from KPrismLogic.reference_records import ATTRIBUTE
from Testing.slicer.desktop.strict_effect import settle, show_layer, status, widget_named, written, xy_of
from Testing.slicer.scenes import LIVER, Bench, body, fill, geometry, segmentation_node, volume_node

pytestmark = pytest.mark.usefixtures("flood_library")


@pytest.fixture
def guided(desktop, effect):
    effect.self().onGuideChosen("reference")
    show_layer(desktop, effect, 6)
    return effect


def _add_case(desktop, name):
    volume = volume_node(desktop.scene, body(), geometry("flipped"), name=name)
    other = Bench.make(desktop.scene, volume, segmentation_node(desktop.scene, volume))
    fill(other.editor, other.segmentation, "Liver", LIVER)
    return other


def _find():
    widget_named("KPrismFindReferences").click()


def _tips():
    shown = widget_named("KPrismReferences")
    return [shown.item(number)._values["toolTip"] for number in range(shown.count)]


def test_the_best_are_taken_shown_saved_and_used(desktop, guided, flood_library):
    _add_case(desktop, "Known")
    _find()
    assert "comparing 1 of 7 slices of other volumes …" in status()
    settle()
    assert status().endswith("Found 5 references: Liver in Known.")
    assert _tips() == ["Liver in Known"] * 5
    assert (flood_library.asked[0] == 100).sum() == LIVER[6].sum()
    assert flood_library.told == ["liver"]
    references = guided.self()._guide().references
    assert [one.mask.sum() for one in references] == [LIVER[k].sum() for k in (9, 8, 7, 6, 5)]
    assert desktop.parameters.GetAttribute(ATTRIBUTE).count("normal") >= 5
    widget_named("KPrismSegmentSlice").click()
    settle()
    assert np.array_equal(written(desktop)[6], LIVER[6])


def test_those_found_later_replace_those_found_before_and_no_others(desktop, guided):
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", LIVER)
    widget_named("KPrismAddReference").click()
    _add_case(desktop, "Known")
    _find()
    settle()
    _add_case(desktop, "Later")
    _find()
    settle()
    assert _tips() == ["Liver in CT"] + ["Liver in Later"] * 5
    for layer in (4, 5, 7):
        show_layer(desktop, guided, layer)
        widget_named("KPrismAddReference").click()
    assert len(_tips()) == 9
    _find()
    settle()
    assert sorted(_tips()) == ["Liver in CT"] * 4 + ["Liver in Later"] * 5
    widget_named("KPrismReferences").setCurrentRow(8)
    widget_named("KPrismRemoveReference").click()
    assert len(_tips()) == 8


def test_a_full_shelf_says_so(desktop, guided):
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", body() > 0)
    for layer in range(3, 12):
        show_layer(desktop, guided, layer)
        widget_named("KPrismAddReference").click()
    _add_case(desktop, "Known")
    _find()
    assert "9 references already; remove one first" in status()
    assert not guided.self()._runner.busy
    assert set(_tips()) == {"Liver in CT"}


def test_a_shelf_that_was_filled_during_the_search_stays_as_it_is(desktop, guided):
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", body() > 0)
    _add_case(desktop, "Known")
    with shared_model().in_use:
        _find()
        for layer in range(3, 12):
            show_layer(desktop, guided, layer)
            widget_named("KPrismAddReference").click()
    settle()
    assert _tips() == ["Liver in CT"] * 9
    assert "remove one first" in status()


def test_what_somebody_added_already_is_not_found_again(desktop, guided):
    other = _add_case(desktop, "Known")
    for bench, layers in ((other, range(3, 10)), (desktop.bench, ())):
        desktop.parameters.SetAndObserveSourceVolumeNode(bench.volume)
        desktop.parameters.SetAndObserveSegmentationNode(bench.segmentation)
        for k in layers:
            node = desktop.views["Red"].mrmlSliceNode()
            node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *bench.ras(k, 6, 7), 0)
            widget_named("KPrismAddReference").click()
    _find()
    settle()
    assert _tips() == ["Liver in Known"] * 7
    assert status().endswith("The best ones are among the references already.")


def test_without_another_case_it_says_what_to_load(desktop, guided):
    _find()
    assert "No other volume of the scene has a segment Liver" in status()
    desktop.parameters.SetSelectedSegmentID("")
    _find()
    assert "Add a segment" in status()


def test_what_goes_wrong_stands_in_the_status_line(desktop, guided, monkeypatch):
    _add_case(desktop, "Known")

    def full(*_, **__):
        raise OutOfMemory("The computer is out of memory.")

    monkeypatch.setattr(shared_model().predictor(), "reference", full, raising=False)
    _find()
    settle()
    assert "out of memory" in status()
    assert _tips() == []


@pytest.fixture
def encoding(monkeypatch):
    """The pixels of the references that are encoded; the second one waits for ``go``."""
    predictor = shared_model().predictor()
    encode, seen = predictor.reference, SimpleNamespace(pixels=[], reached=threading.Event(), go=threading.Event())

    def waiting(pairs, **how):
        seen.pixels.append(pairs[0][0])
        if len(seen.pixels) == 2:
            seen.reached.set()
            assert seen.go.wait(20)
        return encode(pairs, **how)

    monkeypatch.setattr(predictor, "reference", waiting, raising=False)
    return seen


def _until_the_second(guided, encoding):
    """Let the search go on until its second slice is being encoded."""
    deadline = time.monotonic() + 20
    while not encoding.reached.wait(0.01):
        assert time.monotonic() < deadline
        guided.self()._runner.deliver()


def test_a_click_waits_for_one_slice_of_a_search_at_most(desktop, guided, encoding):
    _add_case(desktop, "Known")
    _find()
    _until_the_second(guided, encoding)
    assert "comparing 2 of 7" in status()
    desktop.click(guided, xy_of(desktop, 6, 6, 7))
    encoding.go.set()
    while guided.self().busy:
        guided.self()._runner.deliver()
    assert np.array_equal(written(desktop)[6], LIVER[6])
    assert len(encoding.pixels) < 7
    settle()
    assert len(encoding.pixels) == 7
    assert len(_tips()) == 5


def test_leaving_the_effect_ends_the_search(desktop, guided, encoding):
    _add_case(desktop, "Known")
    _find()
    _until_the_second(guided, encoding)
    desktop.deactivate(guided)
    encoding.go.set()
    settle()
    desktop.activate(guided)
    settle()
    assert len(encoding.pixels) == 2
    assert _tips() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("K-Prism")]


@pytest.mark.parametrize("what", ["segment", "volume", "segmentation"])
def test_selecting_something_else_ends_the_search(desktop, guided, encoding, what):
    other = _add_case(desktop, "Known")
    _find()
    _until_the_second(guided, encoding)
    if what == "segment":
        desktop.parameters.SetSelectedSegmentID("Other")
    elif what == "volume":
        desktop.parameters.SetAndObserveSourceVolumeNode(other.volume)
    else:
        desktop.parameters.SetAndObserveSegmentationNode(other.segmentation)
    encoding.go.set()
    settle()
    assert len(encoding.pixels) == 2
    assert _tips() == []
    assert status().endswith("Another volume or segment was selected; the search was ended.")


def test_another_segment_during_the_comparison_is_no_place_for_its_result(desktop, guided, flood_library, monkeypatch):
    _add_case(desktop, "Known")
    suggest = flood_library.suggest

    def selecting(*given, **how):
        desktop.parameters.SetSelectedSegmentID("Other")
        return suggest(*given, **how)

    monkeypatch.setattr(flood_library, "suggest", selecting)
    _find()
    settle()
    assert _tips() == []
    assert "the search was ended" in status()


def test_a_second_search_takes_the_place_of_the_first(desktop, guided, encoding):
    _add_case(desktop, "Known")
    _find()
    _until_the_second(guided, encoding)
    _add_case(desktop, "Later")
    _find()
    encoding.go.set()
    settle()
    assert _tips() == ["Liver in Later"] * 5
    assert len(encoding.pixels) == 14  # each once
