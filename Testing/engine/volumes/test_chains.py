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


def test_a_range_takes_what_it_needs_of_the_chains_there_are() -> None:
    # 0 and 5 meet at 2, 5 and 20 at 12.
    assert chains_between({0: True, 5: True, 20: True}, 4, 7) == [Chain(5, -1, 1, 0), Chain(5, 1, 2, 20)]
    assert chains_between({0: True, 5: True, 20: True}, 2, 15) == [
        Chain(0, 1, 2, 5),
        Chain(5, -1, 2, 0),
        Chain(5, 1, 7, 20),
        Chain(20, -1, 7, 5),
    ]
    assert chains_between({5: True, 8: False}, 4, 6) == [Chain(5, -1, 1), Chain(5, 1, 1)]
    assert chains_between({0: True}, 0, 0) == []


@given(st.dictionaries(st.integers(0, 30), st.booleans(), max_size=8), st.integers(0, 30), st.integers(0, 30))
def test_each_slice_belongs_to_its_nearest_accepted_slice_or_to_none(
    accepted: dict[int, bool], first: int, last: int
) -> None:
    """Against a slow reference that looks at every slice for itself."""
    chains = chains_between(accepted, first, last)
    owner = {index: chain.seed for chain in chains for index in members(chain)}
    assert len(owner) == sum(chain.length for chain in chains)
    for index in range(31):
        below = max((slice_ for slice_ in accepted if slice_ < index), default=None)
        above = min((slice_ for slice_ in accepted if slice_ > index), default=None)
        sides = [side for side in (below, above) if side is not None and accepted[side]]
        nearest = min(sides, key=lambda side: (abs(side - index), side), default=None)
        if index in accepted or nearest is None:
            assert index not in owner
        elif first <= index <= last and first <= nearest <= last:
            assert owner[index] == nearest
        else:  # from a seed outside, or on the way from there
            assert owner.get(index, nearest) == nearest
            if first <= index <= last and len(sides) == 2:
                assert index in owner


@given(st.dictionaries(st.integers(0, 30), st.booleans(), max_size=8), st.integers(0, 30), st.integers(0, 30))
def test_a_range_changes_no_chain_but_its_length(accepted: dict[int, bool], first: int, last: int) -> None:
    whole = {(chain.seed, chain.step): chain for chain in chains_between(accepted, 0, 30)}
    for chain in chains_between(accepted, first, last):
        assert chain.length <= whole[chain.seed, chain.step].length
        assert chain.towards == whole[chain.seed, chain.step].towards
        assert first <= members(chain)[-1] <= last
