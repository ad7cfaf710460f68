"""Propagation with a class that the model knows: asked where it helps, and only there."""

from __future__ import annotations

import pytest

from KPrismLib.volumes import Propagation
from Testing.engine.volumes.arrays import WINDOW
from Testing.engine.volumes.runs import start, state
from Testing.engine.volumes.scripted_predictor import ScriptedPredictor, numbered_stack, rows


def test_a_class_that_finds_the_accepted_slice_has_a_say_in_every_other() -> None:
    predictor = ScriptedPredictor()
    list(start(predictor, cls=" Liver").propagate())
    # In the accepted slice it is asked once, whether it is of help.
    assert sorted(predictor.by_class) == [(index, "liver") for index in range(9)]


@pytest.mark.parametrize(("learned", "helps"), [(16, True), (2, False), (0, False)])
def test_a_class_that_means_something_else_here_is_not_asked(learned: int, helps: bool) -> None:
    """Dice with the eight rows that are accepted: 2/3, 2/5, 0."""
    predictor = ScriptedPredictor(learned=lambda index: learned)
    run = start(predictor, cls="liver")
    list(run.propagate())
    assert run.guided == helps
    assert predictor.by_class[0] == (4, "liver")
    assert len(predictor.by_class) == (9 if helps else 1)
    if not helps:
        without = start(ScriptedPredictor())
        list(without.propagate())
        assert state(run) == state(without)


def test_accepted_slices_decide_together_whether_a_class_helps_and_then_all_is_computed_again() -> None:
    predictor = ScriptedPredictor(learned=lambda index: 8 if index == 4 else 0)
    run = start(predictor, cls="liver")
    list(run.propagate())
    assert len(predictor.by_class) == 9
    for index in (0, 8):
        run.accept(index, rows(8))
    again = [result.index for result in run.propagate()]
    assert sorted(again) == [1, 2, 3, 5, 6, 7]
    assert predictor.by_class[9:] == [(0, "liver"), (8, "liver")]  # a mean of 1/3 is no help any more
    run.retract(0)
    run.retract(8)
    list(run.propagate())
    fresh = start(ScriptedPredictor(learned=predictor.learned), cls="liver")
    list(fresh.propagate())
    assert state(run) == state(fresh)


def test_of_many_accepted_slices_only_some_are_asked_whether_a_class_helps() -> None:
    predictor = ScriptedPredictor()
    run = Propagation(predictor, numbered_stack(60), window=WINDOW, cls="liver")  # type: ignore[arg-type]
    for index in range(45):
        run.accept(index, rows(8))
    next(run.propagate())
    asked = [index for index, _ in predictor.by_class[:-1]]
    assert asked == [0, 6, 13, 19, 25, 31, 38, 44]
    assert predictor.by_class[-1] == (45, "liver")
