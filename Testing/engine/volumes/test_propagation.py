"""Propagation: the order of slices, what each is segmented from, what is reused, and when it stops."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest

from KPrismLib.errors import InvalidConfig, InvalidImage, InvalidMask, OutOfMemory, UnknownClass
from KPrismLib.volumes import Propagation
from Testing.engine.volumes.arrays import WINDOW
from Testing.engine.volumes.runs import start, state
from Testing.engine.volumes.scripted_predictor import SIZE, ScriptedPredictor, numbered_stack, rows


def test_it_goes_outward_in_both_directions_nearest_first() -> None:
    predictor = ScriptedPredictor()
    assert [result.index for result in start(predictor).propagate()] == [3, 5, 2, 6, 1, 7, 0, 8]
    assert predictor.slices == [3, 5, 2, 6, 1, 7, 0, 8]


def test_each_slice_is_segmented_from_the_accepted_slice_and_its_neighbour() -> None:
    predictor = ScriptedPredictor(script=lambda index, _: index + 1)
    found = {result.index: result for result in start(predictor).propagate()}
    assert found[3].references == (4,)
    assert found[1].references == (2, 4)
    assert found[7].references == (4, 6)
    asked = {asked.index: dict(asked.references) for asked in predictor.asked}
    assert asked[7] == {4: 8 * SIZE[1], 6: 7 * SIZE[1]}  # each with its own mask
    # The neighbour's mask is what the click refines, in the middle of it.
    assert (7, 7 * SIZE[1], 3, 3) in predictor.clicked


def test_the_range_bounds_what_is_looked_at() -> None:
    predictor = ScriptedPredictor()
    assert [result.index for result in start(predictor).propagate(3, 6)] == [3, 5, 6]
    assert set(predictor.encoded) == {3, 4, 5, 6}


def test_a_range_finds_what_the_whole_stack_finds_there() -> None:
    def begun() -> Propagation:
        predictor = ScriptedPredictor(script=lambda index, references: index % 5 + len(references))
        run = start(predictor, count=13, at=2)
        run.accept(12, rows(3))
        return run

    whole, part = begun(), begun()
    list(whole.propagate())
    expected = state(whole)
    # Slice 8 is reached from slice 12, which is outside, by a way that is nobody's result until it is asked for.
    assert [result.index for result in part.propagate(0, 8)] == [1, 3, 0, 4, 5, 6, 8, 7]
    assert state(part) == {index: known for index, known in expected.items() if index not in (9, 10, 11)}
    assert [result.index for result in part.propagate()] == [11, 10, 9]
    assert state(part) == expected
    assert list(whole.propagate(0, 8)) == []  # nothing is written anew
    assert state(whole) == expected


def test_a_copy_goes_its_own_way() -> None:
    def script(_: int, references: tuple[tuple[int, int], ...]) -> int:
        return max(area for _, area in references) // SIZE[1]

    run = start(ScriptedPredictor(script=script))
    list(run.propagate())
    copied = copy.deepcopy(run)
    copied.accept(4, rows(2))
    list(copied.propagate())
    fresh = start(ScriptedPredictor(script=script))
    fresh.accept(4, rows(2))
    list(fresh.propagate())
    assert state(copied) == state(fresh)
    assert state(copied) != state(run)


def test_every_slice_is_encoded_once_and_becomes_a_reference_once() -> None:
    predictor = ScriptedPredictor()
    run = start(predictor)
    list(run.propagate())
    assert sorted(predictor.encoded) == list(range(9))
    assert sorted(predictor.referred) == list(range(1, 8))  # the outermost serve nobody
    assert run.slices.encoded == 9


@pytest.mark.parametrize("memory", [1, 3])
def test_memory_is_bounded_and_forgetting_changes_nothing_but_work(memory: int) -> None:
    predictor = ScriptedPredictor(script=lambda index, _: index + 1)
    run = start(predictor, memory=memory)
    kept = [run.slices.kept for _ in run.propagate()]
    assert max(kept) == memory
    roomy = start(ScriptedPredictor(script=lambda index, _: index + 1))
    list(roomy.propagate())
    assert state(run) == state(roomy)
    assert len(predictor.encoded) > 9 if memory == 1 else len(predictor.encoded) >= 9


def test_the_number_of_references_is_bounded() -> None:
    predictor = ScriptedPredictor()
    run = Propagation(predictor, numbered_stack(30), window=WINDOW, references=3)  # type: ignore[arg-type]
    for index in (0, 9, 18, 27):
        run.accept(index, rows(8))
    assert max(len(result.references) for result in run.propagate()) == 3


def test_room_in_the_memory_goes_to_the_accepted_slices_that_look_alike() -> None:
    angle = {0: 0.1, 9: 1.5, 18: 0.2, 27: 0.9, 13: 0.0, 28: 1.0}
    looks = lambda index: np.array([np.cos(angle.get(index, 0)), np.sin(angle.get(index, 0))], np.float32)  # noqa: E731
    run = Propagation(  # type: ignore[call-overload]
        ScriptedPredictor(looks=looks), numbered_stack(30), window=WINDOW, references=4
    )
    for index in (0, 9, 18, 27):
        run.accept(index, rows(8))
    found = {result.index: result.references for result in run.propagate()}
    assert found[13] == (0, 9, 12, 18)  # its neighbours, and 0, which looks most like it
    assert found[28] == (9, 18, 27)  # 27 beside it, and the two that look most like it, not 0
    assert found[29] == (0, 18, 27, 28)  # looks like 0, and then like 18


def test_nothing_is_computed_twice() -> None:
    predictor = ScriptedPredictor()
    run = start(predictor)
    list(run.propagate())
    asked = len(predictor.asked)
    assert list(run.propagate()) == []
    assert len(predictor.asked) == asked


def test_a_correction_changes_only_the_slices_that_it_touches() -> None:
    predictor = ScriptedPredictor()
    run = start(predictor, count=13, at=2)
    run.accept(10, rows(8))
    list(run.propagate())
    predictor.asked.clear()
    predictor.encoded.clear()
    run.accept(11, rows(5))
    # 12 lies behind the correction; 10 is accepted; below 10 the nearest slices are the same as before.
    assert [result.index for result in run.propagate()] == [12]
    assert predictor.slices == [12]
    assert predictor.encoded == []


def test_an_accepted_prediction_that_changes_no_mask_spares_its_neighbours_their_dependents() -> None:
    """Slices are computed again until one comes out as before; those behind it stand."""
    predictor = ScriptedPredictor(script=lambda index, _: 8)
    run = start(predictor, count=20, at=2, references=1)
    list(run.propagate())
    predictor.asked.clear()
    run.accept(15, rows(8))
    changed = [result.index for result in run.propagate()]
    # The nearest accepted slice of 9 to 19 is 15 now; what lies nearer to 2 rests on the same reference as before.
    assert sorted(changed) == [9, 10, 11, 12, 13, 14, 16, 17, 18, 19]
    assert sorted(predictor.slices) == sorted(changed)


def test_a_changed_mask_reaches_everything_that_was_carried_from_it() -> None:
    predictor = ScriptedPredictor(script=lambda index, references: min(area for _, area in references) // SIZE[1])
    run = start(predictor, count=8, at=3)
    list(run.propagate())
    run.accept(3, rows(6))
    assert sorted(result.index for result in run.propagate()) == [0, 1, 2, 4, 5, 6, 7]
    assert all(result.mask.sum() == 6 * SIZE[1] for result in run.results.values())


def test_stopping_and_going_on_gives_what_one_go_gives() -> None:
    script = lambda index, references: 4 + index % 3 + len(references)  # noqa: E731
    whole = start(ScriptedPredictor(script=script))
    list(whole.propagate())
    for stop in range(9):
        predictor = ScriptedPredictor(script=script)
        run = start(predictor)
        for count, _ in enumerate(run.propagate(), start=1):
            if count == stop:
                break
        list(run.propagate())
        assert state(run) == state(whole)
        assert len(predictor.asked) == 8


def test_the_way_to_the_accepted_slices_does_not_matter() -> None:
    script = lambda index, references: 3 + (index + sum(slice_ for slice_, _ in references)) % 9  # noqa: E731
    first, second = start(ScriptedPredictor(script=script)), start(ScriptedPredictor(script=script), at=7)
    list(first.propagate())
    first.accept(7, rows(8))
    list(first.propagate())
    list(second.propagate(5, 8))
    second.accept(2, rows(3))
    list(second.propagate())
    second.retract(2)
    second.accept(4, rows(8))
    list(second.propagate())
    assert state(first) == state(second)


def test_a_slice_accepted_on_the_way_counts_from_the_next_slice_on() -> None:
    predictor = ScriptedPredictor()
    run = start(predictor)
    found = run.propagate()
    assert next(found).index == 3
    run.accept(6, rows(4))
    rest = [result.index for result in found]
    assert rest == [3, 5, 7, 2, 8, 1, 0]  # 3 again, for now it sees 6 too
    assert run.results[5].references == (4, 6)
    assert run.accepted == (4, 6)


def test_the_caller_may_change_its_mask_afterwards() -> None:
    run = Propagation(ScriptedPredictor(), numbered_stack(3), window=WINDOW)  # type: ignore[arg-type]
    mask = rows(8)
    run.accept(1, mask)
    mask[:] = False
    assert run.results[1].mask.sum() == 8 * SIZE[1]
    with pytest.raises(ValueError):
        run.results[1].mask[0, 0] = False


def test_it_stops_where_the_structure_ends() -> None:
    predictor = ScriptedPredictor(script=lambda index, _: 8 if 3 <= index <= 5 else 0)
    run = start(predictor, count=20)
    found = [result.index for result in run.propagate()]
    assert found == [3, 5, 2, 6, 1, 7]
    assert [(end.index, end.step, end.reason.value) for end in run.ends] == [
        (1, -1, "structure ended"),
        (7, 1, "structure ended"),
    ]
    assert not run.results[7].mask.any()


def test_one_empty_slice_is_stepped_over_and_the_last_good_one_stays_the_neighbour() -> None:
    predictor = ScriptedPredictor(script=lambda index, _: 0 if index == 6 else 8)
    run = start(predictor)
    list(run.propagate())
    assert run.results[7].references == (4, 5)
    assert run.ends == ()


def test_it_stops_where_confidence_collapses() -> None:
    predictor = ScriptedPredictor(sure=lambda index: 0.52 if index > 5 else 0.99)
    run = start(predictor, count=20, doubt=0.6)
    found = [result.index for result in run.propagate(4, 19)]
    assert found == [5, 6, 7]
    assert [(end.index, end.reason.value) for end in run.ends] == [(7, "confidence collapsed")]
    # What is hardly to be trusted is not given, where the structure may have ended.
    assert [bool(run.results[index].mask.any()) for index in found] == [True, False, False]
    assert 0 < run.results[6].confidence < 0.6


def test_between_two_slices_that_show_it_a_doubtful_mask_is_given_but_not_carried_on() -> None:
    predictor = ScriptedPredictor(sure=lambda index: 0.52 if index == 6 else 0.99)
    run = start(predictor, doubt=0.6)
    run.accept(8, rows(8))
    list(run.propagate())
    assert run.results[6].mask.any()
    run.accept(8, rows(0))  # now the structure may end on the way to 8
    list(run.propagate())
    assert not run.results[6].mask.any()
    assert run.results[7].references == (4, 5)


def test_between_two_slices_that_show_it_the_structure_does_not_end() -> None:
    predictor = ScriptedPredictor(script=lambda index, _: 0)
    run = start(predictor, count=12, at=0)
    run.accept(11, rows(8))
    assert sorted(result.index for result in run.propagate()) == list(range(1, 11))


def test_an_accepted_empty_slice_is_an_end_and_clears_what_was_found_behind_it() -> None:
    run = start(ScriptedPredictor())
    list(run.propagate())
    run.accept(6, rows(0))
    changed = list(run.propagate())
    assert {result.index: bool(result.mask.any()) for result in changed} == {7: False, 8: False}
    assert sorted(run.results) == [0, 1, 2, 3, 4, 5, 6]


def test_confidence_falls_where_it_was_unsure_and_all_the_way_behind() -> None:
    run = start(ScriptedPredictor(sure=lambda index: 0.7 if index == 6 else 0.99), doubt=0.0)
    list(run.propagate())
    confidence = {index: result.confidence for index, result in run.results.items()}
    assert confidence[4] == 1.0
    assert confidence[3] > confidence[7] > confidence[6]
    assert run.least_certain() == 6
    run.accept(6, rows(8))
    list(run.propagate())
    assert run.results[7].confidence > confidence[7]
    assert run.least_certain() != 6


def test_of_equally_doubtful_slices_the_larger_one_is_looked_at_first() -> None:
    sizes = {3: 8, 5: 9, 2: 8, 6: 9, 1: 8, 7: 16}
    run = start(ScriptedPredictor(script=lambda index, _: sizes.get(index, 8)), doubt=0.0)
    list(run.propagate(1, 7))
    doubts = {i: (1 - r.confidence) * (1 + r.mask.sum()) for i, r in run.results.items() if not r.accepted}
    assert run.least_certain() == max(doubts, key=lambda index: doubts[index]) == 7
    empty = start(ScriptedPredictor(script=lambda index, _: 8 if index == 3 else 0))
    list(empty.propagate())
    assert empty.least_certain() == 3  # an empty slice has one pixel's worth of doubt


def test_before_anything_is_propagated_no_slice_is_least_certain() -> None:
    run = start(ScriptedPredictor(), count=1, at=0)
    assert run.least_certain() is None
    assert list(run.propagate()) == []  # a stack of one slice has nowhere to go


def test_padding_is_empty_without_asking_the_model() -> None:
    predictor = ScriptedPredictor()
    stack = numbered_stack(4)
    stack.slices[3] = np.full(SIZE, 7, np.uint8)
    run = Propagation(predictor, stack, window=WINDOW)  # type: ignore[arg-type]
    run.accept(1, rows(8))
    found = {result.index: result for result in run.propagate()}
    assert not found[3].mask.any()
    assert (found[3].confidence, found[3].references) == (1.0, ())
    assert 3 not in predictor.slices


def test_nothing_is_known_once_nothing_is_vouched_for() -> None:
    for take_back in (lambda run: run.retract(4), lambda run: run.accept(4, rows(0))):
        run = start(ScriptedPredictor())
        list(run.propagate())
        assert run.least_certain() is not None
        take_back(run)
        assert run.least_certain() is None
        assert set(run.results) <= {4}


def test_a_pass_that_goes_on_after_another_one_has_nothing_to_take_back() -> None:
    run = start(ScriptedPredictor())
    list(run.propagate())
    run.accept(2, rows(0))
    run.accept(6, rows(0))
    stopped = run.propagate()
    next(stopped)
    list(run.propagate())
    assert list(stopped) == []
    assert sorted(run.results) == [2, 3, 4, 5, 6]


def test_a_propagation_goes_with_its_last_user() -> None:
    run = start(ScriptedPredictor(), cls="liver")
    list(run.propagate())
    slices = weakref.ref(run.slices)
    gc.disable()  # a cycle would wait for the collector, and memory with it
    try:
        del run
        assert slices() is None
    finally:
        gc.enable()


def test_what_is_wrong_is_said_in_one_sentence() -> None:
    predictor = ScriptedPredictor()
    run = start(predictor)
    cases: list[tuple[type[Exception], str, Any]] = [
        (InvalidImage, "There is no slice 9; choose one from 0 to 8", lambda: run.accept(9, rows(8))),
        (InvalidImage, "whole numbers from 0, and 2.0 is none", lambda: run.accept(2.0, rows(8))),  # type: ignore[arg-type]
        (InvalidMask, "NaN", lambda: run.accept(2, np.full(SIZE, np.nan))),
        (InvalidMask, "true and false, or numbers", lambda: run.accept(2, np.full(SIZE, "0"))),
        (InvalidMask, "The mask is 3 x 4 but slice 2 is 16 x 24", lambda: run.accept(2, np.ones((3, 4), bool))),
        (InvalidImage, "There is no slice 40", lambda: run.propagate(0, 40)),
        (InvalidMask, "No accepted slice from 5 to 8 shows the structure", lambda: run.propagate(5, 8)),
        (InvalidImage, "Slice 5 is not accepted", lambda: run.retract(5)),
        (InvalidConfig, "1 to 64 references, not 0", lambda: start(predictor, references=0)),
        (InvalidConfig, "At least 1 encoded slice", lambda: start(predictor, memory=0)),
        (InvalidConfig, "At least 1 slice must be seen", lambda: start(predictor, patience=0)),
        (InvalidConfig, "from 0 to 1, not 1.5", lambda: start(predictor, doubt=1.5)),
        (UnknownClass, "did you mean 'liver'", lambda: start(predictor, cls="livr")),
    ]
    for error, words, act in cases:
        with pytest.raises(error, match=words):
            act()
    assert state(run) == state(start(ScriptedPredictor()))  # nothing is lost
    run.accept(4, rows(0))
    with pytest.raises(InvalidMask, match="No accepted slice from 0 to 8"):
        run.propagate()


def test_a_failure_in_the_middle_loses_nothing() -> None:
    full = True

    def script(index: int, references: object) -> int:
        if index == 2 and full:
            raise OutOfMemory("The device is out of memory.")
        return 8

    run = start(ScriptedPredictor(script=script))
    found = run.propagate()
    assert [next(found).index, next(found).index] == [3, 5]
    with pytest.raises(OutOfMemory):
        next(found)
    assert sorted(run.results) == [3, 4, 5]
    full = False
    list(run.propagate())
    whole = start(ScriptedPredictor())
    list(whole.propagate())
    assert state(run) == state(whole)
