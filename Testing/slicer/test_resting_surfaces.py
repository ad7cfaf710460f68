"""Surfaces of segments rest while a run writes, and are right again at its end, whatever the end is."""

import functools

import numpy as np
import pytest
import slicer
import vtk

from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.target import NoLongerWanted
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


class View:
    """A 3-D view as Slicer has it: it sees to it that what it shows is there."""

    def __init__(self, scene):
        self.renderer, self._group = vtk.vtkRenderer(), slicer.vtkMRMLDisplayableManagerGroup()
        self._window, self._interactor = vtk.vtkRenderWindow(), vtk.vtkGenericRenderWindowInteractor()
        self._window.SetOffScreenRendering(True)
        self._window.AddRenderer(self.renderer)
        self._interactor.SetRenderWindow(self._window)
        self._group.SetRenderer(self.renderer)
        manager, self._logic = slicer.vtkMRMLSegmentationsDisplayableManager3D(), slicer.vtkMRMLApplicationLogic()
        self._logic.SetMRMLScene(scene)
        manager.SetMRMLApplicationLogic(self._logic)
        self._group.AddDisplayableManager(manager)
        self._node = scene.AddNewNodeByClass("vtkMRMLViewNode", "View")
        self._group.SetMRMLDisplayableNode(self._node)
        self.drawn = 0  # how often it was asked to draw
        self._group.AddObserver(vtk.vtkCommand.UpdateEvent, self._draw)

    def _draw(self, *_):
        self.drawn += 1

    def shown(self):
        """Points of all surfaces that can be seen."""
        actors = self.renderer.GetActors()
        every = [actors.GetItemAsObject(index) for index in range(actors.GetNumberOfItems())]
        return sorted(
            actor.GetMapper().GetInput().GetNumberOfPoints()
            for actor in every
            if actor.GetVisibility() and actor.GetMapper().GetInput() is not None
        )


@pytest.fixture
def view(bench, scene):
    bench.segmentation.CreateDefaultDisplayNodes()
    bench.segmentation.GetDisplayNode().SetPreferredDisplayRepresentationName3D(SURFACE)
    return View(scene)


@pytest.mark.parametrize("position", [0, 1])
def test_a_surface_is_derived_once_at_the_end_of_a_run(bench, session, view, position):
    other_filled(bench, (slice(2, 5), slice(0, 3), slice(0, 3)))
    bench.segmentation.GetSegmentation().SetSegmentIndex("Liver", position)
    show_in_3d(bench)
    before, other = surface(bench), surface(bench, "Other")
    small, stamp = before.GetNumberOfPoints(), other.GetMTime()
    seen = view.shown()
    assert seen == sorted([small, other.GetNumberOfPoints()])
    during = []

    def note():
        during.append((surface(bench), before.GetMTime(), view.shown()))
        view.drawn = 0

    session.start(progress=note).wait()
    assert session.ends == [None]
    assert len(during) > 3
    assert all(shown is before and points == seen for shown, _, points in during)
    assert len({stamp for _, stamp, _ in during}) == 1  # views have nothing new to draw
    assert view.drawn == 1
    assert other.GetMTime() == stamp
    assert surface(bench).GetNumberOfPoints() > small
    assert surface(bench, "Other") is other  # nobody wrote there
    assert view.shown() == sorted([surface(bench).GetNumberOfPoints(), other.GetNumberOfPoints()])
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


def at_slice(session, number, act):
    """A progress of runs that does something once so many slices are written."""

    def progress():
        if len(session.written) == number:
            act()
        return True

    return progress


def rename_other(bench):
    """As the segments table does: the state that it keeps is that of all segments."""
    bench.editor.save_state()
    bench.segmentation.GetSegmentation().GetSegment("Other").SetName("Renamed")


def test_undo_during_a_run_can_be_redone(bench, session, view):
    show_in_3d(bench)
    logic, before, points = bench.editor.logic, bench.array(), view.shown()
    session.start(progress=at_slice(session, 3, bench.undo)).wait()
    assert isinstance(session.ends[0], NoLongerWanted)
    assert view.shown() == points
    assert (logic.CanUndo(), logic.CanRedo()) == (False, True)
    bench.redo()
    assert bench.array().sum() > before.sum()
    assert (logic.CanUndo(), logic.CanRedo()) == (True, False)
    shown = view.shown()
    assert is_right(bench)
    assert shown == view.shown() != points


def test_a_state_that_somebody_else_kept_during_a_run_comes_back_with_its_surface(bench, session, view):
    show_in_3d(bench)
    logic = bench.editor.logic
    session.start(progress=at_slice(session, 3, lambda: rename_other(bench))).wait()
    assert session.ends == [None]
    whole, surface_of_whole = bench.array().sum(), view.shown()
    bench.undo()
    assert 0 < bench.array().sum() < whole
    assert (logic.CanUndo(), logic.CanRedo()) == (True, True)
    shown = view.shown()
    assert shown != surface_of_whole
    bench.redo()
    assert (bench.array().sum(), view.shown()) == (whole, surface_of_whole)
    bench.undo()
    assert view.shown() == shown
    assert is_right(bench)
    assert view.shown() == shown


def test_undo_during_a_run_to_such_a_state_leaves_its_surface_and_can_be_redone(bench, session):
    show_in_3d(bench)
    before, logic = bench.array(), bench.editor.logic

    def rename_then_undo():
        if len(session.written) == 2:
            rename_other(bench)
        elif len(session.written) == 4:
            bench.undo()
        return True

    session.start(progress=rename_then_undo).wait()
    assert isinstance(session.ends[0], NoLongerWanted)
    assert bench.array().sum() > before.sum()
    assert (logic.CanUndo(), logic.CanRedo()) == (True, True)
    assert is_right(bench)


def test_surfaces_of_segments_that_share_voxels_are_smoothed_together_and_the_voxels_stay(bench, session):
    other_filled(bench, (slice(7, 9), slice(0, 12), slice(0, 14)))
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteAllSegments)
    content = bench.segmentation.GetSegmentation()
    content.SetConversionParameter("Joint smoothing", "1")
    show_in_3d(bench)
    assert content.GetNumberOfLayers() == 1
    before = bench.array("Other").sum()
    session.start().wait()
    assert content.GetNumberOfLayers() == 1
    assert np.array_equal(bench.array(), LIVER)
    assert 0 < bench.array("Other").sum() < before
    assert is_right(bench)
    assert is_right(bench, "Other")


def test_a_run_writes_into_no_other_content_and_leaves_its_own_with_the_surface_of_what_is_there(bench, session):
    show_in_3d(bench)
    frame, next_frame = bench.segmentation.GetSegmentation(), slicer.vtkSegmentation()
    next_frame.DeepCopy(frame)
    turn = functools.partial(bench.segmentation.SetAndObserveSegmentation, next_frame)  # as a sequence browser does
    before = bench.array()
    session.start(progress=at_slice(session, 3, turn)).wait()
    assert isinstance(session.ends[0], NoLongerWanted)
    assert "Another segmentation" in str(session.ends[0])
    assert np.array_equal(bench.array(), before)
    bench.segmentation.SetAndObserveSegmentation(frame)
    assert bench.array().sum() > before.sum()
    assert is_right(bench)


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


def test_a_surface_that_is_asked_for_during_a_run_rests_from_the_next_slice_on(bench, session, view):
    shown = []

    def ask():
        shown.append(surface(bench))
        if len(shown) == 2:
            show_in_3d(bench)
            shown[-1] = surface(bench)
        return True

    session.start(progress=ask).wait()
    assert len(shown) > 3
    assert shown[0] is None
    assert all(each is shown[1] for each in shown[2:])
    assert is_right(bench)


def test_a_surface_that_is_no_longer_wanted_stays_away(bench, session, view):
    show_in_3d(bench)

    def hide():
        if len(session.written) == 2:
            bench.segmentation.RemoveClosedSurfaceRepresentation()  # as the button *Show 3D* does
            bench.segmentation.GetDisplayNode().SetPreferredDisplayRepresentationName3D("")
        return True

    session.start(progress=hide).wait()
    assert session.ends == [None]
    assert surface(bench) is None


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
    content, before = bench.segmentation.GetSegmentation(), surface(bench)

    def close():
        scene.Clear(False)
        return True

    session.start(progress=close).wait()
    assert len(session.ends) == 1
    assert content.GetSegment("Liver") is None or content.GetSegment("Liver").GetRepresentation(SURFACE) is before


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


def test_a_write_that_fails_leaves_the_surface_of_what_is_there_and_views_that_see_what_follows(
    bench, session, view, monkeypatch
):
    show_in_3d(bench)
    before, add = surface(bench).GetBounds(), bench.editor.add
    writes = []

    def fail_at_last(*what):
        add(*what)
        writes.append(what)
        if len(writes) == 2:
            raise RuntimeError("no memory")

    monkeypatch.setattr(bench.editor, "add", fail_at_last)
    with pytest.raises(RuntimeError, match="no memory"):
        session.start().wait()
    assert surface(bench).GetBounds() != before
    assert is_right(bench)
    assert not bench.segmentation.GetDisableModifiedEvent()


def test_a_click_that_fails_half_way_leaves_the_surface_of_what_is_there(bench, view, monkeypatch):
    plane = SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(6, 6, 7))
    drawn = np.zeros(bench.array().shape, bool)
    drawn[6], drawn[2] = ~LIVER[6], True
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    show_in_3d(bench)

    def fail(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(bench.editor, "add", fail)
    row, column = np.argwhere(LIVER[6])[0]
    with pytest.raises(RuntimeError, match="no memory"):
        bench.click(plane, bench.ras(6, row, column), anew=True)
    assert not bench.array()[6].any()  # taken away, and nothing put there
    assert is_right(bench)


def test_what_could_not_be_derived_again_stays(bench, session):
    show_in_3d(bench)
    segment = bench.segmentation.GetSegmentation().GetSegment("Liver")
    contour = vtk.vtkPolyData()
    segment.AddRepresentation("Planar contour", contour)
    session.start().wait()
    assert segment.GetRepresentation("Planar contour") is contour
    assert is_right(bench)
