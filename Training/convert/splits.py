"""Seeded splits in which no patient is on both sides, and the one that the paper's authors dealt."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping


def split_patients(patients: Iterable[str], shares: Mapping[str, float], *, seed: int = 0) -> dict[str, str]:
    """Deal patients out to splits.

    The order is that of a digest of seed and patient, not of a random generator: one patient more or less in a
    download moves at most the few patients at the borders of the splits, and no library version changes it.

    Args:
        patients: One entry per item, so that a patient with many items weighs as much as they do.
        shares: Split to share of all items for every split but "train", which gets what is left.
        seed: Another seed gives another split.

    Returns:
        Patient to split.
    """
    weights = Counter(iter(patients))  # of a mapping, the keys
    order = sorted(weights, key=lambda patient: hashlib.sha256(f"{seed}:{patient}".encode()).digest())
    room = {split: round(share * weights.total()) for split, share in shares.items()}
    dealt = {}
    for patient in order:
        # A patient too big for what is left of a split is passed over; a smaller one may still fit.
        split = next((name for name, left in room.items() if weights[patient] <= left), "train")
        if split in room:
            room[split] -= weights[patient]
        dealt[patient] = split
    return dealt


def authors_training(count: int) -> frozenset[int]:
    """Which of a set's cases the authors of the paper train on; they test on the others.

    Their preparation scripts (bangwayne/K-Prism, commit bf86975) sort the names, shuffle them with seed 42 and take the
    first 80 %. A shuffle moves places, whatever lies there: a case that a download lacks moves no other, as long as the
    places are those of the whole set.

    Args:
        count: How many cases they dealt out, which may be more than have a mask.

    Returns:
        Places in the sorted list, from 0.
    """
    places = list(range(count))
    random.Random(42).shuffle(places)
    return frozenset(places[: count * 4 // 5])
