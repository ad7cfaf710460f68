"""References of the effect after the scene was saved and opened again."""

import json

import numpy as np
import pytest

from KPrismLogic.reference_records import ATTRIBUTE
from Testing.slicer.desktop.strict_effect import settle, show_layer, written
from Testing.slicer.saved_scenes import load, save
from Testing.slicer.scenes import SPLEEN, Bench, body, fill, geometry, segmentation_node, volume_node


@pytest.fixture
def prepared(desktop, effect):
    """The effect with the layers 6 and 8 as references."""
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", SPLEEN)
    effect.self().onGuideChosen("reference")
    for k in (6, 8):
        show_layer(desktop, effect, k)
        effect.self().options.add_reference.click()
    settle()
    return effect


def _open(desktop, path):
    """Open a scene instead of the one that is there, as the Segment Editor does."""
    load(desktop.scene, path)
    node = desktop.scene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode")
    desktop.parameters = node
    desktop.bench = Bench.make(desktop.scene, node.GetSourceVolumeNode(), node.GetSegmentationNode())
    desktop.logic.SetSegmentEditorNode(node)
    desktop.logic.SetSegmentationNode(node.GetSegmentationNode())


def _started_again(desktop, effect, tmp_path):
    """A new effect, chosen after the scene was saved and opened; Slicer has been left in between."""
    path = save(desktop.scene, tmp_path)
    desktop.deactivate(effect)
    _open(desktop, path)
    new = desktop.start_up()
    assert new.self().options.references.count == 0
    desktop.activate(new)
    return new


def _tips(effect):
    """What the thumbnails are called; each has a picture."""
    shown = effect.self().options.references
    items = [shown.item(number) for number in range(shown.count)]
    assert all(item._values["icon"]._given for item in items)
    return [item._values["toolTip"] for item in items]


def _references(effect):
    return effect.self()._guide().references


def _status(effect):
    return effect.self().options.status.text


def test_they_are_there_again_and_segment(desktop, prepared, tmp_path):
    known = _references(prepared)
    effect = _started_again(desktop, prepared, tmp_path)
    assert _tips(effect) == ["Liver in CT"] * 2
    for one, other in zip(_references(effect), known, strict=True):
        assert np.array_equal(one.source.pixels, other.source.pixels)
        assert np.array_equal(one.mask, other.mask)
    assert "left out" not in _status(effect)
    desktop.parameters.SetSelectedSegmentID("Other")
    show_layer(desktop, effect, 7)
    effect.self().options.segment_slice.click()
    settle()
    assert np.array_equal(written(desktop, "Other")[7], body()[7] == 200)


@pytest.mark.usefixtures("flood_library")
def test_those_that_were_found_are_replaced_by_the_next_search_also_after_that(desktop, prepared, tmp_path):
    known = volume_node(desktop.scene, body(), geometry("flipped"), name="Known")
    other = Bench.make(desktop.scene, known, segmentation_node(desktop.scene, known))
    fill(other.editor, other.segmentation, "Liver", SPLEEN)
    prepared.self().options.find_references.click()
    settle()
    assert _tips(prepared) == ["Liver in CT"] * 2 + ["Liver in Known"] * 5
    effect = _started_again(desktop, prepared, tmp_path)
    assert _tips(effect) == ["Liver in CT"] * 2 + ["Liver in Known"] * 5
    desktop.scene.GetFirstNodeByName("Known").SetName("Later")
    effect.self().options.find_references.click()
    settle()
    assert _tips(effect) == ["Liver in CT"] * 2 + ["Liver in Later"] * 5
    assert len(json.loads(desktop.parameters.GetAttribute(ATTRIBUTE))["references"]) == 7


def test_removed_ones_stay_away(desktop, prepared, tmp_path):
    kept = _references(prepared)[1]
    prepared.self().options.references.setCurrentRow(0)
    prepared.self().options.remove_reference.click()
    effect = _started_again(desktop, prepared, tmp_path)
    (found,) = _references(effect)
    assert np.array_equal(found.source.pixels, kept.source.pixels)
    effect.self().options.references.setCurrentRow(0)
    effect.self().options.remove_reference.click()
    desktop.deactivate(effect)
    desktop.activate(effect)
    assert _references(effect) == ()


def test_what_cannot_be_read_is_told_in_the_status_line(desktop, prepared, tmp_path):
    drawn = SPLEEN.copy()
    drawn[6] = False
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", drawn)
    effect = _started_again(desktop, prepared, tmp_path)
    assert len(_tips(effect)) == 1
    assert _status(effect).endswith(
        "1 of 2 saved references was left out: a slice holds nothing of Liver now. Add others in their place."
    )


def test_references_of_another_patient_are_kept(desktop, prepared, tmp_path):
    path = save(desktop.scene, tmp_path)
    known = _references(prepared)
    desktop.deactivate(prepared)
    _open(desktop, path)
    prepared._parameters = desktop.parameters
    desktop.activate(prepared)
    assert _references(prepared) == known
    assert len(_tips(prepared)) == 2
    # Those of the scene wait until there is room.
    for _ in known:
        prepared.self().options.references.setCurrentRow(0)
        prepared.self().options.remove_reference.click()
    assert _tips(prepared) == []
    desktop.deactivate(prepared)
    desktop.activate(prepared)
    assert len(_references(prepared)) == 2
    assert not set(_references(prepared)) & set(known)


def test_effect_that_stays_chosen_while_a_scene_is_opened(desktop, prepared, tmp_path):
    path = save(desktop.scene, tmp_path)
    desktop.deactivate(prepared)
    volume = volume_node(desktop.scene, body(), geometry("identity"), name="MR")
    desktop.parameters = Bench.make(desktop.scene, volume, segmentation_node(desktop.scene, volume)).parameters
    effect = desktop.start_up()
    desktop.activate(effect)
    assert _tips(effect) == []
    _open(desktop, path)
    effect._parameters = desktop.parameters
    effect.self().sourceVolumeNodeChanged()
    assert len(_tips(effect)) == 2


@pytest.mark.parametrize("text", ["{", json.dumps({"version": 99, "references": [1]})])
def test_damaged_records_do_not_break_the_effect(desktop, prepared, tmp_path, text):
    desktop.parameters.SetAttribute(ATTRIBUTE, text)
    effect = _started_again(desktop, prepared, tmp_path)
    assert _tips(effect) == []
    assert "left out" not in _status(effect)
    show_layer(desktop, effect, 8)
    effect.self().options.add_reference.click()
    assert _tips(effect) == ["Liver in CT"]


def test_nothing_is_read_before_the_effect_is_chosen(desktop, prepared, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr("KPrismDesktop.effect_references.recall", lambda *_: read.append(1) or "")
    path = save(desktop.scene, tmp_path)
    desktop.deactivate(prepared)
    _open(desktop, path)
    effect = desktop.start_up()
    effect.self().sourceVolumeNodeChanged()
    assert read == []
    desktop.activate(effect)
    assert read == [1]


def test_adding_updates_nothing_else_of_the_editor(desktop, prepared):
    told = []
    prepared.self().updateGUIFromMRML = lambda: told.append("options")
    desktop.parameters.AddObserver("ModifiedEvent", lambda *_: told.append("editor"))
    undo = desktop.logic.CanUndo()
    show_layer(desktop, prepared, 9)
    prepared.self().options.add_reference.click()
    assert len(_tips(prepared)) == 3
    assert len(json.loads(desktop.parameters.GetAttribute(ATTRIBUTE))["references"]) == 3
    assert told == []
    assert desktop.logic.CanUndo() == undo


def test_scene_closed_while_references_are_removed(desktop, prepared):
    desktop.scene.Clear(False)
    prepared._parameters = None
    for left in (1, 0):
        prepared.self().options.references.setCurrentRow(0)
        prepared.self().options.remove_reference.click()
        assert len(_tips(prepared)) == left
    prepared.self().sourceVolumeNodeChanged()
    assert _tips(prepared) == []
