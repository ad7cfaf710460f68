"""What tells a set from itself before somebody corrected it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from KPrismLib.dataset import DatasetFolder
from KPrismLib.evaluation.truth import images_fingerprint, truth_fingerprint

_DIGITS = 12


@dataclass(frozen=True)
class SetContent:
    """Digests of a dataset folder, 12 hexadecimal digits of SHA-256; by content, so that a copy is the same set.

    Attributes:
        description: Of its ``dataset.json``.
        masks: Of all its masks.
        images: Of all its images.
    """

    description: str = ""
    masks: str = ""
    images: str = ""

    @classmethod
    def of(cls, folder: DatasetFolder) -> SetContent:
        """As it is now; reads every file of the set."""
        return cls(
            hashlib.sha256((folder.path / "dataset.json").read_bytes()).hexdigest()[:_DIGITS],
            truth_fingerprint(folder)[:_DIGITS],
            images_fingerprint(folder)[:_DIGITS],
        )

    def changed(self, now: SetContent) -> str:
        """What is another one now, in words; empty where nothing is. Digests that were not kept fit any."""
        if self.description not in ("", now.description):
            return "another dataset.json"
        if self.masks not in ("", now.masks):
            return "other masks"
        return "other images" if self.images not in ("", now.images) else ""
