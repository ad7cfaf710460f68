"""The folder of results: one table of rows for each model, protocol and set, with a note of how it came about.

``RESULTS/MODEL/PROTOCOL/SET.csv`` holds the rows, ``SET.json`` beside it the facts. A pair is written when its set is
done, so an interrupted command loses the set it was at and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from KPrismLib.errors import InvalidDataset, InvalidWeights
from KPrismLib.evaluation.measurements import SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.rows import Row, read_rows
from KPrismLib.evaluation.settings import Mode
from KPrismLib.imaging.atomic_file import made_folder, write_atomically
from KPrismLib.weights import find_weights
from Training.report.set_content import SetContent

ABLATIONS_FOLDER = "ablations"

WEIGHTS_NAME = "weights.safetensors"
"""Of a trained ablation, in the folder of its run."""

#: What holds of protocols from before they told it.
_PROTOCOL_SINCE = {"distinct": False}


@dataclass(frozen=True)
class Facts:
    """How rows came about.

    Attributes:
        dataset: Name of the dataset folder.
        protocol: The fields of the :class:`~Training.report.needs.Protocol`.
        digest: Of the weights file: its first 12 hexadecimal digits of SHA-256.
        weights: The weights: a shipped name or a file. Beside a table a file is named as seen from there, so that
            results and weights can move together, and tell nothing of the machine.
        trained_on: Names of the sets that the weights learned from, as far as they say.
        device: Where it ran.
        seconds: How long it took.
        skipped: What could not be evaluated, one sentence each.
        network: ``base`` or ``small``, as far as the weights say.
        steps: Of their training, as far as they say; else 0.
        all_steps: Whether those are the steps of all runs that the weights come from, also of what the last ones began
            from; in facts from before it was kept nobody knows.
        description: Digest of the set's ``dataset.json``; empty in facts from before it was kept, which fit any.
        masks: Likewise, of the content of its masks.
        images: Likewise, of its images.
        table: Likewise, of the table itself.
        precision: In which the network computed; empty in facts from before it was kept, which fit any.
    """

    dataset: str
    protocol: Mapping[str, Any]
    digest: str
    weights: str
    trained_on: Sequence[str] = ()
    device: str = ""
    seconds: float = 0.0
    skipped: Sequence[str] = ()
    network: str = ""
    steps: int = 0
    all_steps: bool = False
    description: str = ""
    masks: str = ""
    images: str = ""
    table: str = ""
    precision: str = ""

    @property
    def training(self) -> str:
        """How weights came about that began from nothing, in a few words; empty where they do not say."""
        return f"network `{self.network}`, {self.steps:,} steps" if self.network and self.steps else ""

    @property
    def history(self) -> str:
        """The same of weights that may have begun from others."""
        if not self.training or self.all_steps:
            return self.training
        return f"{self.training} in the runs averaged, not counting those that they began from: see the model card"

    @property
    def content(self) -> SetContent:
        """Of the set."""
        return SetContent(self.description, self.masks, self.images)

    def misfit(self, protocol: Mapping[str, Any], weights: str, precision: str, content: SetContent) -> str:
        """What differs from a measurement by this protocol, with the weights of this digest, on this set, in words.

        Returns:
            Empty where nothing does: the rows are what measuring again would give.
        """
        if self.digest != weights:
            return "other weights"
        if _PROTOCOL_SINCE | dict(self.protocol) != _PROTOCOL_SINCE | dict(protocol):
            return "other settings"
        if self.precision not in ("", precision):
            return f"numbers in {self.precision}"
        return self.content.changed(content)

    def is_of(self, table: Path) -> bool:
        """Whether a table is the one that these tell of; facts of before that was kept tell of any."""
        return self.table in ("", table_digest(table))


@dataclass(frozen=True)
class Part:
    """The rows of one model, protocol and set.

    Attributes:
        model: Its name among the results.
        protocol: Likewise.
        path: The table.
        facts: How it came about.
        rows: What was measured.
    """

    model: str
    protocol: str
    path: Path
    facts: Facts
    rows: tuple[Row, ...] = field(repr=False)

    def slices(self, mode: Mode, classes: Sequence[str] = ()) -> list[SliceMeasurement]:
        """Measurements of slices in a mode; of some classes, or of all."""
        return [
            row.measurement
            for row in self.rows
            if isinstance(row.measurement, SliceMeasurement) and _counts(row, mode, classes)
        ]

    def volumes(self, mode: Mode, classes: Sequence[str] = ()) -> list[VolumeMeasurement]:
        """Measurements of whole volumes."""
        return [
            row.measurement
            for row in self.rows
            if isinstance(row.measurement, VolumeMeasurement) and _counts(row, mode, classes)
        ]


def _counts(row: Row, mode: Mode, classes: Sequence[str]) -> bool:
    return row.measurement.mode is mode and (not classes or row.measurement.cls in classes)


@dataclass(frozen=True)
class Results:
    """The folder.

    Attributes:
        root: Where it is.
    """

    root: Path

    def path(self, model: str, protocol: str, dataset: str) -> Path:
        """Where the rows of a set are, or will be."""
        return self.root / model / protocol / f"{_plain(dataset)}.csv"

    def part(self, model: str, protocol: str, dataset: str) -> Part | None:
        """What was measured, or ``None``.

        Raises:
            InvalidDataset: A file is damaged, or not as it was written.
        """
        facts = self.facts(model, protocol, dataset)
        if facts is None:
            return None
        path = self.path(model, protocol, dataset)
        if not facts.is_of(path):
            raise InvalidDataset(
                f"{path} is not as it was written: rows are missing or were changed; bring the old file back, or "
                "measure it again with --redo."
            )
        return Part(model, protocol, path, facts, tuple(read_rows(path)))

    def facts(self, model: str, protocol: str, dataset: str) -> Facts | None:
        """How the rows of a set came about, or ``None`` where there are none."""
        found = read_facts(self.path(model, protocol, dataset))
        return found if found is not None and found.dataset == dataset else None

    def check_place(self, model: str, protocol: str, dataset: str) -> None:
        """Refuse where the rows of a set would replace those of another one, whose name makes the same file.

        Raises:
            InvalidDataset: There are such rows.
        """
        path = self.path(model, protocol, dataset)
        found = read_facts(path)
        if found is not None and found.dataset != dataset:
            raise InvalidDataset(
                f"{path} holds results of the set {found.dataset!r}, and {dataset!r} would have the same file; rename "
                "one of the two sets."
            )

    def datasets(self, model: str, protocol: str) -> list[str]:
        """The names of the sets that were measured by a protocol."""
        return [facts.dataset for facts in self.all_facts(model, protocol)]

    def all_facts(self, model: str, protocol: str = "*") -> list[Facts]:
        """How everything came about that was measured by a protocol, or by any."""
        tables = sorted((self.root / model).glob(f"{protocol}/*.csv"))
        return [facts for facts in map(read_facts, tables) if facts is not None]

    def save(self, model: str, protocol: str, facts: Facts, table: str) -> Path:
        """Write a table, usually of rows, and its facts; they come last and say that both are there.

        Raises:
            CannotWrite: The disk is full or the folder read-only.
            InvalidDataset: See :meth:`check_place`.
        """
        self.check_place(model, protocol, facts.dataset)
        path = self.path(model, protocol, facts.dataset)
        made_folder(path.parent)
        notes = path.with_suffix(".json")
        notes.unlink(missing_ok=True)
        write_atomically(path, table.encode())
        facts = replace(facts, weights=_seen_from(path.parent, facts.weights), table=table_digest(path))
        write_atomically(notes, (json.dumps(asdict(facts), indent=1) + "\n").encode())
        return path

    def models(self) -> list[str]:
        """The main models that have results, by name."""
        if not self.root.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self.root.iterdir()
            if folder.name != ABLATIONS_FOLDER and any(folder.glob("*/*.json"))
        )

    def main_model(self, asked: str | None) -> str:
        """The name of the main model: the asked one, or else the only one that has results.

        Weights may be called otherwise by now than when they were measured.

        Raises:
            InvalidDataset: There are several, or none, or none of the asked one.
        """
        found = self.models()
        if asked is not None:
            name = Path(asked).stem
            return self._renamed(asked, found) if found and name not in found else name
        if len(found) != 1:
            raise InvalidDataset(
                f"{self.root} holds results of {', '.join(found)}; choose one with --model."
                if found
                else f"Nothing has been measured in {self.root}; see `python -m Training.report --help`."
            )
        return found[0]

    def _renamed(self, asked: str, found: Sequence[str]) -> str:
        """Under which name weights were measured that are called otherwise by now."""
        given = _given(asked)
        for name in found:
            if given is not None and digest(given) in {facts.digest for facts in self.all_facts(name)}:
                return name
        raise InvalidDataset(
            f"{self.root} holds results of {', '.join(found)}, not of {Path(asked).stem}; name one of them."
        )

    def digest_of(self, model: str, asked: str | None) -> str:
        """The digest of the weights whose results a report is about: of those asked for, or the only ones there are.

        Args:
            model: Name among the results.
            asked: A shipped name, a weights file, or a name among the results.

        Raises:
            InvalidDataset: Several weights of that name were measured, or others than those of the file.
        """
        found = sorted({facts.digest for facts in self.all_facts(model)})
        given = _given(asked)
        if given is not None and digest(given) in found:
            return digest(given)
        if len(found) > 1 or (found and Path(asked or "").is_file()):
            raise InvalidDataset(
                f"{self.root / model} holds results of the weights {', '.join(found)}; give the file of one of them "
                "with --model."
            )
        return found[0] if found else ""


def _given(weights: str | None) -> Path | None:
    try:
        return find_weights(weights) if weights else None
    except InvalidWeights:
        return None


def ablation_model(run: str) -> str:
    """The name that an ablation run has among the results."""
    return f"{ABLATIONS_FOLDER}/{run}"


def read_facts(rows: Path) -> Facts | None:
    """The facts beside a table of rows; ``None`` where either is missing.

    Raises:
        InvalidDataset: They cannot be understood.
    """
    notes = rows.with_suffix(".json")
    if not notes.is_file() or not rows.is_file():
        return None
    try:
        facts = Facts(**json.loads(notes.read_text(encoding="utf-8")))
        there = rows.parent / facts.weights
        return replace(facts, weights=str(there)) if there.is_file() else facts
    except (OSError, TypeError, ValueError) as error:
        raise InvalidDataset(f"{notes} is damaged ({error}); delete it, and its set will be measured again.") from error


def _seen_from(folder: Path, weights: str) -> str:
    """A weights file as seen from a folder; a shipped name, or a file on another drive, as it is."""
    if not Path(weights).is_file():
        return weights
    try:
        return Path(os.path.relpath(Path(weights).resolve(), folder.resolve())).as_posix()
    except ValueError:
        return weights


def digest(path: Path) -> str:
    """What tells one weights file, or one ``dataset.json``, from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def table_digest(path: Path) -> str:
    """Likewise of a table; whether lines end as on Windows makes no difference."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:12]


def _plain(name: str) -> str:
    """A name as part of a path: names of sets hold ampersands and blanks."""
    return re.sub(r"[^\w.-]+", "_", name)
