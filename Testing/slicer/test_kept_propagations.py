"""Several segments and planes in turn: each propagation goes on where it was left, only the last holds the model."""

import gc
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from KPrismLogic import readiness, segment_examples
from KPrismLogic.kept_propagations import KeptPropagations
from KPrismLogic.propagation_pieces import PropagationPieces
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.carrying import find_class, propagate
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import (
    LIVER,
    SPLEEN,
    Bench,
    body,
    draw_layers,
    fill,
    geometry,
    rotation,
    segmentation_node,
    view_plane,
    volume_node,
)

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "flipped")


@pytest.fixture
def kept(bench):
    return KeptPropagations(bench.engine.model)


def _go_on(bench, kept, segment_id="Liver", kind="axial", k=6, *, keep_drawn=True):
    """As a press of Propagate, in the slice that passes layer ``k``."""
    plane = SlicePlane.of_volume(bench.volume, kind).moved_to(bench.ras(k, 6, 7))
    target = bench.target(plane, segment_id)
    geometry = bench.editor.geometry()
    run = SegmentPropagation.continued(kept.of(target), target, geometry, keep_drawn=keep_drawn)
    kept.keep(run, geometry=geometry)
    assert propagate(bench, run) is None
    kept.ended(run)
    return run


def _finding(bench, monkeypatch, change):
    """The model finds something else than the structure, as ``change`` makes it of what it finds."""
    segment = bench.predictor.segment

    def changed(image, **guide):
        mask = change(segment(image, **guide).mask)
        return SimpleNamespace(mask=mask, probability=mask * 0.95)

    monkeypatch.setattr(bench.predictor, "segment", changed)


@pytest.mark.parametrize("between", ["segment", "plane"])
def test_what_was_corrected_counts_though_something_else_was_propagated_since(bench, kept, between):
    draw_layers(bench, 6)
    first = _go_on(bench, kept)
    if between == "segment":
        draw_layers(bench, 8, segment_id="Other")
        other = _go_on(bench, kept, "Other", k=8)
    else:
        other = _go_on(bench, kept, kind="sagittal")
    assert other is kept.last
    corrected = bench.array()
    corrected[4, :5] = False
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    assert _go_on(bench, kept) is first is kept.last
    assert first.accepted == (4, 6)
    assert first.confidence.keys() >= {3, 5, 7, 8, 9}


def test_where_the_structure_ends_earlier_by_now_nothing_of_the_first_run_is_left(bench, kept):
    draw_layers(bench, 6)
    _go_on(bench, kept)
    draw_layers(bench, 8, segment_id="Other")
    _go_on(bench, kept, "Other", k=8)
    ended = bench.array()
    assert ended[3].any()
    ended[4] = False
    fill(bench.editor, bench.segmentation, "Liver", ended)
    assert _go_on(bench, kept).accepted == (4, 6)
    assert not bench.array()[:5].any()
    assert np.array_equal(bench.array()[5:], LIVER[5:])


def test_a_run_in_another_plane_corrects_nothing(bench, kept, monkeypatch):
    draw_layers(bench, 6)
    first = _go_on(bench, kept, keep_drawn=False)
    with monkeypatch.context() as worse:
        _finding(bench, worse, lambda mask: mask & np.roll(mask, 1, 1))
        _go_on(bench, kept, kind="sagittal", keep_drawn=False)
    wrong = [k for k in (3, 4, 5, 7, 8, 9) if not np.array_equal(bench.array()[k], LIVER[k])]
    assert wrong
    assert _go_on(bench, kept, keep_drawn=False) is first
    assert first.accepted == (6,)
    assert all(np.array_equal(bench.array()[k], LIVER[k]) for k in wrong)


@pytest.mark.parametrize("corrected", [False, True])
def test_a_run_of_a_segment_that_takes_voxels_corrects_nothing(bench, kept, monkeypatch, corrected):
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteAllSegments)
    draw_layers(bench, 6)
    first = _go_on(bench, kept)
    if corrected:
        smaller = bench.array()
        smaller[4, :5] = False
        fill(bench.editor, bench.segmentation, "Liver", smaller)
    other = np.zeros_like(LIVER)
    other[8] = SPLEEN[8]
    fill(bench.editor, bench.segmentation, "Other", other)
    before = bench.array()
    with monkeypatch.context() as wider:
        _finding(bench, wider, lambda mask: np.logical_or.reduce([np.roll(mask, by, 1) for by in range(-4, 5)]))
        bench.parameters.SetSelectedSegmentID("Other")
        _go_on(bench, kept, "Other", k=8)
    assert (before & ~bench.array()).any()
    bench.parameters.SetSelectedSegmentID("Liver")
    assert _go_on(bench, kept) is first
    assert first.accepted == ((4, 6) if corrected else (6,))


@pytest.mark.parametrize("keep_drawn", [False, True])
def test_what_a_run_in_another_plane_writes_where_a_class_found_nothing_is_no_correction(bench, kept, keep_drawn):
    axial = bench.target(SlicePlane.of_volume(bench.volume, "axial"))
    found = find_class(bench, axial, "liver", kept)
    sagittal = SegmentPropagation(bench.target(view_plane("sagittal", bench.ras(6, 6, 7))))
    kept.keep(sagittal, geometry=bench.editor.geometry())
    longer = bench.array()
    longer[2] = LIVER[3]
    fill(bench.editor, bench.segmentation, "Liver", longer)  # as that run
    kept.ended(sagittal)
    assert _go_on(bench, kept, keep_drawn=keep_drawn) is found
    assert found.accepted == (6,)


def test_a_class_writes_oblique_slices_again(scene):
    volume = volume_node(scene, body(), geometry("identity"))
    grid = rotation(10, -8, 5)
    grid[:3, 3] = (-8, 9, -6)
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, grid=grid, size=(24, 24, 24)))
    kept = KeptPropagations(bench.engine.model)

    def find():
        find_class(bench, bench.target(SlicePlane.of_volume(bench.volume, "axial")), "liver", kept)

    find()
    _go_on(bench, kept, keep_drawn=False)
    find()
    whole = bench.array()
    cut = whole.copy()
    cut[np.flatnonzero(whole.any(axis=(1, 2)))[-3:]] = False
    fill(bench.editor, bench.segmentation, "Liver", cut)
    find()
    assert np.array_equal(bench.array(), whole)


def test_a_class_does_not_write_over_the_slices_that_are_accepted(bench, kept):
    drawn = np.zeros_like(LIVER)
    drawn[6, :4, :4] = True
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    run = _go_on(bench, kept)
    assert find_class(bench, run.target, "liver", kept) is run
    expected = LIVER.copy()
    expected[6] = drawn[6]
    assert np.array_equal(bench.array(), expected)
    assert run.accepted == (6,)
    assert 6 not in run.confidence


def test_only_the_last_holds_what_the_model_encoded(bench, kept):
    draw_layers(bench, 6)
    first = _go_on(bench, kept)
    engine = weakref.ref(first._pieces.engine)
    draw_layers(bench, 8, segment_id="Other")
    last = _go_on(bench, kept, "Other", k=8)
    gc.collect()
    assert engine() is None
    assert last._pieces.engine is not None


def test_as_many_are_kept_as_memory_allows(bench, kept, monkeypatch):
    monkeypatch.setattr("KPrismLogic.kept_propagations._KEPT", 1)
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    targets = [bench.target(view_plane(kind, bench.ras(6, 6, 7))) for kind in ("axial", "coronal", "sagittal")]
    for target in targets:
        kept.keep(SegmentPropagation(target))
    assert [kept.of(target) is not None for target in targets] == [False, True, True]


def test_all_classes_of_the_model_are_kept_at_once(bench, kept):
    add = bench.segmentation.GetSegmentation().AddEmptySegment
    plane = view_plane("axial", bench.ras(6, 6, 7))
    targets = [bench.target(plane, add("", name)) for name in readiness.classes_of("small")]
    assert len(targets) > 15
    kept.keep(*(SegmentPropagation(target, accept=False) for target in targets))
    kept.keep(SegmentPropagation(bench.target(plane), accept=False))
    assert all(kept.of(target) is not None for target in targets)


def test_others_are_looked_through_only_where_something_changed(bench, kept, monkeypatch):
    run = find_class(bench, bench.target(view_plane("axial", bench.ras(6, 6, 7))), "liver", kept)
    looked, look = [], segment_examples.layers_in
    monkeypatch.setattr(segment_examples, "layers_in", lambda *of: looked.append(1) or look(*of))

    def looks(segment_id):
        looked.clear()
        other = SegmentPropagation(bench.target(view_plane("axial", bench.ras(6, 6, 7)), segment_id), accept=False)
        kept.keep(other, geometry=bench.editor.geometry())
        kept.ended(other)
        return len(looked)

    add = bench.segmentation.GetSegmentation().AddEmptySegment
    assert looks(add()) >= len(run.confidence)
    assert looks(add()) == 0
    bench.segmentation.GetSegmentation().GetSegment("Liver").GetRepresentation("Binary labelmap").Modified()
    assert looks(add()) == 0
    corrected = bench.array()
    corrected[5] = False
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    assert looks(add()) >= len(run.confidence)
    assert run.accepted == (5,)


def test_the_thread_of_the_model_holds_no_node_while_it_is_forgotten(bench, kept):
    draw_layers(bench, 6)
    run = SegmentPropagation(bench.target(view_plane("axial", bench.ras(6, 6, 7))))
    kept.keep(run)
    target, held = weakref.ref(run.target), []

    class Encoded:
        """The scene is closed while what is encoded is being destroyed."""

        def __del__(self):
            kept.clear()
            gc.collect()
            held.append(target() is not None)

    run.pieces.engine = Encoded()
    del run
    bench.engine.model.unload()
    assert held == [False]


@pytest.mark.parametrize("gone", ["segment", "segmentation", "volume", "voxels", "nothing"])
def test_what_is_gone_is_forgotten(bench, kept, gone):
    draw_layers(bench, 6)
    run = SegmentPropagation(bench.target(view_plane("axial", bench.ras(6, 6, 7))))
    kept.keep(run)
    if gone == "segment":
        bench.segmentation.GetSegmentation().RemoveSegment("Liver")
    elif gone == "voxels":
        scalars = bench.volume.GetImageData().GetPointData().GetScalars()
        scalars.SetTuple1(0, 1)
        scalars.Modified()
    elif gone != "nothing":
        bench.volume.GetScene().RemoveNode(getattr(bench, gone))
    kept.forget_what_is_gone()
    assert kept.keeps(run) == (gone == "nothing")
    assert kept.last is (run if gone == "nothing" else None)


@pytest.mark.parametrize("how", ["unloaded", "another device"])
def test_nothing_holds_a_model_that_is_not_used_any_more(bench, kept, how):
    draw_layers(bench, 6)
    run, model = _go_on(bench, kept), bench.engine.model
    bench.click(view_plane("axial", bench.ras(8, 6, 14)), bench.ras(8, 6, 14))
    known, accepted = dict(run.confidence), run.accepted
    gone = weakref.ref(bench.predictor)
    bench.predictor = None
    model.unload() if how == "unloaded" else model.choose(model.name, "cuda")
    gc.collect()
    assert gone() is None
    assert bench.engine.kept == 0
    assert (run.confidence, run.accepted) == (known, accepted)
    other = FloodPredictor()
    model.use(other)
    corrected = bench.array()
    corrected[4] = SPLEEN[4] | LIVER[4]
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    assert _go_on(bench, kept) is run
    assert other.predictions > 0


@pytest.mark.parametrize("how", ["gone", "cleared", "too many"])
def test_what_is_dropped_holds_nothing_of_the_model(bench, kept, monkeypatch, how):
    draw_layers(bench, 6)
    run = _go_on(bench, kept)
    if how == "gone":
        bench.segmentation.GetSegmentation().RemoveSegment("Liver")
        kept.forget_what_is_gone()
    elif how == "cleared":
        kept.clear()
    else:
        monkeypatch.setattr("KPrismLogic.kept_propagations._KEPT", 1)
        for kind in ("coronal", "sagittal"):
            kept.keep(SegmentPropagation(bench.target(view_plane(kind, bench.ras(6, 6, 7)))))
    gone = weakref.ref(bench.predictor)
    bench.predictor = None
    bench.engine.model.unload()
    gc.collect()
    assert gone() is None
    assert run not in (kept.last, kept.of(run.target))


def test_the_model_may_be_forgotten_while_somebody_asks_for_it(bench, monkeypatch):
    """As an unload on the model's thread, between two looks of the main thread."""
    draw_layers(bench, 6)

    class Forgetful(PropagationPieces):
        looks = iter((SimpleNamespace(guided=True),))
        engine = property(lambda self: next(self.looks, None), lambda self, engine: None)

    monkeypatch.setattr("KPrismLogic.segment_propagation.PropagationPieces", Forgetful)
    assert SegmentPropagation(bench.target(view_plane("axial", bench.ras(6, 6, 7)))).guided


def test_a_model_knows_nobody_who_is_gone(bench):
    model = bench.engine.model
    before = len(model._followers)
    followers = [KeptPropagations(model) for _ in range(3)]
    del followers
    gc.collect()
    model.unload()
    assert len(model._followers) == before


def test_a_run_goes_on_with_the_model_that_is_chosen_meanwhile(bench, session):
    first, second = weakref.ref(bench.predictor), FloodPredictor()
    threads = set()
    second.before_prediction = lambda: threads.add(threading.current_thread())

    def choose():
        if len(session.written) == 3:
            bench.predictor = None
            bench.engine.model.use(second)

    session.start(progress=choose).wait()
    assert session.ends == [None]
    gc.collect()
    assert first() is None
    assert second.predictions == session.run.done == len(set(session.written))
    assert threading.main_thread() not in threads
    assert np.array_equal(bench.array(), LIVER)
