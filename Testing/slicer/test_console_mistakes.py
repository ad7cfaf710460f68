"""Mistakes that are natural at a console: each is one sentence, and nothing is written."""

import numpy as np
import pytest
import slicer
import vtk

from KPrismLib.errors import (
    GeometryMismatch,
    InvalidConfig,
    InvalidImage,
    InvalidMask,
    InvalidPrompt,
    InvalidReference,
    KPrismError,
)
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, SPLEEN, Bench, body, draw_layers, fill, segmentation_node, view_plane

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "anisotropic")


@pytest.fixture
def logic():
    model = Model()
    model.use(FloodPredictor())
    return KPrismLogic(model)


@pytest.fixture
def view(scene, bench):
    """A view of layer 4."""
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName("Red")
    node.SetName("Red")
    node = scene.AddNode(node)
    node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *bench.ras(4, 6, 7), 0)
    return node


def offset(bench, k):
    return float(bench.ras(k, 0, 0)[2])


def written(bench):
    content = bench.segmentation.GetSegmentation()
    return {content.GetSegment(one).GetName(): int(bench.array(one).sum()) for one in content.GetSegmentIDs()}


def refused(bench, error, call, match=None):
    before = written(bench)
    with pytest.raises(error, match=match) as raised:
        call()
    assert isinstance(raised.value, KPrismError)
    assert str(raised.value).endswith(".")
    assert written(bench) == before


def test_a_view_or_plane_takes_no_offset(bench, logic, view):
    draw_layers(bench, 4, 8)
    nodes, there = (bench.volume, bench.segmentation, "Liver"), offset(bench, 8)
    for plane in (view, SlicePlane.of_view(view)):
        for call in (
            lambda plane=plane: logic.segmentSlice(*nodes, plane=plane, offset=there, cls="spleen"),
            lambda plane=plane: logic.referenceSlice(*nodes, plane=plane, offset=there),
            lambda plane=plane: logic.propagate(*nodes, plane=plane, offsets=[offset(bench, 4), there]),
        ):
            refused(bench, InvalidConfig, call, "slice of its own")
    logic.propagate(*nodes, plane=view)
    assert np.array_equal(bench.array(), LIVER)


@pytest.mark.parametrize("kind", ["anisotropic", "tilted", "permuted"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_points_lie_in_the_slice_to_half_its_thickness(scene, logic, kind, plane):
    bench = Bench.of_body(scene, kind)
    axis = {"axial": 0, "coronal": 1, "sagittal": 2}[plane]
    if kind == "permuted":
        axis = {"axial": 1, "coronal": 2, "sagittal": 0}[plane]
    inside = np.array([6.0, 6.0, 7.0])
    step = np.eye(3)[axis]
    near, far = bench.ras(*(inside + 0.45 * step)), bench.ras(*(inside + 0.6 * step))
    logic.segmentSlice(bench.volume, bench.segmentation, "Liver", plane=plane, clicks=[bench.ras(*inside), near])
    found = bench.array()
    assert found.sum() == np.take(LIVER, int(inside[axis]), axis).sum() > 0
    where = SlicePlane.of_volume(bench.volume, plane).moved_to(bench.ras(*inside))
    for one in (plane, where):
        for more in ({"clicks": [bench.ras(*inside), far]}, {"scribbles": [[bench.ras(*inside), far]]}):
            refused(
                bench,
                InvalidPrompt,
                lambda one=one, more=more: logic.segmentSlice(
                    bench.volume, bench.segmentation, "New", plane=one, **more
                ),
                "mm from the slice at [RAS] = ",
            )


def test_points_lie_in_an_oblique_slice(bench, logic):
    plane = view_plane("oblique", bench.ras(6, 6, 7))
    logic.segmentSlice(bench.volume, bench.segmentation, "Liver", plane=plane, clicks=[bench.ras(6, 6, 7)])
    assert bench.array().any()
    far = bench.ras(9, 6, 7)
    refused(
        bench,
        InvalidPrompt,
        lambda: logic.segmentSlice(bench.volume, bench.segmentation, "New", plane=plane, clicks=[far]),
    )


def test_a_click_elsewhere_contradicts_the_offset(bench, logic):
    def call(k):
        click = bench.ras(6, 6, 14)
        return logic.segmentSlice(bench.volume, bench.segmentation, "New", offset=offset(bench, k), clicks=[click])

    refused(bench, InvalidPrompt, lambda: call(11), f"15.5 mm from the slice at S = {offset(bench, 11):.5g} mm")
    call(6)
    assert written(bench)["New"] == SPLEEN[6].sum()


def test_points_may_be_arrays(bench, logic):
    """As ``slicer.util.arrayFromMarkupsControlPoints`` gives them."""
    points = np.array([bench.ras(6, 6, 7), bench.ras(6, 6, 14)])
    logic.segmentSlice(bench.volume, bench.segmentation, "Liver", clicks=points)
    assert np.array_equal(bench.array()[6], (LIVER | SPLEEN)[6])
    logic.segmentSlice(bench.volume, bench.segmentation, "Other", scribbles=[points[:1]], clicks=np.zeros((0, 3)))
    assert np.array_equal(bench.array("Other")[6], LIVER[6])
    refused(
        bench,
        InvalidPrompt,
        lambda: logic.segmentSlice(bench.volume, bench.segmentation, "New", clicks=np.zeros((0, 3))),
        "Nothing says",
    )


def test_one_reference_and_one_offset_need_no_list(bench, logic):
    draw_layers(bench, 6)
    known = logic.referenceSlice(bench.volume, bench.segmentation, "Liver", offset=offset(bench, 6))
    logic.segmentSlice(bench.volume, bench.segmentation, "Other", offset=offset(bench, 8), reference=known)
    assert np.array_equal(bench.array("Other")[8], LIVER[8])
    logic.propagate(bench.volume, bench.segmentation, "Liver", offsets=np.float32(offset(bench, 6)))
    assert np.array_equal(bench.array(), LIVER)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"clicks": [(1, 2)]}, InvalidPrompt),
        ({"clicks": (1.0, 2.0, 3.0)}, InvalidPrompt),
        ({"clicks": 3.0}, InvalidPrompt),
        ({"clicks": [(float("nan"), 0, 0)]}, InvalidPrompt),
        ({"clicks": ["abc"]}, InvalidPrompt),
        ({"scribbles": np.ones((4, 3))}, InvalidPrompt),
        ({"clicks": [(float("nan"), 0, 0)], "offset": 0.0}, InvalidPrompt),
        ({"reference": ["known"]}, InvalidReference),
        ({"cls": ["liver"]}, InvalidPrompt),
        ({"cls": np.array(["liver", "spleen"])}, InvalidPrompt),
        ({"cls": "liver", "editorNode": "SegmentEditor"}, InvalidConfig),
        ({"cls": "liver", "plane": None}, InvalidConfig),
        ({"cls": "liver", "plane": 3}, InvalidConfig),
        ({"cls": "liver", "offset": "3"}, InvalidConfig),
        ({"cls": "liver", "offset": float("nan")}, InvalidConfig),
    ],
)
def test_what_is_no_point_plane_or_number_is_a_sentence(bench, logic, arguments, error):
    refused(bench, error, lambda: logic.segmentSlice(bench.volume, bench.segmentation, "New", **arguments))


def test_nodes_that_cannot_be_used_are_sentences(scene, bench, logic):
    draw_layers(bench, 6)
    volume, segmentation = bench.volume, bench.segmentation
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    calls = (
        lambda *nodes: logic.segmentSlice(*nodes, "Liver", cls="liver"),
        lambda *nodes: logic.segmentSlice(*nodes, "New", clicks=[(0, 0, 0)]),
        lambda *nodes: logic.referenceSlice(*nodes, "Liver"),
        lambda *nodes: logic.propagate(*nodes, "Liver"),
        lambda *nodes: logic.segmentVolume(*nodes, ["liver", "spleen"]),
    )
    for call in calls:
        refused(bench, InvalidImage, lambda call=call: call(empty, segmentation), "Empty holds no voxels")
        refused(bench, InvalidImage, lambda call=call: call(segmentation, volume), "volumeNode is Segmentation")
        refused(bench, InvalidImage, lambda call=call: call(None, segmentation), "volumeNode is None")
        refused(bench, InvalidImage, lambda call=call: call("CT", segmentation), "volumeNode is 'CT'")
        refused(bench, InvalidMask, lambda call=call: call(volume, None), "segmentationNode is None")


def test_numbers_and_names_of_whole_volumes_are_sentences(bench, logic):
    nodes = (bench.volume, bench.segmentation)
    draw_layers(bench, 6)
    refused(bench, InvalidConfig, lambda: logic.propagate(*nodes, "Liver", offsets="3"))
    refused(bench, InvalidConfig, lambda: logic.propagate(*nodes, "Liver", offsets=["3"]))
    refused(bench, InvalidConfig, lambda: logic.propagate(*nodes, "Liver", offsets=[offset(bench, 6)], first="3"))
    refused(bench, InvalidConfig, lambda: logic.segmentVolume(*nodes, ["liver"], last=[3]))
    refused(bench, InvalidMask, lambda: logic.segmentVolume(*nodes, [None]))
    refused(bench, InvalidMask, lambda: logic.segmentVolume(*nodes, [["liver"]]))
    for classes in (None, 5, "liver", [], iter(())):
        refused(bench, InvalidPrompt, lambda classes=classes: logic.segmentVolume(*nodes, classes), "list")
    for name in ("", None, 1):
        refused(bench, InvalidMask, lambda name=name: logic.segmentSlice(*nodes, name, cls="liver"))
        refused(bench, InvalidMask, lambda name=name: logic.propagate(*nodes, name))


def test_classes_may_come_from_anything_that_can_be_gone_through(bench, logic):
    for classes in (np.array(["spleen"]), (name for name in ("spleen",)), {"spleen": 1}):
        logic.segmentVolume(bench.volume, bench.segmentation, classes)
        assert written(bench)["spleen"] == SPLEEN.sum()
        bench.segmentation.GetSegmentation().RemoveSegment(
            bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("spleen")
        )


@pytest.mark.parametrize("no", [False, np.False_])
@pytest.mark.parametrize("yes", [True, None, np.True_, 0])
def test_progress_stops_a_run_by_what_is_false_alone(bench, logic, yes, no):
    done = []

    def progress(number, _):
        done.append(number)
        return yes if number < 3 else no

    logic.segmentVolume(bench.volume, bench.segmentation, ["liver"], progress=progress)
    assert done == [1, 2, 3]


def test_runs_need_no_progress_and_refuse_what_cannot_be_called(bench, logic):
    nodes = (bench.volume, bench.segmentation)
    for editor, progress in ((None, 5), (bench.volume, None)):
        more = {"editorNode": editor, "progress": progress}
        refused(bench, InvalidConfig, lambda more=more: logic.segmentVolume(*nodes, ["spleen"], **more), "; give a ")
        refused(bench, InvalidConfig, lambda more=more: logic.propagate(*nodes, "Liver", **more), "; give a ")
    logic.segmentVolume(*nodes, ["liver"], progress=None)
    assert written(bench)["Liver"] == LIVER.sum()


def test_a_model_and_a_capacity_that_are_none_are_sentences(logic):
    with pytest.raises(InvalidConfig, match="model is 'small'"):
        KPrismLogic("small")
    for name, device, match in ((None, "cpu", "The model is None"), ("small", None, "The device is None")):
        with pytest.raises(InvalidConfig, match=match):
            logic.model.choose(name, device)
        with pytest.raises(InvalidConfig, match=match):
            Model(name, device)
    assert (logic.model.name, logic.model.loaded) == ("small", True)
    kept = logic.engine.capacity
    with pytest.raises(InvalidConfig, match="capacity is '8'"):
        logic.engine.capacity = "8"
    assert logic.engine.capacity == kept


def test_that_a_segmentation_is_warped_is_told_before_that_it_is_empty(scene, bench, logic):
    warp = vtk.vtkThinPlateSplineTransform()
    for put, shift in ((warp.SetSourceLandmarks, 0), (warp.SetTargetLandmarks, 1)):
        points = vtk.vtkPoints()
        for place in ((0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10), (5 + shift, 5, 5)):
            points.InsertNextPoint(*place)
        put(points)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Warp")
    node.SetAndObserveTransformToParent(warp)
    bench.segmentation.SetAndObserveTransformNodeID(node.GetID())
    nodes, there = (bench.volume, bench.segmentation, "Liver"), offset(bench, 6)
    for call in (
        lambda: logic.segmentSlice(*nodes, cls="liver"),
        lambda: logic.referenceSlice(*nodes, offset=there),
        lambda: logic.propagate(*nodes, offsets=there),
    ):
        with pytest.raises(GeometryMismatch, match="under the non-linear transform Warp; harden"):
            call()


def test_a_class_given_twice_is_found_once(bench, logic):
    logic.segmentVolume(bench.volume, bench.segmentation, ["spleen", "spleen"])
    assert written(bench)["spleen"] == SPLEEN.sum()


def test_whole_volumes_that_fail_leave_no_empty_segments(scene, bench, logic, monkeypatch):
    surfaces = segmentation_node(scene, bench.volume, ("Q",))
    fill(bench.editor, surfaces, "Q", body() == 100)
    surfaces.CreateClosedSurfaceRepresentation()
    surfaces.GetSegmentation().SetSourceRepresentationName("Closed surface")
    with pytest.raises(InvalidMask, match="source representation"):
        logic.segmentVolume(bench.volume, surfaces, ["liver", "spleen"])
    assert list(surfaces.GetSegmentation().GetSegmentIDs()) == ["Q"]

    def fail(*_, **__):
        raise InvalidImage("The model cannot see this.")

    monkeypatch.setattr("KPrismLib.volumes.segment_classes", fail)
    # The segment "Liver" was there before and stays.
    refused(bench, InvalidImage, lambda: logic.segmentVolume(bench.volume, bench.segmentation, ["liver", "spleen"]))
