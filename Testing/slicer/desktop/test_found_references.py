"""References that the effect finds in other volumes of the scene."""

import threading

import numpy as np
import pytest

from KPrismLib.errors import OutOfMemory
from KPrismLogic.model import shared_model
from KPrismLogic.reference_records import ATTRIBUTE
from Testing.slicer.desktop.strict_effect import settle, show_layer, widget_named, written
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


def _status():
    return widget_named("KPrismStatus").text


def _tips():
    shown = widget_named("KPrismReferences")
    return [shown.item(number)._values["toolTip"] for number in range(shown.count)]


def test_the_best_are_taken_shown_saved_and_used(desktop, guided, flood_library):
    _add_case(desktop, "Known")
    _find()
    assert "comparing 7 slices of other volumes" in _status()
    settle()
    assert _status().endswith("Found 5 references: Liver in Known.")
    assert _tips() == ["Liver in Known"] * 5
    assert (flood_library.asked[0] == 100).sum() == LIVER[6].sum()
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
    settle()
    assert set(_tips()) == {"Liver in CT"}
    assert "remove some" in _status()


def test_without_another_case_it_says_what_to_load(desktop, guided):
    _find()
    assert "No other volume of the scene has a segment Liver" in _status()
    desktop.parameters.SetSelectedSegmentID("")
    _find()
    assert "Add a segment" in _status()


def test_what_goes_wrong_stands_in_the_status_line(desktop, guided, monkeypatch):
    _add_case(desktop, "Known")

    def full(*_, **__):
        raise OutOfMemory("The computer is out of memory.")

    monkeypatch.setattr(shared_model().predictor(), "reference", full, raising=False)
    _find()
    settle()
    assert "out of memory" in _status()
    assert _tips() == []


def test_leaving_the_effect_ends_the_search(desktop, guided):
    _add_case(desktop, "Known")
    with shared_model().in_use:
        _find()
        desktop.deactivate(guided)
    settle()
    desktop.activate(guided)
    assert _tips() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("K-Prism")]
