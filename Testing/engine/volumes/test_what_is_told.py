"""Whoever places every slice that a propagation gives has, after a whole pass, what it knows; whatever came before."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from KPrismLib.errors import InvalidMask
from KPrismLib.volumes import Propagation
from Testing.engine.volumes.arrays import WINDOW
from Testing.engine.volumes.scripted_predictor import ScriptedPredictor, numbered_stack, rows

COUNT = 11


class Shown:
    """A propagation, and the masks that somebody places who accepts, takes back and goes through its results."""

    def __init__(self, predictor: ScriptedPredictor, count: int = COUNT) -> None:
        self.run = Propagation(predictor, numbered_stack(count), window=WINDOW)  # type: ignore[arg-type]
        self.masks = {index: rows(0) for index in range(count)}

    def accept(self, index: int, size: int) -> None:
        self.run.accept(index, rows(size))
        self.masks[index] = rows(size)

    def retract(self, index: int) -> None:
        self.run.retract(index)
        self.masks[index] = rows(0)

    def go(self, first: int = 0, last: int | None = None, *, steps: int | None = None) -> list[int]:
        came = []
        for result in self.run.propagate(first, last):
            self.masks[result.index] = result.mask
            came.append(result.index)
            if steps is not None and len(came) >= steps:
                break
        return came

    @property
    def is_right(self) -> bool:
        found = self.run.results
        return all(
            np.array_equal(mask, found[index].mask if index in found else rows(0)) for index, mask in self.masks.items()
        )


def nearest(index: int, references: list[tuple[int, int]]) -> int:
    """As many rows as the nearest reference shows."""
    return min(references, key=lambda reference: abs(reference[0] - index))[1] // rows(1).shape[1]


def test_what_changed_on_the_way_to_a_range_comes_when_it_is_asked_for() -> None:
    shown = Shown(ScriptedPredictor(script=nearest), 17)
    shown.accept(2, 8)
    shown.accept(14, 8)
    shown.go()
    shown.accept(2, 12)
    assert shown.go(6, 14) == [13, 12, 11, 6, 10, 7, 9, 8]
    assert not shown.is_right  # slices 3 to 5 are not asked for yet
    assert {3, 4, 5} <= set(shown.go())
    assert shown.is_right
    assert shown.go() == []


@pytest.mark.parametrize("empty", [True, False])
def test_what_rested_on_the_only_reference_comes_empty_where_another_one_does_not_reach(empty: bool) -> None:
    predictor = ScriptedPredictor(script=lambda index, _: 0 if index in (6, 7) else 8)
    shown = Shown(predictor, 15)
    shown.accept(12, 8)
    shown.go()
    assert shown.masks[9].any()
    if empty:
        shown.accept(12, 0)
    else:
        shown.retract(12)
    shown.accept(2, 8)
    shown.go()
    assert shown.masks[5].any()
    assert shown.is_right
    assert not any(shown.masks[index].any() for index in range(8, 15))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.integers(0, COUNT - 1), st.sampled_from([0, 3, 8, 13])),
        st.tuples(st.just("retract"), st.integers(0, COUNT - 1)),
        st.tuples(st.just("range"), st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)),
        st.tuples(st.just("stop"), st.integers(1, COUNT)),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1000), steps=STEPS)
def test_after_a_whole_pass_all_is_shown_as_it_is_known(seed: int, steps: list[tuple[str, int, int]]) -> None:
    def script(index: int, references: list[tuple[int, int]]) -> int:
        drawn = zlib.crc32(repr((seed, index, references)).encode())
        return 0 if zlib.crc32(repr((seed, index)).encode()) % 5 == 0 else drawn % 14

    shown = Shown(ScriptedPredictor(script=script))
    for what, *numbers in steps:
        try:
            if what == "accept":
                shown.accept(*numbers)
            elif what == "retract" and numbers[0] in shown.run.accepted:
                shown.retract(*numbers)
            elif what == "range":
                shown.go(*sorted(numbers))
            elif what == "stop":
                shown.go(steps=numbers[0])
        except InvalidMask:
            pass  # nothing to start from
    shown.accept(5, 8)
    shown.go()
    assert shown.is_right
