"""The result of an evaluation: everything measured, and the files it is written to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from KPrismLib.evaluation.measurements import ReferenceChoice, Skipped, SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.rows import rows_of, to_csv
from KPrismLib.evaluation.settings import EvaluationSettings, Mode
from KPrismLib.evaluation.summary import summarise_mode, summarise_sets
from KPrismLib.imaging.atomic_file import write_atomically


@dataclass
class EvaluationReport:
    """What was measured, and how.

    Attributes:
        settings: How.
        slices: One measurement per (slice, class, mode).
        volumes: One per (volume, class, mode); only volumes that were evaluated in full.
        references: The references that were used.
        skipped: What was not evaluated, and why.
        missing: Slices that other processes have not finished yet; with any, the numbers are not final.
    """

    settings: EvaluationSettings
    slices: list[SliceMeasurement] = field(default_factory=list)
    volumes: list[VolumeMeasurement] = field(default_factory=list)
    references: list[ReferenceChoice] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    missing: int = 0

    def summary(self) -> dict[str, Any]:
        """Every number, as plain dicts and lists.

        ``summary()["datasets"][NAME][MODE]["dice"]`` maps class names and ``mean`` to Dice, or to the list of
        Dice after 0, 1, 2, ... clicks. ``summary()["mean_of_datasets"][MODE]`` is the paper's "Avg": every
        dataset counts the same.
        """
        found: dict[Mode, dict[str, list[SliceMeasurement]]] = {mode: {} for mode in self.settings.modes}
        for row in self.slices:
            found[row.mode].setdefault(row.dataset, []).append(row)
        datasets = {
            name: {
                mode.value: summarise_mode(
                    sets[name],
                    [row for row in self.volumes if row.dataset == name and row.mode is mode],
                    mode,
                    self.settings,
                )
                for mode, sets in found.items()
                if name in sets
            }
            for name in dict.fromkeys(row.dataset for row in self.slices)
        }
        return {
            "settings": asdict(self.settings),
            "datasets": datasets,
            "mean_of_datasets": {
                mode.value: summarise_sets(list(sets.values()), mode, self.settings)
                for mode, sets in found.items()
                if sets
            },
            "skipped": [asdict(entry) for entry in self.skipped],
            "references": [asdict(choice) for choice in self.references],
        }

    def to_json(self) -> str:
        """:meth:`summary` as indented JSON text."""
        return json.dumps(self.summary(), indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One line per (slice, class, mode), then per (volume, class, mode); see :func:`~.rows.to_csv`."""
        return to_csv(rows_of(self.slices, self.volumes, self.references, self.settings.model))

    def write(self, path: str | Path, *, rows: str | Path | None = None) -> None:
        """Write the JSON, and the CSV to ``rows`` if given; a file appears whole or not at all.

        Raises:
            CannotWrite: The disk is full or the folder is missing or read-only.
        """
        write_atomically(path, self.to_json().encode())
        if rows is not None:
            write_atomically(rows, self.to_csv().encode())


def is_report(path: Path) -> bool:
    """Whether a file is the JSON of a report."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"settings", "datasets"} <= content.keys()
