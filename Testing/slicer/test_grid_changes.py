"""Between two runs the grid of a segmentation may become another one; what the user corrected stays all the same."""

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from KPrismLogic.matrices import matrix_from_array
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.slice_voxels import layers_in, voxels_in
from KPrismLogic.target import NoLongerWanted
from Testing.slicer.carrying import find_class, propagate
from Testing.slicer.scenes import GEOMETRIES, LIVER, SIZE, Bench, draw_layers, fill, geometry, view_plane

pytestmark = pytest.mark.usefixtures("flood_propagation")

IMPORTED = "Imported"


def continued(bench, earlier=None, keep_drawn=True):
    plane = SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(6, 6, 7))
    return SegmentPropagation.continued(earlier, bench.target(plane), bench.editor.geometry(), keep_drawn=keep_drawn)


def import_beyond_the_grid(bench, kind):
    """A segment that sticks out of the reference geometry, as from a larger scan."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent(-3, 2, -2, 3, -1, 3)
    image.SetImageToWorldMatrix(matrix_from_array(geometry(kind)))
    image.AllocateScalars(3, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = 1
    bench.segmentation.AddSegmentFromBinaryLabelmapRepresentation(image, IMPORTED)
    assert bench.editor.geometry().GetExtent()[0] == -3


def remove_import(bench):
    content = bench.segmentation.GetSegmentation()
    content.RemoveSegment(content.GetSegmentIdBySegmentName(IMPORTED))
    assert bench.editor.geometry().GetExtent()[0] == 0


def specify_geometry(bench, kind, factor):
    """Voxels ``factor`` times as small in the slices, segments resampled to them, as *Specify geometry* does."""
    grid = geometry(kind) @ np.diag([1 / factor, 1 / factor, 1, 1])
    grid[:3, 3] = (geometry(kind) @ ((1 / factor - 1) / 2, (1 / factor - 1) / 2, 0, 1))[:3]
    image = slicer.vtkOrientedImageData()
    image.SetImageToWorldMatrix(matrix_from_array(grid))
    image.SetExtent(0, SIZE[0] * factor - 1, 0, SIZE[1] * factor - 1, 0, SIZE[2] - 1)
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
    bench.segmentation.GetSegmentation().SetConversionParameter("Reference image geometry", text)
    old = bench.segmentation.GetSegmentation().GetSegment("Liver").GetRepresentation("Binary labelmap")
    new = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(old, image, new, False)
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(new, bench.segmentation, "Liver", 0)
    assert bench.editor.geometry().GetDimensions()[0] == SIZE[0] * factor


def layers(bench):
    """The layers of the volume out of the segment, however large the editor's grid is: (k, j, i) bool."""
    return bench.array()[-bench.editor.geometry().GetExtent()[4] :]


def correct(bench, layer, rows, columns):
    """A layer that holds nothing but a box; -> all layers."""
    voxels = bench.array()
    left, front, below = (-bench.editor.geometry().GetExtent()[axis] for axis in (0, 2, 4))
    voxels[layer + below] = False
    voxels[layer + below, front : front + rows, left : left + columns] = True
    fill(bench.editor, bench.segmentation, "Liver", voxels)
    return layers(bench)


@pytest.mark.parametrize("keep_drawn", [False, True])
@pytest.mark.parametrize("kind", ["identity", "flipped", "tilted"])
def test_corrections_stay_when_other_segments_stretch_the_grid_and_when_they_go(scene, kind, keep_drawn):
    bench = Bench.of_body(scene, kind)
    draw_layers(bench, 6)
    run = continued(bench, keep_drawn=keep_drawn)
    assert propagate(bench, run) is None
    written = set(run.confidence)
    correct(bench, 4, 3, 3)
    import_beyond_the_grid(bench, kind)
    corrected = correct(bench, 8, 2, 2)
    assert continued(bench, run, keep_drawn).accepted == (4, 6, 8)
    assert set(run.confidence) == written - {4, 8}  # what nobody changed is still the run's own
    assert propagate(bench, run) is None
    assert np.array_equal(layers(bench)[[4, 6, 8]], corrected[[4, 6, 8]])

    remove_import(bench)
    corrected = correct(bench, 5, 0, 0)
    assert continued(bench, run, keep_drawn).accepted == (4, 5, 6, 8)
    assert propagate(bench, run) is None
    assert np.array_equal(layers(bench)[[4, 5, 6, 8]], corrected[[4, 5, 6, 8]])


@pytest.mark.parametrize("keep_drawn", [False, True])
@pytest.mark.parametrize("kind", ["identity", "flipped", "anisotropic"])
def test_corrections_before_and_after_another_geometry_was_chosen_stay(scene, kind, keep_drawn):
    bench = Bench.of_body(scene, kind)
    draw_layers(bench, 6)
    run = continued(bench, keep_drawn=keep_drawn)
    assert propagate(bench, run) is None
    correct(bench, 4, 3, 3)
    specify_geometry(bench, kind, 2)
    corrected = correct(bench, 8, 6, 6)
    again = continued(bench, run, keep_drawn)
    assert again is run
    assert run.accepted == (4, 6, 8)
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array()[[4, 6, 8]], corrected[[4, 6, 8]])
    later = correct(bench, 7, 2, 2)
    assert continued(bench, run, keep_drawn).accepted == (4, 6, 7, 8)
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array()[[4, 6, 7, 8]], later[[4, 6, 7, 8]])


@pytest.mark.parametrize("keep_drawn", [False, True])
@pytest.mark.parametrize("row", [6, 7])
def test_a_correction_that_is_too_fine_for_the_earlier_grid_stays(scene, row, keep_drawn):
    bench = Bench.of_body(scene, "identity")
    draw_layers(bench, 6)
    run = continued(bench, keep_drawn=keep_drawn)
    assert propagate(bench, run) is None
    specify_geometry(bench, "identity", 2)
    fine = bench.array()
    assert fine[8, row].any()
    fine[8, row] = False
    fill(bench.editor, bench.segmentation, "Liver", fine)
    assert continued(bench, run, keep_drawn).accepted == (6, 8)
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array(), fine)


def test_nothing_is_an_example_only_because_the_geometry_changed(scene):
    bench = Bench.of_body(scene, "anisotropic")
    draw_layers(bench, 6)
    run = continued(bench)
    assert propagate(bench, run) is None
    specify_geometry(bench, "anisotropic", 2)
    assert continued(bench, run).accepted == (6,)
    before = bench.array()
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array(), before)
    assert np.array_equal(before, LIVER.repeat(2, axis=1).repeat(2, axis=2))


def test_what_a_class_found_is_no_example_because_the_geometry_changed(scene):
    bench = Bench.of_body(scene, "anisotropic")
    target = bench.target(SlicePlane.of_volume(bench.volume, "axial"))
    run = find_class(bench, target, "liver")
    specify_geometry(bench, "anisotropic", 2)
    assert continued(bench, run).accepted == (6,)


def test_another_geometry_during_a_run_ends_it(scene):
    bench = Bench.of_body(scene, "identity")
    draw_layers(bench, 6)
    run = continued(bench)
    held = []

    def change_it():
        if len(run.confidence) == 3 and not held:
            specify_geometry(bench, "identity", 2)
            held.append(bench.array())

    end = propagate(bench, run, change_it)
    assert isinstance(end, NoLongerWanted)
    assert "geometry was changed" in str(end)
    assert np.array_equal(bench.array(), held[0])


def test_clicks_go_on_from_earlier_ones_when_another_segment_stretches_the_grid(scene):
    bench = Bench.of_body(scene, "identity")
    plane = SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(6, 6, 7))
    bench.click(plane, bench.ras(6, 6, 7))
    import_beyond_the_grid(bench, "identity")
    assert len(bench.controller.prompts(bench.target(plane))) == 1
    assert bench.controller.answered(bench.target(plane)) == [plane]


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_voxels_beyond_an_oblique_slice_are_told_on_a_grid_that_begins_below_zero(scene, kind):
    bench = Bench.of_body(scene, kind)
    plane = view_plane("oblique", bench.ras(3, 3, 3))
    for stretch in (lambda: None, lambda: import_beyond_the_grid(bench, kind)):
        stretch()
        grid, stack = bench.editor.geometry(), SliceStack.through(bench.volume, plane)
        image = stack.image_in(plane)
        (thick,) = layers_in(image, bench.segmentation, grid, 3 * stack.step)
        thin = voxels_in(image, bench.segmentation, grid)
        beyond = thick.ijk[:, thick.beyond(thin)]
        assert {*map(tuple, beyond.T)} == {*map(tuple, thick.ijk.T)} - {*map(tuple, thin.ijk.T)}
