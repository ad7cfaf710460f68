"""What the scene says reaches the engine: window, spacing, whether a mask was drawn, and what an editor allows."""

import functools

import numpy as np
import pytest

from KPrismLib import volumes
from KPrismLib.intensity import window_for
from KPrismLib.network import KPrism, named_config
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import Specialist
from KPrismLib.volumes import Propagation
from KPrismLogic.guide import Guide
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.scene_library import known_elsewhere
from KPrismLogic.slice_engine import Question
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_source import SliceSource
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.slice_voxels import segment_in_slice
from Testing.slicer.scenes import LIVER, Bench, body, fill, geometry, segmentation_node, view_plane, volume_node
from Testing.slicer.test_logic import editor_node, logic  # noqa: F401

HOUNSFIELD = body().astype(np.int16) * 8 - 1000


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "anisotropic")


@pytest.fixture
def tomogram(scene):
    volume = volume_node(scene, HOUNSFIELD, geometry("identity"))
    return Bench.make(scene, volume, segmentation_node(scene, volume))


def test_slices_and_references_have_the_window_and_the_spacing_of_their_volume(scene, bench, monkeypatch):
    monkeypatch.setattr("KPrismLogic.slice_source.modality_of", lambda _: "MR")
    volume = volume_node(scene, HOUNSFIELD, geometry("anisotropic"), name="B")
    other = Bench.make(scene, volume, segmentation_node(scene, volume, ["liver"]), "liver")
    fill(other.editor, other.segmentation, "liver", LIVER)
    where = view_plane("coronal", bench.ras(6, 6, 7))
    reference = known_elsewhere(bench.volume, bench.segmentation, "Liver", where)[0][0]
    given = []
    for name in ("reference", "encode"):
        monkeypatch.setattr(type(bench.predictor), name, lambda _, __, **how: given.append(how))
    bench.engine.encode_reference(reference)
    bench.engine.encode(reference.source)
    whole = window_for(HOUNSFIELD, modality="MR")
    assert whole not in (window_for(HOUNSFIELD), window_for(reference.source.pixels, modality="MR"))
    assert len(set(reference.source.spacing)) == 2
    assert given == [{"window": whole, "spacing": reference.source.spacing}] * 2


def test_a_mask_that_was_drawn_is_another_beginning(bench, monkeypatch):
    told, session = [], type(bench.predictor).session

    def spied(predictor, image, **how):
        told.append(how["drawn"])
        return session(predictor, image, **how)

    monkeypatch.setattr(type(bench.predictor), "session", spied)
    shown = cut(bench.volume, view_plane("axial", bench.ras(6, 6, 7)))
    source, start = SliceSource.of(bench.volume, shown), shown.pixels == 100
    for drawn in (False, True, False):
        bench.engine.answer(Question(source, Guide(), start=start, drawn=drawn))
    assert told == [False, True]


def test_only_what_the_mask_of_a_given_editor_allows_is_written(scene, bench, logic):  # noqa: F811
    half = LIVER.copy()
    half[:, :6] = False
    fill(bench.editor, bench.segmentation, "Other", half)
    node = editor_node(scene, bench.volume, bench.segmentation, "Other")
    node.SetMaskMode(bench.segmentation.EditAllowedInsideSingleSegment)
    node.SetMaskSegmentID("Other")
    node.SetOverwriteMode(node.OverwriteNone)
    logic.segmentSlice(bench.volume, bench.segmentation, "Liver", cls="liver", editorNode=node)
    written = bench.array(bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("Liver"))
    assert np.array_equal(written[7], (LIVER & half)[7])


def test_a_class_runs_with_the_window_of_the_volume(tomogram, monkeypatch):
    told, segment_classes = [], volumes.segment_classes

    def spied(*given, **how):
        told.append(how["window"])
        return segment_classes(*given, **how)

    monkeypatch.setattr(volumes, "segment_classes", spied)
    KPrismLogic(tomogram.engine.model).segmentVolume(tomogram.volume, tomogram.segmentation, ["liver"])
    assert told == [window_for(HOUNSFIELD)]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("plane", "learn"), [("axial", False), ("axial", True), ("oblique", False)])
def test_a_propagation_writes_what_the_engine_finds(tomogram, plane, learn, monkeypatch):
    monkeypatch.setattr("KPrismLib.volumes.class_guidance.Specialist", functools.partial(Specialist, steps=4))
    sizes = {"dim": 16, "heads": 2, "encoder_channels": (16, 16, 32), "encoder_blocks": (1, 1, 1, 1)}
    sizes |= {"detail_channels": 8, "prompt_channels": 8, "ffn_dim": 16, "pixel_ffn_dim": 16, "mask_head_dim": 8}
    predictor = Predictor(KPrism(named_config("small", image_size=64, classes=("liver", "spleen"), **sizes)))
    model = Model()
    model.use(predictor)
    logic, volume = KPrismLogic(model), tomogram.volume  # noqa: F811
    fill(tomogram.editor, tomogram.segmentation, "Liver", LIVER)
    place = tomogram.ras(6, 6, 7)
    where = view_plane("oblique", place) if plane == "oblique" else SlicePlane.of_volume(volume, plane).moved_to(place)
    stack = SliceStack.through(volume, where)
    seed = stack.index_of(where)
    engine = Propagation(predictor, stack, window=logic.engine.window_of(stack), cls="liver")
    engine.accept(seed, segment_in_slice(stack.image(seed), tomogram.segmentation, "Liver"))
    if learn:
        list(engine.learn())
    expected = {result.index: result for result in engine.propagate(seed - 1, seed + 1)}
    assert expected
    ends = {"first": stack.offset(seed - 1), "last": stack.offset(seed + 1)}
    given = logic.propagate(volume, tomogram.segmentation, "Liver", plane=where, offsets=[None], learn=learn, **ends)
    assert given.confidence == {stack.offset(index): pytest.approx(one.confidence) for index, one in expected.items()}
    for index, result in expected.items():
        if plane == "axial":
            assert np.array_equal(tomogram.array()[index], _in_voxels(stack, index, result.mask))


def _in_voxels(stack, index, mask):
    """A mask (rows, columns) of an axial slice as (j, i)."""
    image, found = stack.image(index), np.zeros(HOUNSFIELD.shape[1:], bool)
    for row, column in np.ndindex(mask.shape):
        place = np.linalg.inv(stack.grid.world) @ (*image.ras_at(row, column), 1)
        found[round(place[1]), round(place[0])] = mask[row, column]
    return found
