"""Which class a structure belongs to, decided for all classes together.

The surest pair of class and structure is settled first; what has an owner is closed to the others, so that an organ
which one class marks by mistake goes to the class that has nothing better. How sure classes are does not compare, and
neither do their sizes. What does is ``t[s, c] / sum(t[:, c]) * t[s, c] / max(t[s, :])`` of structure s and class c,
t being the trust in c's claims to s: how much of all that the class claims, and of what its rivals are sure of here.
Trust is less far from where the other classes are: they are asked for together since they lie together, mostly.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from KPrismLib.volumes.claims import Claim
from KPrismLib.volumes.structures import Structure, by_slice, structures_of, touching

#: A class has a further structure, a second lung, if it trusts that one at least so much, beside its first one.
FURTHER = 0.5

#: What is far from all other classes is trusted so much of what it would be among them; not less, as some do lie apart.
APART = 0.25

#: A claim continues a neighbour of its class when so much of the smaller of both lies on the other.
CONTINUED = 0.5

#: A claim of which others have been awarded more than this share is void.
_TAKEN = 0.4

_TINY = float(np.finfo(float).tiny)

Trust = NDArray[np.float64]


def award(claims: Sequence[Claim], classes: int, least: float) -> list[Claim]:
    """The claims that hold.

    Args:
        claims: all claims in a volume.
        classes: how many classes there are.
        least: structures are made of claims that promise at least so much; those that promise less only continue one.

    Returns:
        Some of ``claims``.
    """
    structures = structures_of([claim for claim in claims if claim.promise >= least])
    held = [
        claim
        for structure, owner in zip(structures, _owners(structures, classes), strict=True)
        for claim in structure
        if claim.cls == owner
    ]
    return _continued(held, claims)


def paint(claims: Sequence[Claim], first: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Label map of a slice, uint8 (rows, columns): class ``n`` as label ``n + 1``.

    Args:
        claims: those of the slice that hold.
        first: the label map before; a pixel stays what it was if that class still has a claim to it. Of the others
            the most probable claim wins.
    """
    labels, best = np.zeros_like(first), np.zeros_like(first)
    for claim in sorted(claims, key=lambda claim: claim.cls):
        was_ours = (first[claim.box] == claim.cls + 1) & (claim.probability > 0)
        probability = np.where(was_ours, np.uint8(255), np.minimum(claim.probability, 254))
        wins = probability > best[claim.box]
        labels[claim.box][wins] = claim.cls + 1
        best[claim.box][wins] = probability[wins]
    return labels


def _owners(structures: Sequence[Structure], classes: int) -> list[int]:
    """The class of each structure, -1 for none."""
    trust = np.zeros((len(structures), classes))
    for row, structure in zip(trust, structures, strict=True):
        for claim in structure:
            row[claim.cls] += claim.trust
    if structures and classes > 1:
        trust *= APART + (1 - APART) * _company(structures, _share(trust, axis=0))
    score = _share(trust, axis=0) * trust / np.maximum(trust.max(axis=1, initial=0, keepdims=True), _TINY)
    owners, first = [-1] * len(structures), {}
    for flat in np.argsort(-score, axis=None, kind="stable"):
        number, cls = divmod(int(flat), classes)
        if score[number, cls] and owners[number] < 0 and cls not in first:
            owners[number], first[cls] = cls, number
    for number, favourite in enumerate(score.argmax(axis=1)):
        least = FURTHER * trust[first[favourite], favourite] if favourite in first else np.inf
        if owners[number] < 0 and trust[number, favourite] >= least:
            owners[number] = int(favourite)
    return owners


def _company(structures: Sequence[Structure], share: Trust) -> Trust:
    """How near the other classes are to each structure along the slices, in [0, 1], float64 (structures, classes).

    Where structures share slices they are near. A gap counts by their half extents, so that thickness does not matter.

    Args:
        structures: at least one.
        share: of each class, how much of its trust each structure has; for two classes or more.
    """
    slices = [[claim.index for claim in structure] for structure in structures]
    first, last = (np.array([end(indices) for indices in slices], dtype=float) for end in (min, max))
    half = (last - first + 1) / 2
    company = np.empty_like(share)
    for number in range(len(structures)):  # Row by row: there may be many structures.
        gap = np.maximum(np.maximum(first, first[number]) - np.minimum(last, last[number]) - 1, 0)
        near = np.exp(-2 * gap / (half + half[number]))
        near[number] = 0
        company[number] = near @ share
    return (company.sum(axis=1, keepdims=True) - company) / (share.shape[1] - 1)


def _share(trust: Trust, axis: int) -> Trust:
    return trust / np.maximum(trust.sum(axis=axis, keepdims=True), _TINY)


def _continued(held: list[Claim], claims: Sequence[Claim]) -> list[Claim]:
    """Those that are held, and claims of the same class that continue them from slice to slice; the surest first."""
    slices = by_slice(claims)
    kept: dict[int, list[Claim]] = {}
    done = {id(claim) for claim in held}
    order = count()
    waiting: list[tuple[float, int, Claim]] = []

    def hold(claim: Claim) -> None:
        kept.setdefault(claim.index, []).append(claim)
        for index in (claim.index - 1, claim.index + 1):
            for other in slices.get(index, ()):
                if other.cls == claim.cls and id(other) not in done and _continues(other, claim):
                    heapq.heappush(waiting, (-other.trust, next(order), other))

    for claim in held:
        hold(claim)
    while waiting:
        claim = heapq.heappop(waiting)[2]
        if id(claim) in done:
            continue
        done.add(id(claim))
        rivals = [other for other in kept.get(claim.index, ()) if other.cls != claim.cls]
        taken = sum(claim.shared(rivals[number]) for _, number in touching([claim], rivals))
        if taken <= _TAKEN * claim.area:
            hold(claim)
    return [claim for index in sorted(kept) for claim in kept[index]]


def _continues(claim: Claim, other: Claim) -> bool:
    return claim.shared(other) >= CONTINUED * min(claim.area, other.area)
