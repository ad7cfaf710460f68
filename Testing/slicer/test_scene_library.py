"""References from other volumes of the scene: what is there to choose from, and that the engine chooses."""

import numpy as np
import pytest
import vtk

from KPrismLib.errors import InvalidConfig, InvalidMask, InvalidReference
from KPrismLib.network import KPrism, named_config
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import LibrarySlice, ReferenceLibrary
from KPrismLogic.guide import ReferenceSlice
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.scene_library import MOST_SLICES, known_elsewhere
from KPrismLogic.slice_engine import SliceEngine
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_source import SliceSource
from Testing.slicer.scenes import LIVER, Bench, body, fill, geometry, segmentation_node, view_plane, volume_node

#: Layers that hold the liver.
LAYERS = range(3, 10)


@pytest.fixture
def bench(scene):
    """A volume without anything segmented in it."""
    return Bench.of_body(scene, "flipped")


def _case(scene, name, *, kind="identity", segment="liver", drawn=LIVER, voxels=None):
    """Another volume, with a segment."""
    volume = volume_node(scene, body() if voxels is None else voxels, geometry(kind), name=name)
    other = Bench.make(scene, volume, segmentation_node(scene, volume, [segment]), segment)
    fill(other.editor, other.segmentation, segment, drawn)
    return other


def _known(bench, plane="axial"):
    where = view_plane(plane, bench.ras(6, 6, 7))
    return known_elsewhere(bench.volume, bench.segmentation, "Liver", where)


def test_slices_of_other_volumes_with_a_segment_of_that_name_are_known(scene, bench):
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    _case(scene, "B", kind="flipped")
    _case(scene, "C", segment="spleen")
    other = _case(scene, "D", kind="anisotropic", segment="LIVER")
    known = _known(bench)
    assert [reference.title for reference, _ in known] == ["liver in B"] * 7 + ["LIVER in D"] * 7
    for (reference, origin), k in zip(known[7:], LAYERS, strict=True):
        assert reference.mask.sum() == LIVER[k].sum()
        assert reference.mask.sum() == (reference.source.pixels == 100).sum()
        assert origin.nodes_in(scene) == (other.volume, other.segmentation)
        assert origin.point[2] == pytest.approx(other.ras(k, 0, 0)[2])
        assert origin.normal == (0, 0, 1)


@pytest.mark.parametrize(
    ("plane", "axis", "normal"),
    [("axial", 0, 2), ("coronal", 1, 1), ("sagittal", 2, 0), ("oblique", 0, 2)],
)
def test_they_are_parallel_to_the_anatomical_plane_that_is_nearest(scene, bench, plane, axis, normal):
    _case(scene, "B")
    known = _known(bench, plane)
    assert len(known) == LIVER.any(axis=tuple({0, 1, 2} - {axis})).sum()
    for reference, origin in known:
        assert reference.mask.sum() == LIVER.sum() / len(known)
        assert np.argmax(origin.normal) == normal


def test_of_many_slices_some_are_known_evenly_spread_over_volumes(scene, bench):
    tall = np.zeros((60, 8, 8), np.uint8)
    tall[10:, 2:6, 2:6] = 100
    for name in "BC":
        _case(scene, name, voxels=tall, drawn=tall == 100)
    known = _known(bench)
    heights = np.array([origin.point[2] for _, origin in known]).reshape(2, MOST_SLICES // 2)
    assert np.array_equal(*heights)
    assert list(heights[0] - geometry("identity")[2, 3]) == [*range(12, 60, 5)]  # the middle ones of 10-14, 15-19, ...


@pytest.mark.parametrize("plane", ["axial", "sagittal"])
@pytest.mark.parametrize(("count", "shares"), [(3, {7, 6}), (12, {1, 2}), (MOST_SLICES, {1})])
def test_all_volumes_have_about_the_same_share_of_as_many_slices_as_are_compared(scene, bench, plane, count, shares):
    for number in range(count):
        _case(scene, str(number), kind="flipped")
    titles = [reference.title for reference, _ in _known(bench, plane)]
    assert len(titles) == MOST_SLICES
    assert len(set(titles)) == count
    assert {titles.count(title) for title in titles} == shares


def test_of_more_volumes_than_slices_are_compared_some_show_their_middle_slice(scene, bench):
    for number in range(MOST_SLICES + 9):
        _case(scene, str(number), kind="flipped", drawn=LIVER * (number > 0))
    known = _known(bench)
    assert len(known) == len({reference.title for reference, _ in known}) == MOST_SLICES
    assert {origin.point[2] for _, origin in known} == {bench.ras(6, 0, 0)[2]}
    # The first shows nothing, and another one is there in its place.
    assert "liver in 28" in [reference.title for reference, _ in known]


@pytest.mark.parametrize("warped", ["volume", "segmentation"])
def test_what_a_transform_warps_is_left_out(scene, bench, warped):
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Warp")
    transform.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    bent = _case(scene, "B")
    getattr(bent, warped).SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InvalidReference, match="under the non-linear transform Warp; harden"):
        _known(bench)
    empty = _case(scene, "C")
    empty.volume.SetAndObserveImageData(None)
    _case(scene, "D")
    assert {reference.title for reference, _ in _known(bench)} == {"liver in D"}


def test_of_a_segmentation_with_a_tilted_grid_only_slices_that_show_the_segment_are_known(scene, bench):
    volume = volume_node(scene, body(), geometry("identity"), name="B")
    tilted = segmentation_node(scene, volume, ["liver"], grid=geometry("tilted"))
    tilted.SetNodeReferenceID(tilted.GetReferenceImageGeometryReferenceRole(), volume.GetID())
    other = Bench.make(scene, volume, tilted, "liver")
    fill(other.editor, tilted, "liver", LIVER)
    known = _known(bench)
    assert len(known) > 5
    assert all(reference.mask.any() for reference, _ in known)


def test_where_there_are_none_a_sentence_says_what_is_missing(scene, bench):
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    _case(scene, "B", segment="spleen")
    _case(scene, "C", drawn=np.zeros_like(LIVER))
    with pytest.raises(InvalidReference, match=r"No other volume of the scene has a segment Liver .*; load"):
        _known(bench)


def test_a_segmentation_without_its_volume_is_named_where_there_is_nothing_else(scene, bench):
    detached = _case(scene, "B")
    scene.RemoveNode(detached.volume)
    detached.segmentation.SetName("Old")
    with pytest.raises(InvalidReference, match=r"^Old has the segment liver, but no volume of .*; load"):
        _known(bench)
    _case(scene, "C", kind="anisotropic")
    assert {reference.title for reference, _ in _known(bench)} == {"liver in C"}


def test_a_segmentation_that_is_stored_as_surfaces_is_named_where_there_is_nothing_else(scene, bench):
    surfaces = segmentation_node(scene, volume_node(scene, body(), geometry("identity"), name="B"), ())
    surfaces.SetName("Old")
    surfaces.AddSegmentFromClosedSurfaceRepresentation(vtk.vtkPolyData(), "Liver")
    surfaces.SetSourceRepresentationToClosedSurface()
    with pytest.raises(InvalidReference, match=r"^Old is stored as Closed surface; make binary labelmap"):
        _known(bench)
    surfaces.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
    with pytest.raises(InvalidReference, match=r"^No other volume"):
        _known(bench)


def test_the_edited_segmentation_is_that_of_the_shown_volume_whatever_its_grid_is(scene, bench):
    own = segmentation_node(scene, bench.volume, grid=geometry("tilted"))
    _case(scene, "B")
    known = known_elsewhere(bench.volume, own, "Liver", view_plane("axial", bench.ras(6, 6, 7)))
    assert {reference.title for reference, _ in known} == {"liver in B"}


def _networked():
    sizes = {"dim": 16, "heads": 2, "encoder_channels": (16, 16, 32), "encoder_blocks": (1, 1, 1, 1)}
    sizes |= {"detail_channels": 8, "prompt_channels": 8, "ffn_dim": 16, "pixel_ffn_dim": 16, "mask_head_dim": 8}
    model = Model()
    model.use(Predictor(KPrism(named_config("small", image_size=64, classes=("liver", "spleen"), **sizes))))
    return model


@pytest.mark.usefixtures("one_thread")
def test_the_engine_takes_those_that_its_library_suggests(scene, bench, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 40, body().shape)
    _case(scene, "B", voxels=(body() + noise).astype(np.uint8))
    _case(scene, "C", kind="anisotropic", voxels=(body() // 2 + noise).astype(np.uint8))
    model = _networked()
    engine, predictor = SliceEngine(model), model.predictor()
    known = [reference for reference, _ in _known(bench)]
    source = SliceSource.of(bench.volume, cut(bench.volume, view_plane("axial", bench.ras(6, 6, 7))))

    def encoded(one):
        return predictor.encode(one.pixels, window=one.window.by(engine.window), spacing=one.spacing)

    library = ReferenceLibrary(predictor)
    for number, one in enumerate(known):
        part = predictor.encode_reference(encoded(one.source), one.source.pixels, one.mask)
        library.add(LibrarySlice("case", number, "liver"), part)
    expected = [known[best.slice.index] for best in library.suggest(encoded(source), "liver", count=3)]
    assert engine.best_references(source, known, 3) == expected
    assert expected != known[:3]
    again = [reference for reference, _ in _known(bench)]  # cut anew
    monkeypatch.setattr(predictor, "reference", None)
    assert engine.best_references(source, again, 3) == [again[known.index(one)] for one in expected]
    told = library.suggest(encoded(source), "liver", cls="liver", count=3)
    expected = [known[best.slice.index] for best in told]
    assert engine.best_references(source, again, 3, "Liver (whole)") == [again[known.index(one)] for one in expected]
    monkeypatch.undo()

    logic = KPrismLogic(model)
    where = SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(6, 6, 7))
    found = logic.findReferences(bench.volume, bench.segmentation, "Liver", plane=where, count=3)
    assert [one.source.key for one in found] == [one.source.key for one in expected]
    assert len(logic.findReferences(bench.volume, bench.segmentation, "Liver", plane=where)) == 5
    assert logic.segmentSlice(bench.volume, bench.segmentation, "Liver", plane=where, reference=found).mask.shape
    with pytest.raises(InvalidConfig, match="At least 1"):
        logic.findReferences(bench.volume, bench.segmentation, "Liver", count=0)
    with pytest.raises(InvalidMask, match="no segment 'Cyst'"):
        logic.findReferences(bench.volume, bench.segmentation, "Cyst")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("modality", "titles"),
    [("CT", {"liver in C"}), (None, {"liver in B", "liver in C"}), ("US", {"liver in B", "liver in C"})],
)
def test_those_of_the_same_modality_come_first(scene, bench, monkeypatch, modality, titles):
    modalities = {"B": "MR", "C": "CT", "CT": modality}
    monkeypatch.setattr("KPrismLogic.slice_source.modality_of", lambda volume: modalities[volume.GetName()])
    for name in "BC":
        _case(scene, name)
    known = [reference for reference, _ in _known(bench)]
    source = SliceSource.of(bench.volume, cut(bench.volume, view_plane("axial", bench.ras(6, 6, 7))))
    found = SliceEngine(_networked()).best_references(source, known, len(known))
    assert {one.title for one in found} == titles
    assert all(isinstance(one, ReferenceSlice) for one in found)
