"""The slices that hold a segment are found without cutting all others, and none is missed."""

import numpy as np
import pytest

from KPrismLogic.drawn_slices import slices_at, slices_through
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
    slow = [segment_in_slice(stack.image(index), bench.segmentation, "Liver").any() for index in range(len(stack))]
    showing = np.flatnonzero(slow).tolist()
    assert slices_through(stack, bench.segmentation, "Liver") == showing
    assert set(slices_at(stack, bench.segmentation, "Liver")) >= set(showing)
    assert slices_through(stack, bench.segmentation, "Other") == []


def test_slices_between_which_voxels_lie_are_at_the_segment_too(scene):
    bench = Bench.of_body(scene, "identity")
    drawn = np.zeros(body().shape, bool)
    drawn[[2, 9], 4:8, 5] = True
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    stack = SliceStack.through(bench.volume, SlicePlane.of_volume(bench.volume, "axial"))
    assert slices_through(stack, bench.segmentation, "Liver") == [2, 9]
    assert slices_at(stack, bench.segmentation, "Liver") == [1, 2, 3, 8, 9, 10]
