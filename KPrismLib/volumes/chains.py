"""From accepted slices outward: which slice is reached from which, and in what order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Chain:
    """Slices that are reached one after the other from an accepted slice.

    Attributes:
        seed: the accepted slice; it shows the structure.
        step: 1 upwards, -1 downwards.
        length: how many slices the chain has, at least 1.
        towards: the accepted slice that it leads to, which shows the structure too: the chain from there meets it
            halfway. None where there is none.
    """

    seed: int
    step: int
    length: int
    towards: int | None = None

    @property
    def open_ended(self) -> bool:
        """Whether the structure may end within it; what lies between two accepted slices is never taken for its end."""
        return self.towards is None


def chains_between(accepted: Mapping[int, bool], first: int, last: int) -> list[Chain]:
    """All chains to slices from ``first`` to ``last``; every slice is in one chain at most.

    Each slice is reached as it would be in any other range: a chain may come from an accepted slice outside, through
    slices outside, where that one is the nearest.

    Args:
        accepted: index of each accepted slice, and whether it shows the structure. One that does not is an end: the
            chain towards it stops before it, and none starts from it.
        first: first slice to reach.
        last: last slice to reach.

    Returns:
        Chains by seed, downwards before upwards, each no longer than the range needs.
    """
    slices = sorted(accepted)
    found = []
    for position, seed in enumerate(slices):
        if not accepted[seed]:
            continue
        below = slices[position - 1] if position else None
        above = slices[position + 1] if position + 1 < len(slices) else None
        for step, border, other in ((-1, first, below), (1, last, above)):
            # Up to the end of the range; from a seed beyond it there is no way out of the range.
            length, towards = max(0, (border - seed) * step), None
            if other is not None:
                between = abs(other - seed) - 1
                if accepted[other]:
                    # The slice in the middle belongs to the lower of the two.
                    between, towards = (between + 1) // 2 if step > 0 else between // 2, other
                length = min(length, between)
            if length and first <= seed + step * length <= last:
                found.append(Chain(seed, step, length, towards))
    return found
