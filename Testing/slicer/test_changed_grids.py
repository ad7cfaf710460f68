"""A segmentation that is moved, or gets another geometry, between two clicks in one slice."""

import numpy as np
import pytest

from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.scenes import (
    LIVER,
    Bench,
    body,
    geometry,
    segmentation_node,
    under_transform,
    volume_node,
)


def _axial(bench, k):
    return SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(k, 6, 7))


def test_a_click_goes_where_a_moved_segmentation_is_now(scene):
    bench = Bench.of_body(scene, "identity")
    bench.click(_axial(bench, 6), bench.ras(6, 6, 7))
    up = np.eye(4)
    up[2, 3] = 2.0
    under_transform(scene, bench.segmentation, up)
    bench.click(_axial(bench, 6), bench.ras(6, 6, 7))
    assert not bench.failures
    expected = np.zeros(body().shape, bool)
    expected[[4, 6]] = LIVER[6]
    assert np.array_equal(bench.array(), expected)


@pytest.mark.parametrize("first", [8, 4])
def test_a_click_has_all_of_a_geometry_that_was_made_larger(scene, first):
    """The volume's own geometry, after one that ended within the structure and below slice 8."""
    volume = volume_node(scene, body(), geometry("identity"))
    small = segmentation_node(scene, volume, grid=geometry("identity"), size=(8, 16, 6))
    bench = Bench.make(scene, volume, small)
    bench.click(_axial(bench, first), bench.ras(first, 6, 5))
    assert len(bench.failures) == (first == 8)
    small.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    bench.click(_axial(bench, first), bench.ras(first, 6, 5))
    assert len(bench.failures) == (first == 8)
    assert np.array_equal(bench.array()[first], LIVER[first])
