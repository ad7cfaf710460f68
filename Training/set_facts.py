"""What a set says of itself in a model card: how it was split, whose it is, and what it shares with others."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.imaging.pictures import SUFFIXES
from Training.report.sets import with_patients_of

PATIENTS = "patients"


@dataclass(frozen=True)
class SetFacts:
    """What ``dataset.json`` says of a set beside its items.

    Attributes:
        name: Of the set.
        trained: How many items it has for training.
        unit: What an interval is over: ``patients``, or what each item counts as one where none has several.
        split: How the splits were made.
        citation, licence: Likewise.
    """

    name: str
    trained: int
    unit: str
    split: str
    citation: str
    licence: str

    @classmethod
    def read(cls, folder: Path) -> SetFacts:
        """From the folder of the set."""
        description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        items = description["items"]
        texts = {
            key: str(description.get(key, "not given")).replace("|", "/")
            for key in ("split_rule", "citation", "licence")
        }
        unit = PATIENTS
        if len({item["patient"] for item in items}) == len(items):
            unit = "images" if all(Path(item["image"]).suffix.lower() in SUFFIXES for item in items) else "scans"
        return cls(
            str(description["name"]),
            sum(item["split"] == "train" for item in items),
            unit,
            texts["split_rule"],
            texts["citation"],
            texts["licence"],
        )


def split_table(sets: Iterable[SetFacts]) -> str:
    """What the splits of each set keep apart."""
    lines = ["| set | intervals over | split |", "|---|---|---|"]
    lines += [f"| {each.name} | {each.unit} | {each.split} |" for each in sets]
    return "\n".join(lines)


def source_table(sets: Iterable[SetFacts]) -> str:
    """Each training set with its citation and terms."""
    lines = ["| set | items trained on | citation | terms |", "|---|---|---|---|"]
    lines += [f"| {each.name} | {each.trained} | {each.citation} | {each.licence} |" for each in sets]
    return "\n".join(lines)


def left_out(datasets: Iterable[str], trained: Collection[str]) -> str:
    """Which sets are new to the weights, and which are so in name only."""
    shared = {name: sorted(with_patients_of(name).intersection(trained)) for name in sorted(set(datasets) - {*trained})}
    unseen = ", ".join(name for name, sets in shared.items() if not sets)
    known = [
        f"{name} is no part of training, but shares patients with {', '.join(s)}." for name, s in shared.items() if s
    ]
    return " ".join([f"Not trained on at all: {unseen or '-'}.", *known])
