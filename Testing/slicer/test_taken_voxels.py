"""What clicks took from other segments comes back when later clicks in the slice do without it."""

import numpy as np
import pytest
import slicer
from hypothesis import given, settings
from hypothesis import strategies as st

from KPrismLogic.guide import Guide
from KPrismLogic.matrices import world_from_volume
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_request import Request
from Testing.slicer.scenes import LIVER, SIZE, SPLEEN, Bench, body, fill, geometry, segmentation_node, volume_node

K = 6


@pytest.fixture
def bench(scene):
    return _bench(scene)


def _bench(scene, names=("Liver", "Other", "Hidden"), *, separate=False, finer=1, kind="anisotropic"):
    """A spleen that is segmented as "Other", whose neighbour "Liver" is clicked; everything may be overwritten."""
    volume = volume_node(scene, body(), geometry(kind))
    grid, size = (None, SIZE) if finer == 1 else _finer(world_from_volume(volume), finer)
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, names, grid, size))
    bench.editor.logic.SetMaximumNumberOfUndoStates(100)
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteAllSegments)
    _draw(bench, "Other", SPLEEN, finer)
    if separate:
        # Segments that overlap somewhere do not share a labelmap.
        overlap = np.zeros_like(LIVER)
        overlap[0, :2, :2] = True
        for name in ("Liver", "Hidden"):
            _draw(bench, name, overlap, finer)
    return bench


def _finer(matrix, times):
    grid = matrix @ np.diag([1 / times] * 3 + [1.0])
    grid[:3, 3] = (matrix @ [*[(1 / times - 1) / 2] * 3, 1.0])[:3]
    return grid, tuple(times * side for side in SIZE)


def _draw(bench, name, voxels, finer=1):
    fill(bench.editor, bench.segmentation, name, voxels.repeat(finer, 0).repeat(finer, 1).repeat(finer, 2))


def _axial(bench, k=K):
    return SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(k, 7, 8))


def _click(bench, j, i, k=K, **more):
    bench.click(_axial(bench, k), bench.ras(k, j, i), **more)


def _all(bench):
    return {name: bench.array(name) for name in bench.segmentation.GetSegmentation().GetSegmentIDs()}


@pytest.mark.parametrize("separate", [False, True], ids=["one labelmap", "labelmaps of their own"])
@pytest.mark.parametrize("finer", [1, 2])
def test_a_click_that_corrects_another_one_leaves_no_hole_in_the_neighbour(scene, separate, finer):
    bench = _bench(scene, separate=separate, finer=finer)
    before = _all(bench)
    _click(bench, 6, 7)
    one = _all(bench)
    _click(bench, 6, 14)
    assert (before["Other"] & ~bench.array("Other")).any()
    _click(bench, 7, 14, positive=False)
    assert not bench.failures
    assert all(np.array_equal(one[name], now) for name, now in _all(bench).items())
    for _ in range(3):
        bench.undo()
    assert not bench.editor.logic.CanUndo()  # one state for each click
    assert all(np.array_equal(before[name], now) for name, now in _all(bench).items())
    for _ in range(3):
        bench.redo()
    assert all(np.array_equal(one[name], now) for name, now in _all(bench).items())


@pytest.mark.parametrize("kind", ["sagittal", "oblique"])
def test_in_every_plane(scene, kind):
    bench = _bench(scene, kind="tilted")
    normal = {"sagittal": (1, 0, 0), "oblique": (0.35, -0.5, 0.8)}[kind]
    plane = SlicePlane.through(bench.ras(K, 6, 14), normal)
    bench.click(plane, bench.ras(K, 6, 14))
    assert (SPLEEN & ~bench.array("Other")).any()
    bench.click(plane, bench.ras(K, 6, 14) + 1.5 * plane.rightwards, positive=False)
    assert not bench.failures
    assert not bench.array().any()
    assert np.array_equal(bench.array("Other"), SPLEEN)


def test_a_class_gives_back_what_another_one_took(bench):
    for cls in ("spleen", "liver"):
        bench.controller.ask(Request(bench.target(_axial(bench)), Guide(cls), anew=True))
    assert np.array_equal(bench.array()[K], LIVER[K])
    assert np.array_equal(bench.array("Other"), SPLEEN)


def test_a_voxel_comes_back_to_both_segments_that_overlapped_there(scene):
    bench = _bench(scene, separate=True)
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteNone)
    _draw(bench, "Hidden", SPLEEN)
    before = _all(bench)
    assert (before["Hidden"] & before["Other"]).any()
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteAllSegments)
    _click(bench, 6, 14)
    _click(bench, 7, 14, positive=False)
    assert all(np.array_equal(before[name], now) for name, now in _all(bench).items())


def test_a_segment_that_was_spared_is_as_it_was(scene):
    bench = _bench(scene, separate=True)
    _draw(bench, "Hidden", SPLEEN)
    bench.segmentation.GetDisplayNode().SetSegmentVisibility("Hidden", False)
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteVisibleSegments)
    before = _all(bench)
    _click(bench, 6, 14)
    assert not bench.array("Other")[K].any()
    _click(bench, 7, 14, positive=False)
    assert all(np.array_equal(before[name], now) for name, now in _all(bench).items())


def test_what_somebody_did_there_meanwhile_stays(scene):
    bench = _bench(scene, separate=True)
    _click(bench, 6, 14)
    painted = bench.array("Hidden")
    painted[K, 4:6] = True
    fill(bench.editor, bench.segmentation, "Hidden", painted)
    _click(bench, 7, 14, positive=False)
    assert np.array_equal(bench.array("Other"), SPLEEN & ~painted)
    assert np.array_equal(bench.array("Hidden"), painted)


@pytest.mark.parametrize("what", ["emptied", "deleted"])
def test_a_segment_that_was_emptied_or_deleted_meanwhile_gets_nothing(bench, what):
    drawn = SPLEEN.copy()
    drawn[K, :2, :2] = True
    _draw(bench, "Other", drawn)
    _click(bench, 6, 14)
    assert bench.array("Other")[K].any()
    if what == "emptied":
        _draw(bench, "Other", np.zeros_like(SPLEEN))
    else:
        bench.segmentation.GetSegmentation().RemoveSegment("Other")
    _click(bench, 7, 14, positive=False)
    assert not bench.failures
    assert not bench.array().any()
    assert what == "deleted" or not bench.array("Other").any()


@pytest.mark.parametrize("what", ["emptied", "deleted and made anew"])
def test_a_segment_whose_slice_was_taken_whole_gets_nothing_when_it_was(bench, what):
    _click(bench, 6, 14)
    assert bench.array("Other").any()
    assert not bench.array("Other")[K].any()
    if what == "emptied":
        _draw(bench, "Other", np.zeros_like(SPLEEN))
    else:
        bench.segmentation.GetSegmentation().RemoveSegment("Other")
        bench.segmentation.GetSegmentation().AddEmptySegment("Other", "Something else")
    _click(bench, 7, 14, positive=False)
    assert not bench.failures
    assert not bench.array("Other").any()


def test_a_segment_of_which_nothing_was_left_and_which_is_another_by_now_gets_nothing(scene):
    bench = _bench(scene)
    _draw(bench, "Other", SPLEEN & (np.arange(len(SPLEEN)) == K)[:, None, None])
    _click(bench, 6, 14)
    assert not bench.array("Other").any()
    bench.segmentation.GetSegmentation().RemoveSegment("Other")
    bench.segmentation.GetSegmentation().AddEmptySegment("Other", "Something else")
    _click(bench, 7, 14, positive=False)
    assert not bench.failures
    assert not bench.array("Other").any()


def test_a_segment_of_which_nothing_was_left_gets_it_all_back(bench):
    drawn = SPLEEN & (np.arange(len(SPLEEN)) == K)[:, None, None]
    _draw(bench, "Other", drawn)
    _click(bench, 6, 14)
    assert not bench.array("Other").any()
    _click(bench, 7, 14, positive=False)
    assert np.array_equal(bench.array("Other"), drawn)


def test_undo_and_redo_of_emptying_are_no_emptying(bench):
    _click(bench, 6, 14)
    rest, everything = bench.array("Other"), slicer.vtkOrientedImageData()
    everything.DeepCopy(bench.segmentation.GetSegmentation().GetSegment("Other").GetRepresentation("Binary labelmap"))
    bench.editor.save_state()
    bench.editor.remove("Other", everything)
    assert not bench.array("Other").any()
    bench.undo()
    assert np.array_equal(bench.array("Other"), rest)
    bench.undo()
    bench.redo()
    _click(bench, 7, 14, positive=False)
    assert not bench.failures
    assert np.array_equal(bench.array("Other"), SPLEEN)


def test_another_segmentation_owes_nothing_for_a_copy_of_the_segment(scene):
    bench = _bench(scene)
    _click(bench, 6, 14)
    second = segmentation_node(scene, bench.volume, ("Other", "Third"))
    second.GetSegmentation().CopySegmentFromSegmentation(bench.segmentation.GetSegmentation(), "Liver")
    copied = Bench.make(scene, bench.volume, second)
    drawn = np.zeros_like(LIVER)
    drawn[K, 14:, :3] = True
    fill(copied.editor, second, "Other", drawn)
    copied.parameters.SetOverwriteMode(copied.parameters.OverwriteAllSegments)
    _click(copied, 7, 14, positive=False)
    assert not copied.failures
    assert not copied.array().any()
    assert np.array_equal(copied.array("Other"), drawn)


def test_what_the_editor_itself_gives_to_the_masking_segment_comes_back_to_nobody_else(bench):
    _click(bench, 6, 14)
    drawn = np.zeros_like(LIVER)
    drawn[K, :2, :2] = True
    _draw(bench, "Hidden", drawn)
    bench.parameters.SetMaskMode(bench.segmentation.EditAllowedInsideSingleSegment)
    bench.parameters.SetMaskSegmentID("Hidden")
    _click(bench, 7, 14, positive=False)
    assert not bench.failures
    assert not bench.array().any()
    assert (bench.array("Hidden") & SPLEEN).any()
    assert not (bench.array("Hidden") & bench.array("Other")).any()


def test_what_the_segment_lost_or_won_elsewhere_meanwhile_does_not_matter(bench):
    _click(bench, 6, 14)
    painted = bench.array()
    painted[K, :2, :2], painted[K, 4:6] = True, False
    fill(bench.editor, bench.segmentation, "Liver", painted)
    _click(bench, 7, 14, positive=False)
    rest = SPLEEN.copy()
    rest[K, 4:6] = False  # whose these are is for who took them away to say
    assert not (bench.array() & SPLEEN).any()
    assert np.array_equal(bench.array("Other"), rest)


def test_masks_do_not_keep_it_back(bench):
    _click(bench, 6, 14)
    bench.parameters.SetMaskMode(bench.segmentation.EditAllowedInsideAllSegments)
    _click(bench, 7, 14, positive=False)
    assert np.array_equal(bench.array("Other"), SPLEEN)


clicks = st.lists(
    st.tuples(
        st.sampled_from([5, K]),
        st.sampled_from([(6, 7), (7, 8), (6, 14), (7, 15), (0, 0), (1, 2)]),
        st.booleans(),
        st.sampled_from(["Liver", "Liver", "Liver", "Hidden"]),
    ),
    max_size=10,
)


@settings(max_examples=40)
@given(clicks=clicks, separate=st.booleans(), seed=st.integers(0, 99))
def test_whatever_is_clicked_others_miss_only_what_it_holds(shared_scene, clicks, separate, seed):
    scene, _ = shared_scene
    scene.Clear(False)
    bench = _bench(scene, separate=separate)
    noise = np.random.default_rng(seed).random(LIVER.shape) < 0.3
    _draw(bench, "Other", SPLEEN ^ (noise & ~bench.array("Hidden")))
    original, past, alone = _all(bench), [], True
    for k, (j, i), positive, name in clicks:
        now, reports = _all(bench), len(bench.reports)
        _click(bench, j, i, k, segment_id=name, positive=positive)
        if len(bench.reports) > reports:
            past.append(now)
        # Of what two segments took in turns only the last one knows.
        alone = alone and name == "Liver"
        missing = original["Other"] & ~bench.array("Other")
        assert not (alone and (missing & ~bench.array()).any())
        assert not (bench.array("Other") & ~original["Other"]).any()
    for before in reversed(past):
        bench.undo()
        assert all(np.array_equal(before[name], now) for name, now in _all(bench).items())
    assert not bench.editor.logic.CanUndo()
