"""A chain on its way: which slice the next one is carried from, and when it stops."""

from __future__ import annotations

import pytest

from KPrismLib.volumes.chains import Chain
from KPrismLib.volumes.slice_result import SliceResult
from KPrismLib.volumes.walk import EndReason, Walk
from Testing.engine.volumes.runs import start
from Testing.engine.volumes.scripted_predictor import ScriptedPredictor, rows


def neighbours(walk: Walk, *slices: tuple[int, float]) -> list[int]:
    """From where each slice was carried, given the rows and the confidence of what was found in it."""
    found = []
    for count, confidence in slices:
        assert walk.index is not None
        found.append(walk.neighbour)
        walk.advance(SliceResult(walk.index, rows(count), confidence))
    return found


@pytest.mark.parametrize("towards", [None, 9])
def test_nothing_is_carried_on_from_a_slice_that_is_empty_or_in_doubt(towards: int | None) -> None:
    walk = Walk(Chain(2, 1, 5, towards), patience=3, doubt=0.5)
    assert neighbours(walk, (8, 0.9), (8, 0.4), (0, 0.9), (8, 0.5), (8, 0.9)) == [2, 3, 3, 3, 6]
    assert (walk.index, walk.end) == (None, None)


def test_what_is_found_again_in_time_begins_a_new_wait() -> None:
    walk = Walk(Chain(9, -1, 8), patience=2, doubt=0.5)
    neighbours(walk, (0, 0.9), (8, 0.9), (8, 0.4), (8, 0.9), (0, 0.9), (8, 0.4))
    assert walk.end is not None
    assert (walk.end.index, walk.end.step, walk.end.reason) == (3, -1, EndReason.CONFIDENCE_COLLAPSED)
    assert walk.index is None


def test_on_the_way_to_an_accepted_slice_a_doubtful_one_is_no_example_for_the_next() -> None:
    run = start(ScriptedPredictor(sure=lambda index: 0.52 if index == 2 else 0.99), at=0, doubt=0.6)
    run.accept(8, rows(8))
    list(run.propagate())
    assert run.results[2].mask.any()
    assert run.results[2].confidence < 0.6
    assert run.results[3].references == (0, 1, 8)
    assert run.results[4].references == (0, 3, 8)
