"""What is wrong with a download, file by file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

FILE = "conversion-findings.txt"
"""Holds all of them, in the dataset folder."""


class Kind(str, Enum):
    """Kinds of findings, in the order in which they are listed."""

    MISSING = "missing"
    RENAMED = "renamed"
    DOUBLED = "doubled"
    DAMAGED = "truncated or damaged"
    MISMATCHED = "image and mask differ in size"
    LABELS = "label values outside the map"
    UNEXPECTED = "unexpected, not used"
    REMARK = "to know"

    @property
    def stops(self) -> bool:
        """Whether the set is not what its name says, so that nobody should train on it unknowingly."""
        return self not in (Kind.UNEXPECTED, Kind.REMARK)


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        kind: What is wrong.
        subject: The file or case, relative to the download.
        detail: More about it, when there is more.
    """

    kind: Kind
    subject: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}" if self.detail else self.subject


def listed(findings: Iterable[Finding], *, limit: int | None = None) -> list[str]:
    """Lines to show, grouped by kind; with ``limit``, at most so many per kind and how many more there are."""
    everything = sorted(set(findings), key=lambda finding: (finding.subject, finding.detail))
    lines = []
    for kind in Kind:
        group = [finding for finding in everything if finding.kind is kind]
        if not group:
            continue
        lines.append(f"{kind.value} ({len(group)}):")
        lines += [f"  {finding}" for finding in group[:limit]]
        if limit is not None and len(group) > limit:
            lines.append(f"  ... and {len(group) - limit} more")
    return lines
