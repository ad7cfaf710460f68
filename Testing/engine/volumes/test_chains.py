"""Chains: every slice from the accepted slice nearest to it, never past an end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.volumes.chains import Chain, chains_between


def members(chain: Chain) -> list[int]:
    return [chain.seed + chain.step * (position + 1) for position in range(chain.length)]


def test_one_accepted_slice_reaches_both_ends_of_the_range() -> None:
    assert chains_between({5: True}, 2, 9) == [Chain(5, -1, 3), Chain(5, 1, 4)]


def test_chains_from_two_slices_meet_halfway_and_the_lower_takes_the_middle() -> None:
    found = chains_between({2: True, 6: True, 9: True}, 2, 9)
    assert [members(chain) for chain in found] == [[3, 4], [5], [7], [8]]
    assert [chain.towards for chain in found] == [6, 2, 9, 6]
    assert not any(chain.open_ended for chain in found)


def test_a_slice_without_the_structure_is_an_end() -> None:
    found = chains_between({1: False, 4: True, 8: False}, 0, 10)
    assert [members(chain) for chain in found] == [[3, 2], [5, 6, 7]]
    assert all(chain.open_ended for chain in found)


def test_slices_outside_the_range_start_no_chain() -> None:
    assert chains_between({0: True, 5: True, 20: True}, 4, 7) == [Chain(5, -1, 1), Chain(5, 1, 2)]
    assert chains_between({0: True}, 0, 0) == []


@given(st.dictionaries(st.integers(0, 30), st.booleans(), max_size=8), st.integers(0, 30), st.integers(0, 30))
def test_each_slice_belongs_to_its_nearest_accepted_slice_or_to_none(
    accepted: dict[int, bool], first: int, last: int
) -> None:
    """Against a slow reference that looks at every slice for itself."""
    owner = {index: chain.seed for chain in chains_between(accepted, first, last) for index in members(chain)}
    inside = {index: shows for index, shows in accepted.items() if first <= index <= last}
    for index in range(first, last + 1):
        below = max((slice_ for slice_ in inside if slice_ < index), default=None)
        above = min((slice_ for slice_ in inside if slice_ > index), default=None)
        sides = [side for side in (below, above) if side is not None and inside[side]]
        if index in inside or not sides:
            assert index not in owner
        else:
            assert owner.pop(index) == min(sides, key=lambda side: (abs(side - index), side))
    assert not owner
