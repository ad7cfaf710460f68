"""What was converted, beside what the paper's Table 6 says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from Training.convert.about import PaperCounts


@dataclass(frozen=True)
class SplitCount:
    """One split: found, and in the paper (None where the table has no number).

    Attributes:
        split: Its name.
        patients: Different patients.
        volumes: 3-D items.
        slices: All slices; pictures count one each.
        labelled: Slices that show a class; pictures count one each.
        paper_volumes: Table 6.
        paper_slices: Table 6.
    """

    split: str
    patients: int
    volumes: int
    slices: int
    labelled: int
    paper_volumes: int | None
    paper_slices: int | None


def count_items(items: Iterable[Mapping[str, Any]], paper: PaperCounts) -> list[SplitCount]:
    """Counts per split, in the order train, validation, test, then whatever else there is."""
    by_split: dict[str, list[Mapping[str, Any]]] = {
        split: [] for split in ("train", "validation", "test") if split in {*paper.volumes, *paper.slices}
    }
    for item in items:
        by_split.setdefault(item["split"], []).append(item)
    return [
        SplitCount(
            split=split,
            patients=len({item["patient"] for item in group}),
            volumes=sum("slices" in item for item in group),
            slices=sum(item.get("slices", 1) for item in group),
            labelled=sum(item.get("labelled_slices", 1) for item in group),
            paper_volumes=paper.volumes.get(split),
            paper_slices=paper.slices.get(split),
        )
        for split, group in by_split.items()
    ]
