"""Structures of a volume: claims, of one class or of several, that mean the same thing.

A network that is asked for a class in a slice that does not show it marks something else, and as surely as what it
knows. Slice by slice there is no telling. Through the volume there is: what a spleen is stays in place from slice to
slice, whichever classes claim it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from KPrismLib.volumes.claims import Claim

#: Claims of neighbouring slices, or of two classes in one slice, mean the same above this Dice.
SAME = 0.6

#: In favour of links between neighbours: over a slice that misses the structure, claims of a class must agree more.
_OVER_A_GAP = 0.8

#: Claims of different classes for one structure agree at least so much in each slice.
_AGREED = 0.4

#: In favour of links within a class.
_ANOTHER_CLASS = 0.9

Structure = list[Claim]


def structures_of(claims: Sequence[Claim]) -> list[Structure]:
    """Gather claims into structures; every claim is in one of them.

    The most similar claims are linked first. A structure has at most one piece of each class in a slice, and in each
    slice its classes agree: two organs that touch somewhere stay two.

    Args:
        claims: of a volume, in any order.
    """
    structures = {number: [number] for number in range(len(claims))}
    home = list(range(len(claims)))
    for first, second, _ in sorted(_links(claims), key=lambda link: -link[2]):
        kept, added = home[first], home[second]
        if kept != added and _one_thing(claims, structures[kept], structures[added]):
            for number in structures[added]:
                home[number] = kept
            structures[kept] += structures.pop(added)
    return [[claims[number] for number in numbers] for numbers in structures.values()]


def touching(claims: Sequence[Claim], others: Sequence[Claim]) -> list[tuple[int, int]]:
    """Places (in ``claims``, in ``others``) of those whose boxes overlap in the plane."""
    if not claims or not others:
        return []
    one, two = (
        np.array([[side for span in claim.box for side in (span.start, span.stop)] for claim in side_by_side])
        for side_by_side in (claims, others)
    )
    one, two = one[:, None], two[None]
    apart = (one[..., 0] >= two[..., 1]) | (two[..., 0] >= one[..., 1])
    apart |= (one[..., 2] >= two[..., 3]) | (two[..., 2] >= one[..., 3])
    return [(int(here), int(there)) for here, there in np.argwhere(~apart)]


def by_slice(claims: Iterable[Claim]) -> dict[int, list[Claim]]:
    """The claims of each slice."""
    slices: dict[int, list[Claim]] = {}
    for claim in claims:
        slices.setdefault(claim.index, []).append(claim)
    return slices


def _links(claims: Sequence[Claim]) -> list[tuple[int, int, float]]:
    """Places of two claims that may mean the same, with their similarity."""
    place = {id(claim): number for number, claim in enumerate(claims)}
    slices = by_slice(claims)
    links = []
    for index, here in slices.items():
        for distance, favour in enumerate((1, 1, _OVER_A_GAP)):
            others = slices.get(index + distance, [])
            for one, two in touching(here, others):
                first, second = here[one], others[two]
                alike = first.cls == second.cls
                if (one >= two or alike) if distance == 0 else (distance == 2 and not alike):
                    continue
                similarity = favour * first.overlap(second)
                if distance and not alike:
                    similarity *= _ANOTHER_CLASS
                if similarity > SAME:
                    links.append((place[id(first)], place[id(second)], similarity))
    return links


def _one_thing(claims: Sequence[Claim], one: Sequence[int], two: Sequence[int]) -> bool:
    there = by_slice(claims[number] for number in two)
    return all(
        claim.cls != other.cls and claim.overlap(other) >= _AGREED
        for claim in (claims[number] for number in one)
        for other in there.get(claim.index, ())
    )
