"""The propagations of all editors and the panel live as long as one of them."""

import gc
import weakref

import pytest

from KPrismLogic.model import shared_model
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.scenes import Bench, draw_layers


class User:
    """An editor or the panel."""


@pytest.fixture
def shared(module):
    from KPrismLogic.shared_propagations import SharedPropagations

    return SharedPropagations(shared_model())


@pytest.fixture
def run(scene):
    bench = Bench.of_body(scene, "identity")
    draw_layers(bench, 6)
    return SegmentPropagation(bench.target(SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(6, 6, 7))))


def test_the_last_one_who_leaves_takes_them_along(shared, run):
    one, other = User(), User()
    kept = shared.join(one)
    assert shared.join(other) is kept
    kept.keep(run)
    shared.leave(one)
    assert kept.keeps(run)
    shared.leave(other)
    assert not kept.keeps(run)
    shared.leave(other)
    assert shared.join(one) is kept


def test_nobody_is_kept_alive_who_does_not_leave(shared, run):
    user = User()
    gone = weakref.ref(user)
    kept = shared.join(user)
    kept.keep(run)
    del user
    gc.collect()
    assert gone() is None
    other = User()
    shared.join(other)
    assert not kept.keeps(run)
    shared.leave(other)


def test_they_are_forgotten_with_the_scene_whoever_looks(shared, run, scene):
    user = User()
    kept = shared.join(user)
    kept.keep(run)
    scene.Clear(False)
    assert kept.last is None
    shared.leave(user)


def test_as_many_as_one_run_writes_are_kept_besides_those_before(shared, run, scene):
    kept = shared.join(shared)
    kept.keep(run)
    bench = Bench.of_body(scene, "identity")
    plane = SlicePlane.of_volume(bench.volume, "axial")
    ids = [bench.segmentation.GetSegmentation().AddEmptySegment("", f"class {number}") for number in range(20)]
    runs = [SegmentPropagation(bench.target(plane, one), accept=False) for one in ids]
    kept.keep(*runs)
    assert all(kept.keeps(one) for one in (run, *runs))
    kept.ended(runs[-1])
    shared.leave(shared)
