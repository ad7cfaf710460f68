"""Slices that are taken back or accepted otherwise: what is found goes by the masks of now."""

from __future__ import annotations

from Testing.engine.volumes.runs import start, state
from Testing.engine.volumes.scripted_predictor import ScriptedPredictor, rows
from Testing.engine.volumes.test_what_is_told import nearest


def test_a_slice_that_is_taken_back_and_accepted_otherwise_is_another_reference() -> None:
    run = start(ScriptedPredictor(script=nearest), 5, at=2)
    list(run.propagate())
    run.retract(2)
    run.accept(2, rows(4))
    list(run.propagate())
    assert {int(found.mask.sum()) for found in run.results.values()} == {int(rows(4).sum())}


def test_a_slice_that_is_taken_back_during_a_pass_counts_no_more() -> None:
    run = start(ScriptedPredictor(script=nearest), 9, at=0)
    run.accept(8, rows(4))
    coming = run.propagate()
    next(coming)
    run.retract(8)
    list(coming)
    alone = start(ScriptedPredictor(script=nearest), 9, at=0)
    list(alone.propagate())
    assert state(run) == state(alone)


def test_no_more_slices_are_kept_encoded_than_may_be() -> None:
    run = start(ScriptedPredictor(script=nearest), 9, at=0, memory=2)
    for index in (2, 4, 6, 8):
        run.accept(index, rows(8))
    list(run.propagate())
    assert len(run._encoded._kept) <= 2


def test_a_class_is_judged_by_the_masks_of_now() -> None:
    run = start(ScriptedPredictor(learned=lambda _: 8), 5, at=2, cls="liver")
    list(run.propagate())
    assert run.guided
    run.accept(2, rows(2))
    list(run.propagate())
    assert not run.guided
