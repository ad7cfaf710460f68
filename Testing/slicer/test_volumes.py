"""Through whole volumes in one call: one undo state, and nothing beyond what was asked for."""

import functools
import types

import numpy as np
import pytest
import slicer

from KPrismLib.errors import InvalidImage, InvalidMask, InvalidPrompt, InvalidReference, UnknownClass
from KPrismLogic.classes_through_volume import ClassesThroughVolume
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.segment_editing import LogicEditor
from KPrismLogic.slice_image import cut, cut_grid
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.target import NoLongerWanted
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import (
    GEOMETRIES,
    LIVER,
    SPLEEN,
    Bench,
    body,
    draw_layers,
    editor_node,
    fill,
    geometry,
    rotation,
    segment_array,
    segmentation_node,
    view_plane,
    volume_node,
)

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "flipped")


@pytest.fixture
def logic(bench):
    model = Model()
    model.use(FloodPredictor())
    return KPrismLogic(model, saveState=lambda _: bench.editor.save_state())


def _offset(bench, k):
    return float(bench.ras(k, 0, 0)[2])


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_stack_is_the_slices_that_clicks_see(scene, kind, plane):
    volume = volume_node(scene, body(), geometry(kind))
    middle = SlicePlane.of_volume(volume, plane)
    stack = SliceStack.through(volume, middle)
    heights = [one.normal @ one.point for one in stack.planes]
    assert (np.diff(heights) > 0).all()
    for index, one in enumerate(stack.planes):
        assert np.array_equal(stack.pixels(index), cut(volume, one).pixels)
        assert stack.index_of(one) == index
        assert stack.index_of(SlicePlane.of_volume(volume, plane, stack.offset(index))) == index
    assert stack.fits(volume, middle)
    assert stack.spacing == cut(volume, middle).spacing


def test_offsets_of_an_oblique_volume_are_those_of_the_plane_that_was_asked_for(scene):
    """Of a short-axis volume the "axial" slices may lie nearer to another plane, and yet S tells their place."""
    turned = rotation(35, -40, 20) @ np.diag([1.4, 1.3, 6.0, 1.0])
    volume = volume_node(scene, body(), turned)
    axial = SlicePlane.of_volume(volume, "axial")
    assert int(np.argmax(np.abs(axial.normal))) != 2
    stack = SliceStack.through(volume, axial)
    for index in range(len(stack)):
        again = SlicePlane.of_volume(volume, "axial", stack.offset(index))
        assert stack.index_of(again) == index
        assert stack.within(stack.offset(index), stack.offset(index)) == (index, index)


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_every_slice_of_an_oblique_stack_shows_something_and_none_is_missing(scene, kind):
    """Planes that pass the volume's box by a corner hold no pixel of it, and propagation must not end at one."""
    volume = volume_node(scene, body(), geometry(kind))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    plane = view_plane("oblique", bench.ras(6, 6, 7))
    stack = SliceStack.through(volume, plane)
    assert all(stack.image(index).inside.any() for index in range(len(stack)))
    step = stack.planes[1].point - stack.planes[0].point
    for outside in (stack.planes[0].point - step, stack.planes[-1].point + step):
        with pytest.raises(InvalidImage, match="lies outside"):
            cut_grid(stack.grid, plane.moved_to(outside), stack.frame)
        with pytest.raises(InvalidImage, match="lies outside"):
            SliceStack.through(volume, plane.moved_to(outside))


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_oblique_stack_has_one_size_and_shows_where_things_are(scene, kind):
    volume = volume_node(scene, body(), geometry(kind))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    plane = view_plane("oblique", bench.ras(6, 6, 7))
    stack = SliceStack.through(volume, plane)
    here = stack.index_of(plane)
    assert np.allclose(stack.planes[here].point, plane.point)
    shapes = set()
    for index in range(here - 2, here + 3):
        image = stack.image(index)
        shapes.add(image.shape)
        row, column = image.pixel_at(stack.planes[index].point)
        assert image.contains(row, column)
    assert len(shapes) == 1
    alone, ours = cut(volume, plane), stack.image(here)
    assert ours.pixels[ours.pixel_at(plane.point)] == pytest.approx(alone.pixels[alone.pixel_at(plane.point)], abs=25)
    assert ours.inside.sum() == pytest.approx(alone.inside.sum(), rel=0.05)


@pytest.mark.parametrize("spacing", [4e-6, 1e-3, 1e3])
def test_neighbouring_slices_are_told_apart_in_any_unit(scene, logic, spacing):
    """An electron microscope's voxels are millionths of a millimetre."""
    volume = volume_node(scene, body(), np.diag([spacing, spacing, spacing, 1.0]))
    segmentation = segmentation_node(scene, volume)
    for k in (2, 3):
        logic.segmentSlice(volume, segmentation, "Liver", offset=k * spacing, cls="liver")
    found = segment_array(LogicEditor(editor_node(scene, volume, segmentation, "Liver")), segmentation, "Liver")
    assert np.array_equal(found[3], LIVER[3])
    stack = SliceStack.through(volume, SlicePlane.of_volume(volume, "axial"))
    assert [stack.index_of(plane) for plane in stack.planes] == list(range(len(stack)))


def test_undo_while_stray_pieces_are_taken_away_ends_the_class_run(scene):
    voxels = body()
    for k in (4, 6, 8):
        voxels[k, 13:15, 2:5] = 100
    volume = volume_node(scene, voxels, geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, names=()), segment_id="")
    model = Model()
    model.use(FloodPredictor())
    calls = []

    def undo_at_the_first_that_comes_again(done, count):
        calls.append(done)
        if len(calls) == len(voxels) + 1:
            bench.undo()

    logic = KPrismLogic(model, saveState=lambda _: bench.editor.save_state())
    with pytest.raises(NoLongerWanted, match="undone"):
        logic.segmentVolume(volume, bench.segmentation, ["liver"], progress=undo_at_the_first_that_comes_again)
    content = bench.segmentation.GetSegmentation()
    found = content.GetSegmentIdBySegmentName("liver")
    assert not found or not bench.array(found).any()


def test_range_between_two_offsets(bench):
    stack = SliceStack.through(bench.volume, SlicePlane.of_volume(bench.volume, "axial"))
    assert stack.within(None, None) == (0, len(stack) - 1)
    assert stack.within(stack.offset(9), stack.offset(4)) == (4, 9)
    assert stack.within(stack.offset(4) + 0.4, None) == (5, len(stack) - 1)
    assert stack.within(None, stack.offset(4)) == (0, 4)
    with pytest.raises(InvalidImage, match="no slice from"):
        stack.within(900, 1000)


def test_propagate_fills_the_structure_in_one_undo_state(bench, logic):
    draw_layers(bench, 6)
    before, seen = bench.array(), []
    result = logic.propagate(
        bench.volume, bench.segmentation, "Liver", offsets=[_offset(bench, 6)], progress=lambda *now: seen.append(now)
    )
    assert np.array_equal(bench.array(), LIVER)
    assert seen == [(number, body().shape[0]) for number in range(1, len(seen) + 1)]
    assert {round(offset, 6) for offset in result.confidence} <= {round(_offset(bench, k), 6) for k in range(14)}
    assert len(result.confidence) == len(seen)
    bench.undo()
    assert np.array_equal(bench.array(), before)
    assert not bench.editor.logic.CanUndo()


def test_propagate_keeps_to_its_range_and_to_other_segments(bench, logic):
    draw_layers(bench, 6)
    fill(bench.editor, bench.segmentation, "Other", SPLEEN)
    logic.propagate(
        bench.volume,
        bench.segmentation,
        "Liver",
        offsets=[_offset(bench, 6)],
        first=_offset(bench, 5),
        last=_offset(bench, 8),
    )
    expected = np.zeros(body().shape, bool)
    expected[5:9] = LIVER[5:9]
    assert np.array_equal(bench.array(), expected)
    assert np.array_equal(bench.array("Other"), SPLEEN)


def test_drawn_slices_stay_on_request(bench, logic):
    draw_layers(bench, 6)
    drawn = bench.array()
    drawn[8] = SPLEEN[8]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    call = functools.partial(
        logic.propagate, bench.volume, bench.segmentation, "Liver", offsets=[_offset(bench, 6)], keepDrawn=True
    )
    result = call()
    found = bench.array()
    assert np.array_equal(found[[6, 8]], drawn[[6, 8]])
    assert np.array_equal(found[5], LIVER[5])
    assert found[10][SPLEEN[10]].all()
    assert _offset(bench, 8) not in {round(offset, 6) for offset in result.confidence}
    with pytest.raises(InvalidReference, match="Every slice of the range is kept"):
        call(first=_offset(bench, 8), last=_offset(bench, 8))
    # What a run found was not drawn.
    again = call(first=_offset(bench, 4), last=_offset(bench, 8))
    assert set(again.confidence) == {_offset(bench, k) for k in (4, 5, 7)}
    assert np.array_equal(bench.array(), found)


def test_a_range_without_an_example_is_said_at_once_in_words_of_the_user(bench, logic):
    draw_layers(bench, 6)
    with pytest.raises(InvalidReference, match="The range holds no slice in which the segment is drawn; widen"):
        logic.propagate(
            bench.volume,
            bench.segmentation,
            "Liver",
            offsets=[_offset(bench, 6)],
            first=_offset(bench, 7),
            last=_offset(bench, 9),
        )
    assert bench.predictor.encoded == []


def test_progress_stops_the_run_and_what_is_written_stays(bench, logic):
    draw_layers(bench, 6)
    result = logic.propagate(
        bench.volume, bench.segmentation, "Liver", offsets=[_offset(bench, 6)], progress=lambda done, _: done < 2
    )
    assert len(result.confidence) == 2
    assert bench.array().any(axis=(1, 2)).sum() == 3


def test_least_certain_slice_is_told(bench, logic):
    draw_layers(bench, 6)
    logic.model.predictor().doubtful = lambda image: (image.pixels == 200).sum() == 0
    result = logic.propagate(bench.volume, bench.segmentation, "Liver", offsets=[_offset(bench, 6)])
    doubtful = min(result.confidence.values())
    assert result.confidence[result.leastCertain] == doubtful


def test_oblique_view_propagates_too(scene, bench, logic):
    plane = view_plane("oblique", bench.ras(6, 7, 7))
    logic.segmentSlice(bench.volume, bench.segmentation, "Liver", plane=plane, clicks=[bench.ras(6, 7, 7)])
    one = bench.array()
    logic.propagate(bench.volume, bench.segmentation, "Liver", plane=plane)
    found = bench.array()
    assert (found & ~one).any()
    # Neighbouring oblique slices share voxels at the border, and the last of them decides.
    assert (found & LIVER).sum() > 0.8 * LIVER.sum()
    assert (found & ~LIVER).sum() < 0.2 * LIVER.sum()
    bench.undo()
    logic.propagate(bench.volume, bench.segmentation, "Liver", plane=plane)
    assert np.array_equal(bench.array(), found)


@pytest.mark.parametrize("names", [["liver", "spleen"], ["LIVER", "Spleen (whole)", "liver"]])
def test_classes_through_the_volume(bench, logic, names):
    logic.segmentVolume(bench.volume, bench.segmentation, names)
    content = bench.segmentation.GetSegmentation()
    for name, expected in (("liver", LIVER), ("spleen", SPLEEN)):
        segment_id = content.GetSegmentIdBySegmentName(name)
        assert content.GetSegment(segment_id).GetTerminology()
        assert np.array_equal(bench.array(segment_id), expected)
    bench.undo()
    assert not bench.editor.logic.CanUndo()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda ours, b: ours.propagate(b.volume, b.segmentation, "Nothing"), InvalidMask),
        (lambda ours, b: ours.propagate(b.volume, b.segmentation, "Other"), InvalidReference),
        (lambda ours, b: ours.propagate(b.volume, b.segmentation, "Other", offsets=[]), InvalidReference),
        (lambda ours, b: ours.propagate(b.volume, b.segmentation, "Other", plane="diagonal"), InvalidImage),
        (lambda ours, b: ours.segmentVolume(b.volume, b.segmentation, []), InvalidPrompt),
        (lambda ours, b: ours.segmentVolume(b.volume, b.segmentation, "liver"), InvalidPrompt),
        (lambda ours, b: ours.segmentVolume(b.volume, b.segmentation, ["heart"]), UnknownClass),
        (lambda ours, b: ours.segmentVolume(b.volume, b.segmentation, ["liver"], first=1e5), InvalidImage),
    ],
)
def test_mistakes_are_sentences_and_write_nothing(bench, logic, call, error):
    with pytest.raises(error) as raised:
        call(logic, bench)
    assert str(raised.value)[-1] in ".?"
    assert not bench.array("Other").any()
    assert bench.segmentation.GetSegmentation().GetNumberOfSegments() == 2


def test_long_volumes_do_not_run_into_pythons_limits(scene):
    voxels = np.zeros((420, 5, 6), np.uint8)
    voxels[:, 1:3, 1:4], voxels[:, 4, 5] = 100, 255
    volume = volume_node(scene, voxels, np.eye(4))
    segmentation = segmentation_node(scene, volume, ("Liver",))
    bench = Bench.make(scene, volume, segmentation)
    known = np.zeros(voxels.shape, bool)
    known[0] = voxels[0] == 100
    fill(bench.editor, segmentation, "Liver", known)
    model = Model()
    model.use(FloodPredictor())
    KPrismLogic(model).propagate(volume, segmentation, "Liver", offsets=[0.0])
    assert np.array_equal(bench.array(), voxels == 100)


@pytest.mark.parametrize("every_piece", [False, True])
def test_stray_pieces_of_a_class_go_at_the_end_unless_everything_is_to_stay(scene, every_piece):
    voxels = np.zeros((9, 20, 24), np.int16)
    voxels[1:5, 4:10, 4:12] = 100
    voxels[7, 16, 20] = 100
    volume = volume_node(scene, voxels, np.eye(4))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, ("Other",)))
    model = Model()
    model.use(FloodPredictor())
    seen = []
    done = KPrismLogic(model).segmentVolume(
        volume,
        bench.segmentation,
        ["liver"],
        everyPiece=every_piece,
        progress=lambda reached, count: seen.append((reached, count)),
    )
    segment_id = bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("liver")
    expected = voxels == 100
    expected[7] &= every_piece
    assert np.array_equal(bench.array(segment_id), expected)
    assert all(reached <= count for reached, count in seen)
    assert seen[-1] == (9, 9)
    assert sum(done.area.values()) == expected.sum()


def test_a_class_run_says_how_sure_the_model_is_where_it_found_something(scene):
    bench = Bench.of_body(scene, "anisotropic")
    model = Model()
    model.use(FloodPredictor())
    model.predictor().doubtful = lambda image: 100 in image.pixels and 200 not in image.pixels
    result = KPrismLogic(model).segmentVolume(bench.volume, bench.segmentation, ["liver", "spleen"])
    sure = {k: found for k, (_, found) in enumerate(sorted(result.confidence.items()))}
    # Alone, the liver's slices 3 and 4 promise 2 x 0.6 / (1 + 0.6), and are kept beside slice 5.
    assert {k: value and round(value, 3) for k, value in sure.items()} == {
        **dict.fromkeys((0, 1, 2, 12, 13)),
        **dict.fromkeys((3, 4), 0.75),
        **dict.fromkeys(range(5, 12), round(2 * 0.95 / 1.95, 3)),
    }
    assert result.leastCertain == pytest.approx(_offset(bench, 3))
    assert np.array_equal(bench.array(), LIVER)


def test_classes_may_go_to_segments_of_other_names(bench):
    stack = SliceStack.through(bench.volume, SlicePlane.of_volume(bench.volume, "axial"))
    run = ClassesThroughVolume(stack, bench.segmentation, ["spleen"], ["Other"])
    assert run.segment_ids == ("Other",)
    pieces = list(run.pieces(bench.predictor, bench.engine.window_of(stack), 5, 7))
    assert [piece.index for piece in pieces] == [5, 6, 7]
    assert all(piece.masks["Other"].sum() == SPLEEN[piece.index].sum() for piece in pieces)


def test_the_segment_editors_undo_takes_the_run_back(bench, monkeypatch):
    model = Model()
    model.use(FloodPredictor())
    editor = types.SimpleNamespace(
        segmentationNode=lambda: bench.segmentation, saveStateForUndo=bench.editor.logic.SaveStateForUndo
    )
    opened = types.SimpleNamespace(SegmentEditorWidget=types.SimpleNamespace(editor=editor))
    monkeypatch.setattr(slicer, "modules", opened, raising=False)
    draw_layers(bench, 6)
    before = bench.array()
    KPrismLogic(model).propagate(bench.volume, bench.segmentation, "Liver", offsets=[_offset(bench, 6)])
    bench.undo()
    assert np.array_equal(bench.array(), before)
