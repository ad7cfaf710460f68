"""The memory of propagation: bounded, nearest first, then most similar."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.volumes.reference_choice import choose_references

ALIKE = {0: 0.2, 3: 0.1, 10: 0.5, 20: 0.9, 30: 0.8}


def choose(index: int, count: int, neighbour: int) -> tuple[int, ...]:
    return choose_references(index, accepted=list(ALIKE), neighbour=neighbour, similar=ALIKE.__getitem__, count=count)


def test_the_order_of_worth_is_nearest_neighbour_other_side_most_similar() -> None:
    assert choose(6, 1, neighbour=5) == (3,)
    assert choose(6, 2, neighbour=5) == (3, 5)
    assert choose(6, 3, neighbour=5) == (3, 5, 10)
    assert choose(6, 4, neighbour=5) == (3, 5, 10, 20)
    assert choose(6, 5, neighbour=5) == (3, 5, 10, 20, 30)


def test_beside_an_accepted_slice_the_place_of_the_neighbour_stays_free() -> None:
    assert choose(4, 1, neighbour=3) == (3,)
    assert choose(4, 3, neighbour=3) == (3, 10)
    assert choose(4, 4, neighbour=3) == (3, 10, 20)
    assert choose(31, 3, neighbour=30) == (20, 30)


def test_similarity_is_asked_only_when_there_is_room() -> None:
    def never(_: int) -> float:
        raise AssertionError

    assert choose_references(6, accepted=[3, 10], neighbour=5, similar=never, count=3) == (3, 5, 10)


@given(st.sets(st.integers(0, 20), min_size=1), st.integers(0, 20), st.integers(1, 6), st.booleans())
def test_it_is_bounded_sorted_without_repetition_and_holds_the_nearest(
    accepted: set[int], index: int, count: int, has_neighbour: bool
) -> None:
    accepted = accepted - {index} or {index + 1}
    neighbour = 100 if has_neighbour else min(accepted, key=lambda slice_: abs(slice_ - index))
    chosen = choose_references(index, accepted=accepted, neighbour=neighbour, similar=float, count=count)
    room = count if has_neighbour else max(1, count - 1)
    assert len(chosen) == min(room, len(accepted) + has_neighbour)
    assert list(chosen) == sorted(set(chosen))
    assert min(abs(slice_ - index) for slice_ in accepted) in {abs(slice_ - index) for slice_ in chosen}
