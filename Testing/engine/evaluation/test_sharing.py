"""Processes share the work of an evaluation evenly, and each piece of it is done once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.evaluation.sharing import share_of

COSTS = st.lists(st.floats(0.5, 100), max_size=40)


@given(COSTS, st.integers(1, 12))
def test_every_piece_belongs_to_one_process(costs: list[float], processes: int) -> None:
    shares = [share_of(costs, rank, processes) for rank in range(processes)]
    assert [piece for share in shares for piece in share] == list(range(len(costs)))


@given(COSTS.filter(bool), st.integers(1, 12))
def test_nobody_has_more_than_an_equal_part_and_one_piece(costs: list[float], processes: int) -> None:
    parts = [sum(costs[piece] for piece in share_of(costs, rank, processes)) for rank in range(processes)]
    assert max(parts) <= sum(costs) / processes + max(costs) + 1e-9


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([1, 1, 1], [[0], [1, 2]]),  # the middle of the second one is the border, and belongs to the upper part
        ([4, 1, 1, 1, 1], [[0], [1, 2, 3, 4]]),
        ([1, 1, 1, 1, 4], [[0, 1, 2, 3], [4]]),
        ([], [[], []]),
    ],
)
def test_costs_decide_where_the_border_lies(costs: list[float], expected: list[list[int]]) -> None:
    assert [list(share_of(costs, rank, 2)) for rank in (0, 1)] == expected
