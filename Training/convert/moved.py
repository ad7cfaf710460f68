"""What changes hands in a folder that is converted again: items that go to another split or patient."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from Training.convert.findings import Finding, Kind


def moved(target: Path, items: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Compare new items with those of the ``dataset.json`` that is still there.

    Another version of a converter may deal splits otherwise, and so may a download with more files. Weights may then
    have been trained on what is tested now, which nobody could see in the folder.

    Args:
        target: The dataset folder; one without a description has nothing to compare.
        items: As they will be described, with ``id``, ``split`` and ``patient``.

    Returns:
        A remark for each pair of splits, and one about patients.
    """
    before = _described(target)
    known = [(before[item["id"]], item) for item in items if item["id"] in before]
    splits = Counter((old["split"], new["split"]) for old, new in known if old["split"] != new["split"])
    patients = sum(old["patient"] != new["patient"] for old, new in known)
    remarks = []
    for (old, new), number in splits.items():
        more = "; weights trained on them must not be tested on them" if old == "train" else ""
        remarks.append(Finding(Kind.REMARK, f"{number} items", f"now {new}, {old} before this run{more}"))
    if patients:
        more = "intervals over patients are not those of before"
        remarks.append(Finding(Kind.REMARK, f"{patients} items", f"of another patient than before this run; {more}"))
    return remarks


def _described(target: Path) -> dict[str, Mapping[str, Any]]:
    path = target / "dataset.json"
    if not path.is_file():
        return {}
    items = json.loads(path.read_text(encoding="utf-8")).get("items", ())
    return {item["id"]: item for item in items if {"id", "split", "patient"} <= item.keys()}
