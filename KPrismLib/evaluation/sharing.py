"""Which of the work of an evaluation is whose, when several processes share it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


def share_of(costs: Sequence[float], rank: int, processes: int) -> range:
    """The pieces of work of one of several processes: neighbours, so that few of them read the same volume.

    A piece belongs to the process in whose equal part of the whole cost its middle lies; every piece belongs to one.

    Args:
        costs: of each piece, in order, above 0.
        rank: the process, from 0.
        processes: how many there are.
    """
    total = sum(costs)
    owners = [
        min(processes - 1, int((end - cost / 2) * processes / total))
        for cost, end in zip(costs, accumulate(costs), strict=True)
    ]
    ours = [number for number, owner in enumerate(owners) if owner == rank]
    return range(ours[0], ours[-1] + 1) if ours else range(0)
