"""A click lands on the clicked structure and nowhere else, whatever the geometry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.canvas import image_tensor
from KPrismLogic.matrices import world_from_volume
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.scenes import (
    GEOMETRIES,
    SIZE,
    Bench,
    body,
    fill,
    geometry,
    rotation,
    segmentation_node,
    under_transform,
    view_plane,
    volume_node,
)

TRANSFORMS = {
    "no transform": np.eye(4),
    "turned": rotation(-15, 30, 5) @ np.diag([1, 1, 1, 1.0]),
    "mirrored and stretched": np.diag([-1.3, 1, 0.8, 1.0]),
}


def _bench(scene, matrix, colour=False, transform=None, grid=None, size=SIZE):
    volume = volume_node(scene, body(), matrix, colour=colour)
    segmentation = segmentation_node(scene, volume, grid=grid, size=size)
    if transform is not None:
        node = under_transform(scene, volume, transform)
        segmentation.SetAndObserveTransformNodeID(node.GetID())
    bench = Bench.make(scene, volume, segmentation)
    noise = np.random.default_rng(3).random(size[::-1]) < 0.3
    fill(bench.editor, segmentation, "Other", noise)
    return bench, noise


def _membership(bench, points, margin, value=100):
    """1 for points (N, 3) RAS well inside the box, 0 well outside, 2 within ``margin`` voxels of its border."""
    inverse = np.linalg.inv(world_from_volume(bench.volume))
    ijk = points @ inverse[:3, :3].T + inverse[:3, 3]
    result = np.full(len(points), 2)
    near = np.zeros(len(points), bool)
    voxels = body()

    def at(offset):
        i, j, k = np.rint(ijk + offset).astype(int).T
        good = (i >= 0) & (j >= 0) & (k >= 0) & (i < SIZE[0]) & (j < SIZE[1]) & (k < SIZE[2])
        values = np.full(len(ijk), -1)
        values[good] = voxels[k[good], j[good], i[good]]
        return values

    centre = at(0)
    for offset in np.ndindex(3, 3, 3):
        near |= at((np.array(offset) - 1.0) * margin) != centre
    result[~near & (centre == value)] = 1
    result[~near & (centre != value)] = 0
    return result


@pytest.mark.parametrize("colour", [False, True], ids=["scalar", "colour"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_stack_slice_gets_exactly_the_structure(scene, kind, plane, colour):
    bench, noise = _bench(scene, geometry(kind), colour)
    where = SlicePlane.of_volume(bench.volume, plane).moved_to(bench.ras(6, 6, 7))
    bench.click(where, bench.ras(6, 6, 7))
    assert not bench.failures
    across = int(np.argmax(np.abs(where.normal @ world_from_volume(bench.volume)[:3, :3])))
    expected = np.zeros_like(noise)
    index = [slice(None)] * 3
    index[2 - across] = (7, 6, 6)[across]
    expected[tuple(index)] = (body() == 100)[tuple(index)]
    assert np.array_equal(bench.array(), expected)
    assert np.array_equal(bench.array("Other"), noise)


@pytest.mark.parametrize("colour", [False, True], ids=["scalar", "colour"])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal", "oblique"])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_view_shows_the_structure_after_a_click(scene, kind, plane, transform, colour):
    bench, noise = _bench(scene, geometry(kind), colour, transform=TRANSFORMS[transform])
    where = view_plane(plane, bench.ras(6, 7, 7))
    bench.click(where, bench.ras(6, 7, 7))
    _check_view(bench, where, noise)


def test_a_view_that_is_hardly_turned_is_followed_from_one_slice_into_the_next(scene):
    """A third of a voxel over the volume's width, and yet at its right it shows another slice than at its left."""
    bench, noise = _bench(scene, geometry("identity"))
    where = SlicePlane.through(bench.ras(6.45, 7.5, 8.5), (0.3 / SIZE[0], 0, 1))
    bench.click(where, bench.ras(6.45, 6, 7))
    _check_view(bench, where, noise)
    assert np.unique(np.nonzero(bench.array())[0]).tolist() == [6, 7]


def test_a_view_that_is_turned_by_no_more_than_rounding_shows_one_slice(scene):
    bench, _ = _bench(scene, geometry("identity"))
    where = SlicePlane.through(bench.ras(6.3, 7.5, 8.5), (0.01 / SIZE[0], 0, 1))
    image = cut(bench.volume, where)
    assert image.stack_index == 6
    bench.click(where, bench.ras(6.3, 6, 7))
    assert np.unique(np.nonzero(bench.array())[0]).tolist() == [6]


GRIDS = {
    "finer": (np.diag([0.5, 0.5, 0.5, 1.0]), (34, 30, 26)),
    "coarser": (np.diag([1.7, 1.4, 2.2, 1.0]), (11, 12, 7)),
    "turned": (rotation(20, 10, 45), (22, 24, 20)),
    "beside": (np.eye(4), (9, 9, 9)),
}


@pytest.mark.parametrize("colour", [False, True], ids=["scalar", "colour"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal", "oblique"])
def test_segmentation_on_another_grid(scene, plane, grid, colour):
    matrix, size = GRIDS[grid]
    matrix = matrix.copy()
    matrix[:3, 3] = geometry("identity")[:3, 3] + (0.2, 0.1, -0.3)
    bench, noise = _bench(scene, geometry("identity"), colour, grid=matrix, size=size)
    where = view_plane(plane, bench.ras(6, 6, 6))
    bench.click(where, bench.ras(6, 6, 6))
    _check_view(bench, where, noise, least=1, margin=1.6 if grid == "coarser" else 1.0)


def _check_view(bench, where, noise, least=10, margin=1.0):
    """What the view would show is the structure; voxels that its plane does not touch are as before."""
    assert not bench.failures
    written = bench.array()
    assert np.array_equal(bench.array("Other"), noise)
    centres = bench.centres()
    distance = (centres - where.point) @ where.normal
    steps = np.stack([np.diff(centres, axis=axis).reshape(-1, 3)[0] for axis in range(3)])
    half = np.abs(steps @ where.normal).sum() / 2
    assert not written[np.abs(distance) > half + 1e-6].any()
    # Points of the plane, as a view samples it: the nearest voxel of the segmentation, the nearest of the volume.
    spread = np.random.default_rng(0).uniform(-14, 14, (4000, 2))
    points = where.point + spread @ np.stack([where.rightwards, where.downwards])
    flat, grid = centres.reshape(-1, 3), written.ravel()
    inverse = np.linalg.inv(np.column_stack([*steps[::-1]]))
    index = np.rint((points - flat[0]) @ inverse.T).astype(int)
    shape = np.array(written.shape)
    inside = ((index >= 0) & (index < shape[::-1])).all(1)
    i, j, k = index[inside].T
    shown = grid[(k * shape[1] + j) * shape[2] + i]
    member = _membership(bench, points[inside], margin)
    assert (member == 1).sum() >= least
    assert shown[member == 1].all()
    assert not shown[member == 0].any()


angle = st.floats(-80, 80)


@given(turn=st.tuples(angle, angle, angle), seed=st.integers(0, 2**16), mirrored=st.booleans())
def test_pixels_and_ras_are_inverse_in_any_geometry(shared_scene, turn, seed, mirrored):
    scene, _ = shared_scene
    random = np.random.default_rng(seed)
    matrix = rotation(*turn) @ np.diag([*random.uniform(0.3, 4, 3), 1.0])
    matrix[:3, 0] *= -1 if mirrored else 1
    matrix[:3, 3] = random.uniform(-50, 50, 3)
    volume = volume_node(scene, body(), matrix)
    try:
        middle = (matrix @ (8, 7, 6, 1))[:3]
        planes = [SlicePlane.of_volume(volume, name) for name in ("axial", "coronal", "sagittal")]
        planes.append(SlicePlane.through(middle, random.normal(size=3)))
        for plane in planes:
            image = cut(volume, plane)
            rows, columns = image.shape
            for row, column in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)):
                ras = image.ras_at(row, column)
                assert image.pixel_at(ras) == (row, column)
                assert abs((ras - image.plane.point) @ image.plane.normal) < 1e-6
            right, down = image.world_from_pixel[:3, 0], image.world_from_pixel[:3, 1]
            assert right @ image.plane.rightwards > 0
            assert down @ image.plane.downwards > 0
            assert np.allclose(image.spacing, (np.linalg.norm(down), np.linalg.norm(right)))
            if image.stack_index is not None:
                i, j, k = np.rint(np.linalg.inv(matrix) @ (*ras, 1)).astype(int)[:3]
                assert image.pixels[rows // 2, columns // 3] == body()[k, j, i]
    finally:
        scene.RemoveNode(volume)


@pytest.mark.parametrize("name", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_slices_are_those_of_the_engine(scene, kind, name):
    from KPrismLib.imaging import planes
    from KPrismLib.imaging.volume import Volume

    matrix = geometry(kind)
    volume = volume_node(scene, body(), matrix)
    image = cut(volume, SlicePlane.of_volume(volume, name))
    theirs = planes.extract(Volume(body(), matrix), planes.Plane(name), image.stack_index)
    assert np.array_equal(image.pixels, theirs)


@pytest.mark.parametrize("colour", [False, True], ids=["scalar", "colour"])
@pytest.mark.parametrize("kind", ["identity", "flipped"])
def test_slices_of_one_row_run_forwards_in_memory(scene, kind, colour):
    """As of a photograph that is loaded as a volume; numpy calls a row that is read backwards contiguous."""
    volume = volume_node(scene, body()[6:7], geometry(kind), colour=colour)
    for name in ("axial", "coronal", "sagittal"):
        pixels = cut(volume, SlicePlane.of_volume(volume, name)).pixels
        assert min(pixels.strides) > 0
        assert image_tensor(pixels).shape[2:] == pixels.shape[:2]


@pytest.mark.parametrize("kind", GEOMETRIES)
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.uint64, np.float64])
def test_oblique_slices_of_any_type_of_number_are_the_same(scene, dtype, kind):
    """No filter of VTK interpolates 64-bit integers, as NumPy and NIfTI have them."""
    of_bytes, other = (
        cut(volume, view_plane("oblique", (world_from_volume(volume) @ (8, 7, 6, 1))[:3]))
        for volume in (volume_node(scene, (body() // 2).astype(one), geometry(kind)) for one in (np.uint8, dtype))
    )
    assert other.pixels.dtype == dtype
    assert other.pixels.any()
    assert np.array_equal(np.floor(other.pixels + 0.5), of_bytes.pixels)


def test_the_model_hears_of_anisotropic_spacing(scene):
    bench, _ = _bench(scene, geometry("anisotropic"))
    bench.click(SlicePlane.of_volume(bench.volume, "coronal"), bench.ras(6, 8, 7))
    assert bench.predictor.encoded[0].spacing == pytest.approx((3.1, 0.7))
