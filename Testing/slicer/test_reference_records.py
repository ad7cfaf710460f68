"""References come back with a saved scene: the same pixels, and the segment as it is now."""

import json

import numpy as np
import pytest
import slicer
import vtk

from KPrismLogic.guide import SHELF_SIZE, ReferenceShelf, ReferenceSlice
from KPrismLogic.reference_records import ATTRIBUTE, recall, record
from KPrismLogic.slice_origin import SliceOrigin
from Testing.slicer.saved_scenes import load, save
from Testing.slicer.scenes import (
    LIVER,
    SPLEEN,
    Bench,
    body,
    editor_node,
    fill,
    geometry,
    rotation,
    segmentation_node,
    under_transform,
    view_plane,
    volume_node,
)


@pytest.fixture
def bench(scene):
    bench = Bench.of_body(scene, "anisotropic")
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    fill(bench.editor, bench.segmentation, "Other", SPLEEN)
    return bench


def _add(shelf, bench, plane, segment_id="Liver"):
    place = bench.volume, bench.segmentation, segment_id
    shelf.add(ReferenceSlice.of_segment(*place, plane), SliceOrigin.of(*place, plane.point, plane.normal))
    record(bench.parameters, shelf)


def _axial(bench, k):
    return view_plane("axial", bench.ras(k, 6, 7))


def _shelf(bench, *layers):
    shelf = ReferenceShelf()
    for k in layers:
        _add(shelf, bench, _axial(bench, k))
    return shelf


def _parameters(scene):
    return scene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode")


def _recalled(scene):
    """What a new shelf gets of a scene, and the sentence."""
    shelf = ReferenceShelf()
    sentence = recall(_parameters(scene), shelf)
    return list(shelf), sentence


def _assert_same(found, known):
    assert [one.title for one in found] == [one.title for one in known]
    for one, other in zip(found, known, strict=True):
        assert one.source.pixels.dtype == other.source.pixels.dtype
        assert np.array_equal(one.source.pixels, other.source.pixels)
        assert np.array_equal(one.mask, other.mask)
        assert np.allclose(one.source.spacing, other.source.spacing)


@pytest.mark.parametrize("moved", [False, True], ids=["", "transformed"])
@pytest.mark.parametrize("kind", ["anisotropic", "tilted"])
@pytest.mark.parametrize("plane", ["axial", "sagittal", "oblique"])
def test_saved_and_opened_again(scene, tmp_path, kind, plane, moved):
    bench = Bench.of_body(scene, kind)
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    if moved:
        turn = rotation(0, 0, 90) if plane != "oblique" else rotation(10, -15, 25)
        turn[:3, 3] = (3, -4, 5)
        transform = under_transform(scene, bench.volume, turn)
        bench.segmentation.SetAndObserveTransformNodeID(transform.GetID())
    shelf = ReferenceShelf()
    _add(shelf, bench, view_plane(plane, bench.ras(6, 6, 7)))
    assert 0 < next(iter(shelf)).mask.mean() < 1
    load(scene, save(scene, tmp_path))
    found, sentence = _recalled(scene)
    assert sentence == ""
    _assert_same(found, shelf)


def test_several_of_two_volumes_in_their_order(scene, bench, tmp_path):
    other = volume_node(scene, 255 - body(), geometry("flipped"), name="MR")
    second = Bench.make(scene, other, segmentation_node(scene, other, ("Segment_1",)), "Segment_1")
    fill(second.editor, second.segmentation, "Segment_1", SPLEEN)
    shelf = _shelf(bench, 6, 4)
    second.parameters = bench.parameters
    _add(shelf, second, _axial(second, 8), "Segment_1")
    _add(shelf, bench, _axial(bench, 5), "Other")
    load(scene, save(scene, tmp_path))
    found, sentence = _recalled(scene)
    assert sentence == ""
    assert [one.title for one in found] == ["Liver in CT", "Liver in CT", "Segment_1 in MR", "Other in CT"]
    _assert_same(found, shelf)


@pytest.mark.parametrize("tag", [None, "SegmentEditor"])
def test_imported_into_a_scene_that_uses_the_same_ids(scene, bench, tmp_path, tag):
    bench.parameters.SetSingletonTag(tag)
    shelf = _shelf(bench, 6)
    ids = bench.volume.GetID(), bench.segmentation.GetID()
    path = save(scene, tmp_path)
    scene.Clear(True)
    volume = volume_node(scene, 255 - body(), geometry("anisotropic"), name="Other patient")
    there = Bench.make(scene, volume, segmentation_node(scene, volume))
    there.parameters.SetSingletonTag(tag)
    fill(there.editor, there.segmentation, "Liver", SPLEEN)
    assert ids == (there.volume.GetID(), there.segmentation.GetID())
    load(scene, path, add=True)
    editors = [scene.GetNthNodeByClass(n, "vtkMRMLSegmentEditorNode") for n in range(2)]
    found = ReferenceShelf()
    sentences = [recall(editor, found) for editor in editors if editor is not None]
    scene.Clear(True)  # a singleton would be there in the next test
    assert sentences == [""] * (1 if tag else 2)
    _assert_same(found, shelf)


@pytest.mark.parametrize(
    ("mischief", "reason"),
    [
        pytest.param(lambda b: b.scene.RemoveNode(b.volume), "not in the scene", id="volume gone"),
        pytest.param(lambda b: b.scene.RemoveNode(b.segmentation), "not in the scene", id="segmentation gone"),
        pytest.param(
            lambda b: b.segmentation.GetSegmentation().RemoveSegment("Liver"),
            "a segment is not in Segmentation any more",
            id="segment gone",
        ),
        pytest.param(
            lambda b: fill(b.editor, b.segmentation, "Liver", np.zeros(body().shape, bool)),
            "a slice holds nothing of Liver now",
            id="emptied",
        ),
        pytest.param(lambda b: b.volume.SetAndObserveImageData(None), "CT holds no voxels", id="no voxels"),
        pytest.param(lambda b: b.volume.SetOrigin(0, 0, 900), "The slice lies outside CT. Add", id="volume elsewhere"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_told_and_the_others_stay(scene, bench, mischief, reason):
    volume = volume_node(scene, body(), geometry("flipped"), name="MR")
    second = Bench.make(scene, volume, segmentation_node(scene, volume))
    fill(second.editor, second.segmentation, "Other", SPLEEN)
    second.parameters = bench.parameters
    shelf = _shelf(bench, 5, 6)
    _add(shelf, second, _axial(second, 8), "Other")
    bench.scene = scene
    mischief(bench)
    found, sentence = _recalled(scene)
    _assert_same(found, list(shelf)[2:])
    assert sentence.startswith("2 of 3 saved references were left out: ")
    assert sentence.count(reason) == 1
    assert sentence.endswith(". Add others in their place.")


def test_nodes_that_were_not_saved_are_gone_and_no_others_take_their_place(scene, bench, tmp_path):
    volume = volume_node(scene, body(), geometry("flipped"), name="MR")
    second = Bench.make(scene, volume, segmentation_node(scene, volume))
    fill(second.editor, second.segmentation, "Other", SPLEEN)
    second.parameters = bench.parameters
    shelf = _shelf(bench, 6)
    _add(shelf, second, _axial(second, 8), "Other")
    bench.volume.SetSaveWithScene(False)
    load(scene, save(scene, tmp_path))
    found, sentence = _recalled(scene)
    _assert_same(found, list(shelf)[1:])
    assert sentence.startswith("1 of 2 saved references was left out: a volume or segmentation is not in the scene.")


def test_the_segment_is_read_as_it_is_now(scene, bench):
    _shelf(bench, 6)
    fill(bench.editor, bench.segmentation, "Liver", SPLEEN)
    (found,), sentence = _recalled(scene)
    assert sentence == ""
    assert found.mask.sum() == SPLEEN[6].sum() != LIVER[6].sum()


def test_records_that_do_not_say_whether_a_search_found_them_are_somebodys(scene, bench):
    shelf, found = _shelf(bench, 4), _shelf(bench, 6)
    shelf.replace_found([(next(iter(found)), found.origins[0][0])])
    record(bench.parameters, shelf)
    words = json.loads(bench.parameters.GetAttribute(ATTRIBUTE))
    assert [one.pop("found") for one in words["references"]] == [False, True]
    bench.parameters.SetAttribute(ATTRIBUTE, json.dumps(words))
    read = ReferenceShelf()
    assert recall(bench.parameters, read) == ""
    assert [found for _, found in read.origins] == [False, False]


_GOOD = {"segment": "Liver", "point": [0, 0, 0], "normal": [0, 0, 1]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[1]",
        '"text"',
        "[" * 100_000,
        json.dumps({"references": [_GOOD]}),
        json.dumps({"version": 2, "references": [_GOOD]}),
        json.dumps({"version": True, "references": [_GOOD]}),
        *(
            json.dumps({"version": 1, "references": references})
            for references in (
                None,
                {"0": _GOOD},
                "text",
                [_GOOD, None],
                [_GOOD, {"segment": "Liver"}],
                [{**_GOOD, "point": [0, 0]}],
                [{**_GOOD, "point": [0, 0, "east"]}],
                [{**_GOOD, "point": [0, 0, float("nan")]}],
                [{**_GOOD, "point": [0, 0, 10**400]}],
                [{**_GOOD, "point": [1e308, 1e308, 1e308]}],
                [{**_GOOD, "normal": [0, 0, 0]}],
                [{**_GOOD, "normal": [0, 0, 1e-320]}],
                [{**_GOOD, "normal": [0, 0, float("inf")]}],
                [{**_GOOD, "normal": 7}],
                [{**_GOOD, "segment": "\ud800"}],
            )
        ),
    ],
)
def test_damaged_records_are_none(scene, bench, text):
    shelf = _shelf(bench, 6)
    bench.parameters.SetAttribute(ATTRIBUTE, text)
    assert _recalled(scene) == ([], "")
    record(bench.parameters, shelf)
    _assert_same(_recalled(scene)[0], shelf)


def test_damage_that_leaves_sense_is_told(scene, bench):
    """Segments that are numbers, roles of other nodes: each reference that has no place, but no more than nine."""
    _shelf(bench, 6)
    for segment_id in (5, "a\0b", ""):
        many = [{**_GOOD, "segment": segment_id}] * 200
        bench.parameters.SetAttribute(ATTRIBUTE, json.dumps({"version": 1, "references": many}))
        assert _recalled(scene)[1].startswith("9 of 9 saved references were left out")
    for role, node in (("Volume", bench.segmentation), ("Segmentation", bench.volume)):
        record(bench.parameters, _shelf(bench, 6))
        assert _recalled(scene)[1] == ""
        bench.parameters.SetNodeReferenceID(f"K-Prism.Reference1.{role}", node.GetID())
        assert "not in the scene" in _recalled(scene)[1]


def test_removed_references_are_not_saved(scene, bench):
    shelf = _shelf(bench, 4, 5, 6)
    record(bench.parameters, shelf, shelf.remove(1))
    found, sentence = _recalled(scene)
    assert sentence == ""
    _assert_same(found, shelf)
    assert len(found) == 2
    for _ in range(2):
        record(bench.parameters, shelf, shelf.remove(0))
    assert _recalled(scene) == ([], "")
    assert bench.parameters.GetAttribute(ATTRIBUTE) is None
    count = bench.parameters.GetNumberOfNodeReferenceRoles()
    roles = [bench.parameters.GetNthNodeReferenceRole(number) for number in range(count)]
    assert not [role for role in roles if "K-Prism" in role and bench.parameters.GetNodeReferenceID(role)]


def test_a_slice_that_was_added_before_and_after_an_edit_is_saved_once_until_both_are_removed(scene, bench):
    shelf = _shelf(bench, 6)
    fill(bench.editor, bench.segmentation, "Liver", SPLEEN)
    _add(shelf, bench, _axial(bench, 6))
    assert len(shelf) == 2
    assert len(json.loads(bench.parameters.GetAttribute(ATTRIBUTE))["references"]) == 1
    assert len(_recalled(scene)[0]) == 1
    record(bench.parameters, shelf, shelf.remove(0))
    assert len(_recalled(scene)[0]) == 1
    record(bench.parameters, shelf, shelf.remove(0))
    assert _recalled(scene) == ([], "")


def test_references_of_a_closed_scene_are_not_recorded_and_keep_nothing_alive(scene, bench, tmp_path):
    shelf = _shelf(bench, 6)
    path = save(scene, tmp_path)
    watched = [vtk.vtkWeakReference() for _ in range(2)]
    for one, node in zip(watched, (bench.volume, bench.segmentation), strict=True):
        one.Set(node)
    del node
    bench.volume = bench.segmentation = bench.controller = bench.editor = None
    scene.Clear(False)
    assert [one.Get() for one in watched] == [None, None]
    load(scene, path)
    there = _parameters(scene)
    record(there, shelf, None)
    # The nodes have the IDs of those that are gone. What was saved with them has not been read, and stays.
    assert len(_recalled(scene)[0]) == 1
    there.SetAttribute(ATTRIBUTE, None)
    record(there, shelf, None)
    assert there.GetAttribute(ATTRIBUTE) is None


def test_records_that_another_patients_references_keep_from_being_read_are_not_lost(scene, bench, tmp_path):
    known = _shelf(bench, 4, 5)
    path = save(scene, tmp_path)
    load(scene, path)
    node = _parameters(scene)
    reopened = Bench.make(scene, node.GetSourceVolumeNode(), node.GetSegmentationNode())
    reopened.parameters = node
    _add(known, reopened, _axial(reopened, 6))  # beside two of nodes that are gone
    found, sentence = _recalled(scene)
    assert sentence == ""
    _assert_same(found, known)
    record(node, known, known.remove(0))
    assert len(_recalled(scene)[0]) == 3


def test_never_more_than_nine_and_the_shelfs_own_first(scene, bench):
    _shelf(bench, 3, 4)
    shelf = ReferenceShelf()
    for j in range(3, 3 + SHELF_SIZE - 1):
        _add(shelf, bench, view_plane("coronal", bench.ras(6, j, 7)))
    found, sentence = _recalled(scene)
    assert sentence == ""
    assert len(found) == SHELF_SIZE
    _assert_same(found[1:], shelf)


def test_recording_tells_nobody_and_makes_no_nodes(scene, bench):
    told = []
    bench.parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: told.append("Modified"))
    bench.parameters.AddObserver(
        slicer.vtkMRMLSegmentEditorNode.EffectParameterModified, lambda *_: told.append("Parameter")
    )
    shelf = _shelf(bench, 4)  # which makes Slicer add its subject hierarchy
    nodes, undo = scene.GetNumberOfNodes(), bench.editor.logic.CanUndo()
    _add(shelf, bench, _axial(bench, 6))
    record(bench.parameters, shelf, shelf.remove(0))
    assert told == []
    assert not bench.parameters.GetDisableModifiedEvent()
    assert (scene.GetNumberOfNodes(), bench.editor.logic.CanUndo()) == (nodes, undo)


def test_a_deleted_volume_does_not_move_the_references_behind_it(scene, bench):
    """In one list of nodes the second would become the first."""
    first = volume_node(scene, body(), geometry("anisotropic"), name="Gone")
    other = Bench.make(scene, first, bench.segmentation)
    other.parameters = bench.parameters
    shelf = ReferenceShelf()
    _add(shelf, other, _axial(other, 5))
    _add(shelf, bench, _axial(bench, 6))
    scene.RemoveNode(first)
    found, sentence = _recalled(scene)
    _assert_same(found, list(shelf)[1:])
    assert sentence.startswith("1 of 2")
    record(bench.parameters, shelf)
    assert _recalled(scene)[1] == ""


def test_an_editor_without_records_has_none(scene, bench):
    shelf = ReferenceShelf()
    assert recall(editor_node(scene, bench.volume, bench.segmentation, "Liver"), shelf) == ""
    assert len(shelf) == 0
