"""Seeded splits in which no patient is on both sides."""

from __future__ import annotations

import hashlib
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
