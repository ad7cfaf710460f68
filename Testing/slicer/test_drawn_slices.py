"""The slices that hold a segment are found without cutting all others, and none is missed."""

import numpy as np
import pytest

from KPrismLogic import drawn_slices as module
from KPrismLogic.drawn_slices import drawn_slices
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.slice_voxels import segment_in_slice
from Testing.slicer.scenes import GEOMETRIES, Bench, body, fill


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_they_are_those_in_which_a_slow_search_finds_the_segment(scene, kind, plane):
    bench = Bench.of_body(scene, kind)
    drawn = np.zeros(body().shape, bool)
    drawn[3, 4, 5] = drawn[9, 10:12, 2] = drawn[9, 3, 15] = True
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    stack = SliceStack.through(bench.volume, SlicePlane.of_volume(bench.volume, plane))
    slow = {index: segment_in_slice(stack.image(index), bench.segmentation, "Liver") for index in range(len(stack))}
    found = drawn_slices(stack, bench.segmentation, "Liver")
    assert list(found) == [index for index, mask in slow.items() if mask.any()]
    assert all(np.array_equal(mask, slow[index]) for index, mask in found.items())
    assert drawn_slices(stack, bench.segmentation, "Other") == {}


def test_only_slices_in_front_of_the_segment_are_cut(scene, monkeypatch):
    bench = Bench.of_body(scene, "identity")
    drawn = np.zeros(body().shape, bool)
    drawn[[2, 9], 4:8, 5] = True
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    cut = []

    def counting(*given):
        cut.append(given)
        return segment_in_slice(*given)

    monkeypatch.setattr(module, "segment_in_slice", counting)
    stack = SliceStack.through(bench.volume, SlicePlane.of_volume(bench.volume, "axial"))
    assert list(drawn_slices(stack, bench.segmentation, "Liver")) == [2, 9]
    assert len(cut) <= 6  # with their neighbours
