"""The bounded memory of propagation: which slices a slice is segmented from."""

from __future__ import annotations

from collections.abc import Callable, Collection


def choose_references(
    index: int,
    *,
    accepted: Collection[int],
    neighbour: int,
    similar: Callable[[int], float],
    count: int,
) -> tuple[int, ...]:
    """At most ``count`` slices for slice ``index``, by what each is worth.

    First the nearest accepted slice, then the neighbour that was just predicted, then the nearest accepted slice on
    the other side, then the accepted slices that look most like this one.

    Args:
        index: the slice to segment.
        accepted: accepted slices that show the structure.
        neighbour: the slice before this one in its chain; at the beginning of the chain, the accepted slice itself.
        similar: how much an accepted slice looks like this one; larger is more.
        count: how many references the memory holds.

    Returns:
        Indices, ascending: the same references are always read out in the same order.
    """
    below = max((slice_ for slice_ in accepted if slice_ < index), default=None)
    above = min((slice_ for slice_ in accepted if slice_ > index), default=None)
    sides = sorted((abs(side - index), side) for side in (below, above) if side is not None)
    wanted = [side for _, side in sides]
    if neighbour in wanted:
        # Its place stays free: whether a slice far away is accepted must not change what lies beside an accepted one.
        count = max(1, count - 1)
    else:
        wanted.insert(1, neighbour)
    if len(wanted) < count:
        others = [slice_ for slice_ in accepted if slice_ not in wanted]
        wanted.extend(sorted(others, key=lambda slice_: (-similar(slice_), abs(slice_ - index), slice_)))
    return tuple(sorted(wanted[:count]))
