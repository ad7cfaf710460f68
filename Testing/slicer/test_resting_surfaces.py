"""Surfaces of segments rest while a run writes, and are right again at its end, whatever the end is."""

import numpy as np
import pytest
import vtk

from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.scenes import LIVER, Bench, fill

pytestmark = pytest.mark.usefixtures("flood_propagation")

SURFACE = "Closed surface"


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "identity")


def surface(bench, segment_id="Liver"):
    return bench.segmentation.GetSegmentation().GetSegment(segment_id).GetRepresentation(SURFACE)


def show_in_3d(bench):
    bench.segmentation.CreateClosedSurfaceRepresentation()


def is_right(bench, segment_id="Liver"):
    """Whether a surface is what Slicer makes of the voxels now."""
    before = vtk.vtkPolyData()
    before.DeepCopy(surface(bench, segment_id))
    bench.segmentation.GetSegmentation().CreateRepresentation(SURFACE, True)
    after = surface(bench, segment_id)
    return (before.GetNumberOfPoints(), before.GetBounds()) == (after.GetNumberOfPoints(), after.GetBounds())


def other_filled(bench, voxels):
    drawn = np.zeros(bench.array().shape, bool)
    drawn[voxels] = True
    fill(bench.editor, bench.segmentation, "Other", drawn)


def test_a_surface_is_derived_once_at_the_end_of_a_run(bench, session):
    other_filled(bench, (slice(2, 5), slice(0, 3), slice(0, 3)))
    show_in_3d(bench)
    small, other = surface(bench).GetNumberOfPoints(), surface(bench, "Other")
    stamp = other.GetMTime()
    shown = []
    session.start(progress=lambda: shown.append(surface(bench))).wait()
    assert session.ends == [None]
    assert len(shown) > 3
    assert not any(shown)
    assert surface(bench).GetNumberOfPoints() > small
    assert surface(bench, "Other") is other
    assert other.GetMTime() == stamp  # nobody wrote there
    assert is_right(bench)


def test_undo_brings_the_surface_of_before_back_and_redo_that_of_after(bench, session):
    show_in_3d(bench)
    before = surface(bench).GetBounds()
    session.start().wait()
    after = surface(bench).GetBounds()
    assert after != before
    bench.undo()
    assert surface(bench).GetBounds() == before
    bench.redo()
    assert surface(bench).GetBounds() == after


@pytest.mark.parametrize("end", ["cancel", "undo"])
def test_a_run_that_ends_early_leaves_the_surface_of_what_is_there(bench, session, end):
    show_in_3d(bench)

    def stop():
        if len(session.written) == 2:
            session.run.cancel() if end == "cancel" else bench.undo()
        return True

    session.start(progress=stop).wait()
    assert len(session.ends) == 1
    assert surface(bench).GetNumberOfPoints() > 0
    assert is_right(bench)


def test_a_surface_that_is_asked_for_during_a_run_rests_from_the_next_slice_on(bench, session):
    shown = []

    def ask():
        shown.append(surface(bench))
        if len(shown) == 2:
            show_in_3d(bench)
        return True

    session.start(progress=ask).wait()
    assert len(shown) > 3
    assert not any(shown)
    assert is_right(bench)


@pytest.mark.parametrize("mode", ["OverwriteNone", "OverwriteAllSegments"])
def test_the_surface_of_a_segment_that_loses_voxels_follows(bench, session, mode):
    other_filled(bench, (slice(7, 9), slice(0, 12), slice(0, 14)))
    before = bench.array("Other").sum()
    bench.parameters.SetOverwriteMode(getattr(bench.parameters, mode))
    show_in_3d(bench)
    session.start().wait()
    assert (bench.array("Other").sum() < before) == (mode == "OverwriteAllSegments")
    assert is_right(bench, "Other")
    assert is_right(bench)


def test_without_a_surface_none_is_made(bench, session):
    session.start().wait()
    assert surface(bench) is None


def test_a_scene_that_is_closed_during_a_run_needs_no_surface(bench, session, scene):
    show_in_3d(bench)
    content = bench.segmentation.GetSegmentation()

    def close():
        scene.Clear(False)
        return True

    session.start(progress=close).wait()
    assert len(session.ends) == 1
    assert content.GetSegment("Liver") is None or content.GetSegment("Liver").GetRepresentation(SURFACE) is None


def test_a_click_that_adds_and_removes_has_the_surface_derived_once(bench, monkeypatch):
    plane = SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(6, 6, 7))
    drawn = np.zeros(bench.array().shape, bool)
    drawn[6] = ~LIVER[6]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    show_in_3d(bench)
    add, there = bench.editor.add, []
    monkeypatch.setattr(bench.editor, "add", lambda *what: (there.append(surface(bench)), add(*what)))
    row, column = np.argwhere(LIVER[6])[0]
    bench.click(plane, bench.ras(6, row, column), anew=True)
    assert np.array_equal(bench.array()[6], LIVER[6])
    assert there == [None]
    assert is_right(bench)


def test_what_could_not_be_derived_again_stays(bench, session):
    show_in_3d(bench)
    segment = bench.segmentation.GetSegmentation().GetSegment("Liver")
    contour = vtk.vtkPolyData()
    segment.AddRepresentation("Planar contour", contour)
    session.start().wait()
    assert segment.GetRepresentation("Planar contour") is contour
    assert is_right(bench)
