"""What is kept between questions, and what keeping it saves."""

from dataclasses import replace

import numpy as np
import pytest

from KPrismLib.errors import InvalidReference, OutOfMemory
from KPrismLogic.guide import Guide, ReferenceShelf, ReferenceSlice
from KPrismLogic.recently_used import RecentlyUsed
from KPrismLogic.slice_engine import Question
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_request import Request
from KPrismLogic.slice_source import SliceSource
from KPrismLogic.volume_window import VolumeWindow
from Testing.slicer.scenes import Bench, body, fill, geometry, segmentation_node, volume_node


@pytest.fixture
def bench(scene):
    volume = volume_node(scene, body(), geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    fill(bench.editor, bench.segmentation, "Other", body() == 200)
    return bench


def _axial(bench, k):
    return SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(k, 6, 7))


def test_a_slice_is_encoded_once(bench):
    for i in (7, 14, 0):
        bench.click(_axial(bench, 6), bench.ras(6, 6, i))
    assert len(bench.predictor.encoded) == 1


def test_earlier_clicks_are_not_computed_again(bench):
    for i in (7, 14, 0):
        bench.click(_axial(bench, 6), bench.ras(6, 6, i))
    assert bench.predictor.predictions == 4  # the empty beginning, and one for each


def test_redone_click_costs_nothing(bench):
    bench.click(_axial(bench, 6), bench.ras(6, 6, 7))
    bench.click(_axial(bench, 6), bench.ras(6, 6, 14))
    bench.undo()
    before = bench.predictor.predictions
    bench.click(_axial(bench, 6), bench.ras(6, 6, 14))
    assert bench.predictor.predictions == before


def test_memory_is_bounded(bench):
    bench.engine.capacity = 3
    for k in range(3, 10):
        bench.click(_axial(bench, k), bench.ras(k, 6, 7))
        assert bench.engine.kept <= 3


def test_changed_voxels_are_encoded_anew(bench):
    bench.click(_axial(bench, 6), bench.ras(6, 6, 7))
    from vtk.util.numpy_support import vtk_to_numpy

    scalars = bench.volume.GetImageData().GetPointData().GetScalars()
    vtk_to_numpy(scalars).reshape(body().shape)[6, :3, :3] = 100
    scalars.Modified()
    bench.volume.GetImageData().Modified()
    bench.click(_axial(bench, 6), bench.ras(6, 1, 1))
    assert len(bench.predictor.encoded) == 2
    assert bench.array()[6, 0, 0]


def test_the_window_is_that_of_the_whole_volume(bench):
    bench.click(_axial(bench, 0), bench.ras(0, 6, 7))
    bench.click(_axial(bench, 6), bench.ras(6, 6, 7))
    first, second = (image.window for image in bench.predictor.encoded)
    assert first == second
    assert (first.low, first.high) == (0, 255)


def test_unloading_the_model_forgets_what_it_encoded(bench):
    bench.click(_axial(bench, 6), bench.ras(6, 6, 7))
    bench.engine.model.use(bench.predictor)
    bench.click(_axial(bench, 6), bench.ras(6, 6, 14))
    assert len(bench.predictor.encoded) == 2
    assert np.array_equal(bench.array()[6], body()[6] > 0)


@pytest.mark.parametrize("work", ["click", "prefetch"])
def test_what_is_under_way_while_the_model_is_unloaded_keeps_it_no_longer_than_it_takes(bench, work):
    model, encode = bench.engine.model, bench.predictor.encode

    def unload_meanwhile(*given, **more):
        model.unload()
        return encode(*given, **more)

    bench.predictor.encode = unload_meanwhile
    if work == "click":
        bench.click(_axial(bench, 6), bench.ras(6, 6, 7))
        assert bench.array()[6].any()
    else:
        bench.controller.prefetch(bench.volume, [_axial(bench, 6)])
    assert len(bench.predictor.encoded) == 1
    assert bench.engine.kept == len(bench.engine._sessions) == 0


def test_prefetch_makes_the_first_click_quick_and_changes_nothing(bench):
    beyond = _axial(bench, 7).moved_to(bench.ras(99, 0, 0))
    bench.controller.prefetch(bench.volume, [_axial(bench, 7), beyond, _axial(bench, 8)])
    assert len(bench.predictor.encoded) == 2
    bench.controller.prefetch(bench.volume, [_axial(bench, 7)])
    assert not bench.array().any()
    bench.click(_axial(bench, 7), bench.ras(7, 6, 7))
    assert len(bench.predictor.encoded) == 2
    assert not bench.failures


def test_full_gpu_continues_on_the_cpu(bench, monkeypatch):
    bench.predictor.device = "cuda:0"
    full = [True]

    def encode_once(*given, **more):
        if full.pop() if full else False:
            raise OutOfMemory("The device cuda:0 is out of memory.")
        return type(bench.predictor).encode(bench.predictor, *given, **more)

    def choose(name, device):
        bench.predictor.device = device
        bench.engine.model.use(bench.predictor)

    monkeypatch.setattr(bench.predictor, "encode", encode_once, raising=False)
    monkeypatch.setattr(bench.engine.model, "choose", choose)
    bench.click(_axial(bench, 6), bench.ras(6, 6, 7))
    assert not bench.failures
    assert bench.reports[0].device == "cpu"
    assert "CPU" in bench.reports[0].remark


def test_class_and_references_give_a_mask_at_once_and_clicks_refine_it(bench):
    reference = ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Other", _axial(bench, 8))
    guide = Guide(references=(reference,))
    bench.controller.ask(Request(bench.target(_axial(bench, 6)), guide, anew=True))
    assert np.array_equal(bench.array()[6], body()[6] == 200)
    bench.click(_axial(bench, 6), bench.ras(6, 6, 7), guide=guide)
    assert np.array_equal(bench.array()[6], body()[6] > 0)
    bench.controller.ask(Request(bench.target(_axial(bench, 5)), Guide("liver"), anew=True))
    assert np.array_equal(bench.array()[5], body()[5] == 100)


def test_reference_is_what_it_was_when_added(bench):
    shelf = ReferenceShelf()
    shelf.add(ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Other", _axial(bench, 8)))
    fill(bench.editor, bench.segmentation, "Other", np.zeros(body().shape, bool))
    (kept,) = shelf
    assert kept.mask.sum() == (body()[8] == 200).sum()
    assert kept.title == "Other in CT"


def test_shelf_holds_nine_different_slices(bench):
    shelf = ReferenceShelf()
    for k in range(5, 12):
        shelf.add(ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Other", _axial(bench, k)))
    shelf.add(ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Other", _axial(bench, 5)))
    assert len(shelf) == 7
    for j in (4, 5):
        plane = SlicePlane.of_volume(bench.volume, "coronal").moved_to(bench.ras(6, j, 14))
        shelf.add(ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Other", plane))
    plane = SlicePlane.of_volume(bench.volume, "coronal").moved_to(bench.ras(6, 6, 14))
    with pytest.raises(InvalidReference, match="remove one"):
        shelf.add(ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Other", plane))
    shelf.remove(0)
    assert len(shelf) == 8
    shelf.remove(99)
    assert len(shelf.guide().references) == 8


def test_empty_slice_is_no_reference(bench):
    with pytest.raises(InvalidReference, match="nothing of Other"):
        ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Other", _axial(bench, 0))


def test_recently_used_forgets_the_oldest():
    store = RecentlyUsed(2)
    for key in "abac":
        store.get_or_make(key, lambda key=key: key.upper())
    assert "b" not in store
    assert store.get("a") == "A"
    store.capacity = 1
    assert len(store) == 1


def test_a_reference_of_another_modality_is_told(bench):
    shown = SliceSource.of(bench.volume, cut(bench.volume, _axial(bench, 6)))
    known = ReferenceSlice.of_segment(bench.volume, bench.segmentation, "Other", _axial(bench, 6))

    def remark(image, reference):
        of_image, of_reference = (VolumeWindow(kind, body(), kind) for kind in (image, reference))
        guide = Guide(references=(replace(known, source=replace(known.source, window=of_reference)),))
        return bench.engine.answer(Question(replace(shown, window=of_image), guide)).remark

    assert "The image is CT but a reference is MR" in remark("CT", "MR")
    assert remark("CT", "CT") == remark("CT", None) == remark(None, "MR") == ""
