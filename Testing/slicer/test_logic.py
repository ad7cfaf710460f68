"""The console's calls, as its documentation shows them."""

import types

import numpy as np
import pytest
import slicer

from KPrismLib.errors import InvalidImage, InvalidMask, InvalidPrompt, InvalidReference, KPrismError, UnknownClass
from KPrismLogic.editable_area import NothingEditable
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import (
    LIVER,
    Bench,
    body,
    draw_layers,
    editor_node,
    fill,
    geometry,
    segmentation_node,
    volume_node,
)


@pytest.fixture
def bench(scene):
    volume = volume_node(scene, body(), geometry("flipped"))
    return Bench.make(scene, volume, segmentation_node(scene, volume, ("Other",)), "Other")


@pytest.fixture
def logic():
    model = Model()
    model.use(FloodPredictor())
    return KPrismLogic(model)


def test_class_makes_the_segment_with_its_terminology(scene, bench, logic):
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)  # made on first need, as Slicer does
    before = scene.GetNumberOfNodes()
    answer = logic.segmentSlice(
        bench.volume, bench.segmentation, "Liver", plane="axial", offset=float(bench.ras(6, 0, 0)[2]), cls="liver"
    )
    content = bench.segmentation.GetSegmentation()
    segment = content.GetSegment(content.GetSegmentIdBySegmentName("Liver"))
    assert "10200004" in segment.GetTerminology()
    assert np.array_equal(bench.array(content.GetSegmentIdBySegmentName("Liver"))[6], body()[6] == 100)
    assert answer.mask.sum() == (body()[6] == 100).sum()
    assert scene.GetNumberOfNodes() == before


def test_segmentation_that_no_view_shows_yet_is_shown(scene, bench, logic):
    """A new node has no display; the Segment Editor, too, makes one."""
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "New")
    assert segmentation.GetDisplayNode() is None
    logic.segmentSlice(bench.volume, segmentation, "Liver", plane="axial", cls="liver")
    assert segmentation.GetDisplayNode().GetVisibility()
    assert segmentation.GetNumberOfDisplayNodes() == 1
    logic.segmentSlice(bench.volume, segmentation, "Liver", plane="axial", cls="liver")
    assert segmentation.GetNumberOfDisplayNodes() == 1


def test_clicks_in_ras_choose_the_slice_when_no_offset_does(bench, logic):
    clicks = [bench.ras(8, 6, 7), bench.ras(8, 6, 14), (*bench.ras(8, 7, 14), False)]
    logic.segmentSlice(bench.volume, bench.segmentation, "Other", clicks=clicks)
    expected = np.zeros(body().shape, bool)
    expected[8] = body()[8] == 100
    assert np.array_equal(bench.array("Other"), expected)


def test_contradicting_clicks_raise_and_write_nothing(bench, logic):
    click = tuple(bench.ras(8, 6, 7))
    with pytest.raises(InvalidPrompt):
        logic.segmentSlice(bench.volume, bench.segmentation, "Other", clicks=[click, (*click, False)])
    assert not bench.array("Other").any()


def test_reference_from_one_slice_segments_another_plane(bench, logic):
    fill(bench.editor, bench.segmentation, "Other", body() == 200)
    known = logic.referenceSlice(bench.volume, bench.segmentation, "Other", offset=float(bench.ras(8, 0, 0)[2]))
    logic.segmentSlice(
        bench.volume,
        bench.segmentation,
        "Spleen",
        plane="sagittal",
        offset=float(bench.ras(0, 0, 14)[0]),
        reference=[known],
    )
    found = bench.array(bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("Spleen"))
    assert np.array_equal(found[:, :, 14], (body() == 200)[:, :, 14])
    assert found.sum() == found[:, :, 14].sum()


def test_scribble_and_view_plane(scene, bench, logic):
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    view.SetName("Red")
    scene.AddNode(view)
    view.SetSliceToRASByNTP(0, 1, 0, -1, 0, 0, *bench.ras(6, 6, 7), 0)
    stroke = [bench.ras(6, 6, i) for i in range(5, 9)]
    logic.segmentSlice(bench.volume, bench.segmentation, "Other", plane=view, scribbles=[stroke])
    assert np.array_equal(bench.array("Other")[:, 6], (body() == 100)[:, 6])


def test_rules_of_a_given_editor_hold(scene, bench, logic):
    other = LIVER.copy()
    other[:, :6] = False
    fill(bench.editor, bench.segmentation, "Other", other)
    node = editor_node(scene, bench.volume, bench.segmentation, "Other")
    node.SetMaskMode(bench.segmentation.EditAllowedOutsideAllSegments)
    logic.segmentSlice(bench.volume, bench.segmentation, "Liver", cls="liver", editorNode=node)
    written = bench.array(bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("Liver"))
    assert np.array_equal(written[7], (LIVER & ~other)[7])


@pytest.mark.parametrize("mask", ["outside", "inside a segment that is not there"])
def test_rules_that_let_nothing_be_written_are_an_error(scene, bench, logic, mask):
    fill(bench.editor, bench.segmentation, "Other", LIVER)
    node = editor_node(scene, bench.volume, bench.segmentation, "Other")
    if mask == "outside":
        node.SetMaskMode(bench.segmentation.EditAllowedOutsideAllSegments)
    else:
        node.SetMaskMode(bench.segmentation.EditAllowedInsideSingleSegment)
        node.SetMaskSegmentID("Nothing")
    before = list(bench.segmentation.GetSegmentation().GetSegmentIDs())
    with pytest.raises(NothingEditable, match="lets nothing be written here"):
        logic.segmentSlice(bench.volume, bench.segmentation, "Liver", cls="liver", editorNode=node)
    assert list(bench.segmentation.GetSegmentation().GetSegmentIDs()) == before


def test_each_call_is_one_state_of_the_segment_editors_undo(bench, logic, monkeypatch):
    editor = types.SimpleNamespace(
        segmentationNode=lambda: bench.segmentation, saveStateForUndo=bench.editor.logic.SaveStateForUndo
    )
    opened = types.SimpleNamespace(SegmentEditorWidget=types.SimpleNamespace(editor=editor))
    monkeypatch.setattr(slicer, "modules", opened, raising=False)
    logic.segmentSlice(bench.volume, bench.segmentation, "Other", clicks=[bench.ras(6, 6, 7), bench.ras(6, 6, 14)])
    one = bench.array("Other")
    offset = float(bench.ras(8, 0, 0)[2])
    logic.segmentSlice(bench.volume, bench.segmentation, "Other", offset=offset, cls="liver")
    assert not np.array_equal(bench.array("Other"), one)
    bench.undo()
    assert np.array_equal(bench.array("Other"), one)
    bench.undo()
    assert not bench.array("Other").any()
    assert not bench.editor.logic.CanUndo()
    saved = []
    editor.segmentationNode, editor.saveStateForUndo = lambda: None, lambda: saved.append(1)
    logic.segmentSlice(bench.volume, bench.segmentation, "Other", cls="liver")
    assert saved == []  # that editor is at work on something else


def test_a_failed_call_leaves_no_state_to_undo(bench):
    model, states = Model(), []
    model.use(FloodPredictor())
    logic = KPrismLogic(model, saveState=states.append)
    with pytest.raises(UnknownClass):
        logic.segmentSlice(bench.volume, bench.segmentation, "Other", cls="heart")
    assert states == []
    logic.segmentSlice(bench.volume, bench.segmentation, "Other", cls="liver")
    assert states == [bench.segmentation]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, InvalidPrompt),
        ({"cls": "heart"}, UnknownClass),
        ({"cls": "liver", "plane": "diagonal"}, InvalidImage),
        ({"cls": "liver", "offset": 1e5}, InvalidImage),
        ({"clicks": [(1e5, 0, 0)], "offset": 0.0}, InvalidPrompt),
        ({"scribbles": [[]]}, InvalidPrompt),
    ],
)
def test_mistakes_are_sentences(bench, logic, arguments, error):
    with pytest.raises(error) as raised:
        logic.segmentSlice(bench.volume, bench.segmentation, "Other", **arguments)
    assert isinstance(raised.value, KPrismError)
    assert str(raised.value).endswith(".")
    assert not bench.array("Other").any()


def test_a_mistake_leaves_no_new_segment(bench, logic):
    with pytest.raises(UnknownClass):
        logic.segmentSlice(bench.volume, bench.segmentation, "New", cls="heart")
    assert bench.segmentation.GetSegmentation().GetNumberOfSegments() == 1


def test_segments_that_are_stored_as_surfaces_are_left_alone(bench, logic):
    bench.segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
    with pytest.raises(InvalidMask, match="source representation"):
        logic.segmentSlice(bench.volume, bench.segmentation, "Other", cls="liver")


def test_surfaces_are_no_reference_unless_there_are_labelmaps_of_them(bench, logic):
    draw_layers(bench, 5, 6, 7, segment_id="Other")
    nodes, there = (bench.volume, bench.segmentation), float(bench.ras(6, 0, 0)[2])
    bench.segmentation.CreateClosedSurfaceRepresentation()
    content = bench.segmentation.GetSegmentation()
    content.SetSourceRepresentationName("Closed surface")
    with pytest.raises(InvalidMask, match="stored as Closed surface; make binary labelmap"):
        logic.referenceSlice(*nodes, "Other", offset=there)
    content.CreateRepresentation("Binary labelmap")
    assert logic.referenceSlice(*nodes, "Other", offset=there).mask.any()


def test_reference_mistakes_are_sentences(bench, logic):
    with pytest.raises(InvalidMask):
        logic.referenceSlice(bench.volume, bench.segmentation, "Nothing")
    with pytest.raises(InvalidReference):
        logic.referenceSlice(bench.volume, bench.segmentation, "Other")


def test_with_the_network_itself(bench):
    from KPrismLib.network import KPrism, named_config
    from KPrismLib.predictor import Predictor

    config = named_config(
        "small",
        image_size=64,
        dim=16,
        heads=2,
        encoder_channels=(16, 16, 32),
        encoder_blocks=(1, 1, 1, 1),
        detail_channels=8,
        prompt_channels=8,
        ffn_dim=16,
        pixel_ffn_dim=16,
        mask_head_dim=8,
        classes=("liver", "spleen"),
    )
    model = Model()
    model.use(Predictor(KPrism(config)))
    logic = KPrismLogic(model)
    assert logic.classes() == ("liver", "spleen")
    first = logic.segmentSlice(bench.volume, bench.segmentation, "Other", cls="liver")
    middle = body().shape[0] // 2
    pixels = bench.array("Other")[middle]
    assert pixels.sum() == first.mask.sum()
    fill(bench.editor, bench.segmentation, "Other", body() == 100)
    known = logic.referenceSlice(bench.volume, bench.segmentation, "Other")
    answer = logic.segmentSlice(
        bench.volume, bench.segmentation, "Mine", reference=[known, known], clicks=[bench.ras(middle, 6, 7)]
    )
    found = bench.array(bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("Mine"))
    assert found.sum() == found[middle].sum() == answer.mask.sum()
    assert model.megabytes > 0
    model.unload()
    assert not model.loaded
