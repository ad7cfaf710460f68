"""Evaluating a system on the same slices, references and clicks as K-Prism, and saying whose numbers they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidConfig
from KPrismLib.evaluation import EvaluationReport, Mode, evaluate
from KPrismLib.evaluation.evaluate import Progress
from KPrismLib.evaluation.measurements import Skipped
from KPrismLib.imaging.atomic_file import write_atomically
from Training.peers.about import About
from Training.peers.predictor import PeerPredictor
from Training.peers.segmenter import Segmenter
from Training.peers.setup import PeerSetup

RANDOM = "random weights"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Provenance:
    """Whose numbers a report holds; written into its JSON under ``peer``.

    Attributes:
        system: as in the paper.
        random_weights: whether the numbers mean nothing.
        weights: name of the weights file or folder.
        sha256: of the weights file, or of the files of the folder by name.
        licence: of code and weights.
        citation: what to cite.
        remarks: deviations that the reader must know.
    """

    system: str
    random_weights: bool
    weights: str
    sha256: str
    licence: str
    citation: str
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, about: About, setup: PeerSetup, segmenter: Segmenter) -> Provenance:
        """The provenance of what ``segmenter`` will answer."""
        remarks = tuple(text for text in (about.notes, *segmenter.remarks) if text)
        weights, digest = (RANDOM, "") if setup.weights is None else (setup.weights.name, _digest(setup.weights))
        return cls(about.title, setup.random, weights, digest, about.licence, about.citation, remarks)

    @property
    def model(self) -> str:
        """What reports call it: the system and its weights."""
        return f"{self.system} ({self.weights})"


def evaluate_peer(
    about: About,
    setup: PeerSetup,
    segmenter: Segmenter,
    folders: Sequence[DatasetFolder],
    *,
    modes: Sequence[Mode | str] = (),
    progress: Progress | None = None,
    **settings: Any,
) -> tuple[EvaluationReport, Provenance]:
    """Run :func:`KPrismLib.evaluation.evaluate` on a system.

    Args:
        about: The facts.
        setup: Weights and device.
        segmenter: The opened system.
        folders: The datasets.
        modes: Which modes; all that the system has where none is named. What it cannot do is put on record as skipped.
        progress: As for ``evaluate``.
        settings: The other settings of ``evaluate``, the journal among them.

    Raises:
        InvalidConfig: The system has none of the modes, or as for ``evaluate``.
        InvalidDataset, Cancelled: As for ``evaluate``.
    """
    asked = list(dict.fromkeys(mode if isinstance(mode, Mode) else Mode.parse(mode) for mode in modes)) or list(
        about.modes
    )
    possible = [mode for mode in asked if mode in about.modes]
    if not possible:
        raise InvalidConfig(
            f"{about.title} cannot be evaluated in {', '.join(mode.value for mode in asked)}; it has "
            f"{', '.join(mode.value for mode in about.modes)}."
        )
    provenance = Provenance.of(about, setup, segmenter)
    report = evaluate(
        PeerPredictor(segmenter, setup.device),
        folders,
        modes=possible,
        model=provenance.model,
        progress=progress,
        batch=1,  # a peer answers one question at a time
        # What is described beside the weights, the order of their classes for one, is as good as a part of them.
        fingerprint=f"{provenance.sha256} {json.dumps(dict(setup.description), sort_keys=True, default=str)}",
        **settings,
    )
    report.skipped.extend(
        Skipped(folder.name, f"{about.title} does not work in this mode", mode=mode)
        for mode in asked
        if mode not in possible
        for folder in folders
    )
    return report, provenance


def write_report(report: EvaluationReport, provenance: Provenance, output: Path | None, rows: Path | None) -> None:
    """Write the JSON of :class:`EvaluationReport` with ``peer`` beside it, and the same rows as K-Prism's.

    Raises:
        CannotWrite: The disk is full or the folder is missing or read-only.
    """
    if output is not None:
        content = report.summary() | {"peer": asdict(provenance)}
        write_atomically(output, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    if rows is not None:
        write_atomically(rows, report.to_csv().encode())


def _digest(weights: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' names and contents in order of name."""
    digest = hashlib.sha256()
    inside = sorted(path for path in weights.rglob("*") if path.is_file()) if weights.is_dir() else [weights]
    for path in inside:
        if weights.is_dir():
            digest.update(path.relative_to(weights).as_posix().encode() + b"\0")
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
