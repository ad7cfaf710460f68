"""Masks, overwrite rules and the intensity range hold as they do for Paint and Erase."""

import numpy as np
import pytest
import slicer

from KPrismLogic.logic import KPrismLogic
from KPrismLogic.matrices import world_from_volume
from KPrismLogic.model import Model
from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import (
    SIZE,
    SPLEEN,
    Bench,
    body,
    fill,
    geometry,
    segment_array,
    segmentation_node,
    volume_node,
)

K = 6


@pytest.fixture
def bench(scene):
    volume = volume_node(scene, body(), geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, ("Liver", "Seen", "Hidden")))
    bench.segmentation.GetDisplayNode().SetSegmentVisibility("Hidden", False)
    seen, hidden = np.zeros_like(body(), bool), np.zeros_like(body(), bool)
    (
        seen[:, 2:6, :8],
        hidden[:, 8:14, 5:],
    ) = True, True
    fill(bench.editor, bench.segmentation, "Seen", seen)
    fill(bench.editor, bench.segmentation, "Hidden", hidden)
    # Something of the segment itself to be taken away, partly under the others.
    liver = np.zeros_like(body(), bool)
    liver[K - 1 : K + 2, 1:9, 9:18] = True
    fill(bench.editor, bench.segmentation, "Liver", liver)
    return bench


def _all(bench):
    return {name: bench.array(name) for name in ("Liver", "Seen", "Hidden")}


def _rules(bench, mask_mode, overwrite, intensity):
    node, parameters = bench.segmentation, bench.parameters
    parameters.SetMaskMode(getattr(node, mask_mode))
    parameters.SetMaskSegmentID("Seen")
    parameters.SetOverwriteMode(getattr(parameters, overwrite))
    parameters.SetSourceVolumeIntensityMask(intensity)
    parameters.SetSourceVolumeIntensityMaskRange(50, 150)


MODES = [
    "EditAllowedEverywhere",
    "EditAllowedInsideAllSegments",
    "EditAllowedInsideVisibleSegments",
    "EditAllowedOutsideAllSegments",
    "EditAllowedOutsideVisibleSegments",
    "EditAllowedInsideSingleSegment",
]
#: Where a click in the body may write, of slices that show nothing else (6), Seen (4) and Hidden (8).
ALLOWED = {
    "EditAllowedEverywhere": {4, 6, 8},
    "EditAllowedInsideAllSegments": {4, 8},
    "EditAllowedInsideVisibleSegments": {4},
    "EditAllowedOutsideAllSegments": {6},
    "EditAllowedOutsideVisibleSegments": {6, 8},
    "EditAllowedInsideSingleSegment": {4},
}
OVERWRITES = ["OverwriteAllSegments", "OverwriteVisibleSegments", "OverwriteNone"]


@pytest.mark.parametrize("intensity", [False, True], ids=["any intensity", "intensity range"])
@pytest.mark.parametrize("overwrite", OVERWRITES)
@pytest.mark.parametrize("mode", MODES)
def test_same_as_erase_then_paint_with_full_size_brushes(scene, bench, mode, overwrite, intensity):
    """The reference: what the editor logic does with labelmaps of the whole grid, as Slicer's effects give it."""
    _rules(bench, mode, overwrite, intensity)
    before = _all(bench)
    bench.click(SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(K, 6, 6)), bench.ras(K, 6, 6))
    assert not bench.failures
    ours = _all(bench)
    bench.undo()
    assert all(np.array_equal(before[name], now) for name, now in _all(bench).items())

    wanted = before["Liver"].copy()
    wanted[K] |= body()[K] == 100
    _paint(bench, before["Liver"] & ~wanted, bench.editor.remove)
    _paint(bench, wanted & ~before["Liver"], bench.editor.add)
    for name, theirs in _all(bench).items():
        assert np.array_equal(ours[name], theirs), name
        others = np.arange(len(theirs)) != K
        assert np.array_equal(ours[name][others], before[name][others]), name


@pytest.mark.parametrize("mode", MODES)
def test_a_class_takes_away_and_adds_within_the_mask(bench, mode):
    from KPrismLogic.guide import Guide
    from KPrismLogic.slice_request import Request

    _rules(bench, mode, "OverwriteNone", False)
    before = _all(bench)
    plane = SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(K, 0, 0))
    bench.controller.ask(Request(bench.target(plane), Guide("liver"), anew=True))
    after = _all(bench)
    assert not bench.failures
    wanted, old, new = body()[K] == 100, before["Liver"][K], after["Liver"][K]
    seen, hidden = before["Seen"][K], before["Hidden"][K]
    editable = {
        "EditAllowedEverywhere": np.ones_like(old),
        "EditAllowedInsideAllSegments": old | seen | hidden,
        "EditAllowedInsideVisibleSegments": old | seen,
        "EditAllowedOutsideAllSegments": ~(seen | hidden),
        "EditAllowedOutsideVisibleSegments": ~seen,
        # Erasing inside one segment may also give the segment's own area back.
        "EditAllowedInsideSingleSegment": seen,
    }[mode]
    added, removed = new & ~old, old & ~new
    assert np.array_equal(added, wanted & ~old & editable)
    if mode != "EditAllowedInsideSingleSegment":
        assert np.array_equal(removed, old & ~wanted & editable)
        assert np.array_equal(after["Seen"], before["Seen"])
    assert np.array_equal(after["Hidden"], before["Hidden"])


def test_neighbours_survive_when_nothing_may_be_overwritten(bench):
    _rules(bench, "EditAllowedEverywhere", "OverwriteNone", False)
    before = _all(bench)
    bench.click(SlicePlane.of_volume(bench.volume, "coronal").moved_to(bench.ras(6, 9, 6)), bench.ras(6, 9, 6))
    after = _all(bench)
    assert (after["Liver"] & after["Hidden"]).any()  # they overlap now
    assert np.array_equal(before["Hidden"], after["Hidden"])
    assert np.array_equal(before["Seen"], after["Seen"])


@pytest.mark.parametrize("finer", [1, 2])
@pytest.mark.parametrize("plane", ["axial", "oblique"])
@pytest.mark.parametrize("intensity", [None, (50, 150), (150, 250), (300, 400)])
@pytest.mark.parametrize("mode", MODES)
def test_what_masks_forbid_altogether_is_said_and_leaves_no_state(scene, mode, intensity, plane, finer):
    """In one slice the masks allow nothing, in others something: told before it is written, right in every case."""
    volume = volume_node(scene, body(), geometry("tilted" if plane == "oblique" else "identity"))
    grid = world_from_volume(volume) @ np.diag([1 / finer] * 3 + [1.0])
    segmentation = segmentation_node(scene, volume, ("Liver", "Seen", "Hidden"), grid, [finer * side for side in SIZE])
    bench = Bench.make(scene, volume, segmentation)
    segmentation.GetDisplayNode().SetSegmentVisibility("Hidden", False)
    _rules(bench, mode, "OverwriteAllSegments", intensity is not None)
    bench.parameters.SetSourceVolumeIntensityMaskRange(*(intensity or (0, 1)))
    for k, name in ((4, "Seen"), (8, "Hidden")):
        drawn = np.zeros([finer * side for side in SIZE[::-1]], bool)
        drawn[finer * (k - 1) : finer * (k + 2)] = True
        fill(bench.editor, segmentation, name, drawn | bench.array(name))
    for k in (4, 6, 8):
        where = SlicePlane.through(bench.ras(k, 6, 7), (0, 0, 1) if plane == "axial" else (0.1, -0.15, 0.9))
        before, states = _all(bench), bench.editor.logic.CanUndo()
        reports, failures = len(bench.reports), len(bench.failures)
        bench.click(where, bench.ras(k, 6, 7))
        changed = any(not np.array_equal(before[name], now) for name, now in _all(bench).items())
        assert (len(bench.reports) - reports, len(bench.failures) - failures) == (int(changed), int(not changed))
        if plane == "axial":  # an oblique slice passes through several layers
            assert changed == (intensity in (None, (50, 150)) and k in ALLOWED[mode])
        assert changed or "lets nothing be written here; nothing was changed." in str(bench.failures[-1])
        assert changed or bench.controller.prompts(bench.target(where)) == []
        assert bench.editor.logic.CanUndo() == (changed or states)
        while bench.editor.logic.CanUndo():
            bench.undo()


@pytest.mark.parametrize(
    ("place", "bounds", "written"),
    [
        ("oblique", (150, 255), True),  # thin as it is, the slice's pixels are half of what its voxels are
        ("between layers", (40, 60), True),  # where the editor's voxels are half of what the slice's pixels are
        ("whole numbers", (200.5, 255), True),  # of which the editor cuts the fraction off
        ("colour", (0, 50), False),
        ("colour", (150, 255), True),
    ],
)
def test_intensities_are_those_that_the_editor_compares(scene, place, bounds, written):
    if place == "between layers":
        voxels, (k, j, i), normal = body(), (9, 6, 7), (0, 0, 1)
    else:
        voxels, (k, j, i), normal = np.zeros(SIZE[::-1], np.uint8), (7, 7, 8), (0, 0, 1)
        voxels[7, 7, 3:15] = 200
    grid, beside = geometry("identity"), np.zeros(3)
    if place == "between layers":
        grid[2, 3] += 0.5
        beside[2] = 0.3
    elif place == "oblique":
        beside[2], normal = 0.4, (0, 0.6, 0.8)
    volume = volume_node(scene, voxels, geometry("identity"), colour=place == "colour")
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, grid=grid))
    bench.editor.logic.SetMaximumNumberOfUndoStates(10)
    bench.parameters.SetSourceVolumeIntensityMask(True)
    bench.parameters.SetSourceVolumeIntensityMaskRange(*bounds)
    point = bench.ras(k, j, i)
    bench.click(SlicePlane.through(point + beside, normal), point + (beside if place == "oblique" else 0))
    assert bench.array().any() == bench.editor.logic.CanUndo() == written
    assert bool(bench.failures) != written


def test_where_a_part_is_forbidden_the_rest_is_written(bench):
    _rules(bench, "EditAllowedOutsideVisibleSegments", "OverwriteAllSegments", False)
    before = _all(bench)
    plane = SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(K, 6, 6))
    bench.click(plane, bench.ras(K, 6, 6))
    assert not bench.failures
    assert (bench.array() & ~before["Liver"]).any()
    assert np.array_equal(bench.array("Seen"), before["Seen"])
    # All that is left is forbidden: this click is not remembered, and the one before is.
    bench.click(plane, bench.ras(K, 3, 5))
    assert len(bench.controller.prompts(bench.target(plane))) == 1
    assert len(bench.failures) == 1


def _paint(bench, voxels, write):
    import slicer
    from vtk.util.numpy_support import numpy_to_vtk

    labelmap = slicer.vtkOrientedImageData()
    grid = bench.editor.geometry()
    labelmap.SetExtent(grid.GetExtent())
    labelmap.SetSpacing(grid.GetSpacing())
    labelmap.SetOrigin(grid.GetOrigin())
    labelmap.CopyDirections(grid)
    labelmap.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(voxels, np.uint8).ravel(), deep=True))
    write("Liver", labelmap)


def test_array_reader_of_the_tests_reads_what_was_drawn(bench):
    noise = np.random.default_rng(1).random(body().shape) < 0.5
    fill(bench.editor, bench.segmentation, "Seen", noise)
    assert np.array_equal(segment_array(bench.editor, bench.segmentation, "Seen"), noise)


@pytest.mark.parametrize("low", [50, 250])
def test_the_result_of_a_volume_says_where_masks_let_nothing_be_written(scene, low):
    bench = Bench.of_body(scene, "anisotropic")
    rules = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    rules.SetSourceVolumeIntensityMask(True)
    rules.SetSourceVolumeIntensityMaskRange(low, 300)
    model = Model()
    model.use(FloodPredictor())
    result = KPrismLogic(model).segmentVolume(bench.volume, bench.segmentation, ["liver"], editorNode=rules)
    assert ("masking" in result.remark, "nothing was changed" in result.remark) == (low == 250, low == 250)


@pytest.mark.parametrize("mode", ["EditAllowedOutsideAllSegments", "EditAllowedOutsideVisibleSegments"])
@pytest.mark.parametrize("classes", [["spleen", "liver"], ["liver", "spleen"]])
def test_each_class_of_a_volume_is_outside_the_other_segments_not_outside_itself(scene, mode, classes):
    voxels = body()
    voxels[12, 1, 1] = 200  # a stray piece, which the run takes away again at its end
    volume = volume_node(scene, voxels, geometry("anisotropic"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, ("liver", "spleen")), "spleen")
    wrong = np.zeros_like(SPLEEN)
    wrong[7, :2, :2] = True
    fill(bench.editor, bench.segmentation, "spleen", wrong)
    rules = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    rules.SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, mode))
    rules.SetOverwriteMode(rules.OverwriteNone)
    model = Model()
    model.use(FloodPredictor())
    KPrismLogic(model).segmentVolume(volume, bench.segmentation, classes, editorNode=rules)
    assert np.array_equal(bench.array("spleen"), SPLEEN)
