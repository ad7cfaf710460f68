"""Measure whole-volume work on the test volumes of dataset folders.

Run as ``python -m Training.volume_report DATA --json OUT``: every case is written when it is done, and a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from KPrismLib.command.console import check_writable, say, show
from KPrismLib.command.failures import explained
from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidConfig
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.predictor import Predictor
from KPrismLib.weights import find_weights
from Training.report.set_content import SetContent
from Training.volume_measures.cases import Case, cases_of
from Training.volume_measures.classing import ClassMeasure
from Training.volume_measures.clicking import measure_clicks, measure_guided_clicks, measure_learning_clicks
from Training.volume_measures.learning import measure_learning
from Training.volume_measures.propagating import measure_propagation
from Training.volume_measures.retrieving import RetrievalMeasure
from Training.volume_measures.summary import summarise

SETS = ("BTCV_SYNAPSE18", "ACDC", "LA2018", "MSD_HIPPOCAMPUS")
PARTS = ("classes", "propagation", "learning", "clicks", "learning_clicks", "guided_clicks", "retrieval")


class Report:
    """The file of results: ``settings``, ``cases`` by part and key, and a ``summary``; written after every case.

    Args:
        path: the file; one that is there already is continued.
        settings: what makes two runs comparable; its ``datasets`` are :class:`~Training.report.set_content.SetContent`
            by name, as mappings. Sets may be added, and reports from before something of this was kept go on.

    Raises:
        InvalidConfig: the file holds another measurement, or no report.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        self._content: dict[str, Any] = {"settings": dict(settings), "cases": {part: {} for part in PARTS}}
        if path.exists():
            self._content = self._continued(settings)

    @property
    def summary(self) -> dict[str, Any]:
        """``[part][dataset][name]`` to mean, interval and number of cases."""
        return {part: summarise(cases.values()) for part, cases in self._content["cases"].items() if cases}

    def __contains__(self, entry: tuple[str, Case]) -> bool:
        part, case = entry
        return case.key in self._content["cases"][part]

    def add(self, part: str, case: Case, measured: Mapping[str, Any]) -> None:
        """Put a case on record, and on disk."""
        record = {"dataset": case.dataset, "patient": case.patient, "cls": case.cls, "measured": dict(measured)}
        self._content["cases"][part][case.key] = record
        text = json.dumps({**self._content, "summary": self.summary}, indent=1, allow_nan=False) + "\n"
        write_atomically(self._path, text.encode("utf-8"))

    def _continued(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            found, cases = dict(content["settings"]), {part: dict(content["cases"].get(part, {})) for part in PARTS}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidConfig(f"{self._path} is no volume report; choose another file name.") from error
        then, now = dict(found.get("datasets", {})), dict(settings["datasets"])
        kept = {key: value for key, value in found.items() if key != "datasets"}
        asked = {key: value for key, value in settings.items() if key != "datasets"}
        if any(kept.get(key, value) != value for key, value in asked.items()):
            raise InvalidConfig(f"{self._path} was measured with {kept}; choose another file name for {asked}.")
        changed = [name for name in now if name in then and _content(then[name]).changed(_content(now[name]))]
        if changed:
            raise InvalidConfig(
                f"{self._path} was measured before {', '.join(changed)} changed; choose another file name."
            )
        return {"settings": kept | asked | {"datasets": then | now}, "cases": cases}


def measure(
    predictor: Predictor, folders: Sequence[DatasetFolder], report: Report, *, parts: Sequence[str], limit: int | None
) -> Iterator[tuple[str, Case]]:
    """Measure what the report does not have yet; yields every part of every case when it is done."""
    for folder in folders:
        retrieval: RetrievalMeasure | None = None
        classes = ClassMeasure(predictor, folder)
        for case in cases_of(folder, split="test", limit=limit):
            for part in parts:
                if (part, case) in report:
                    continue
                measured: dict[str, Any] | None
                if part == "classes":
                    measured = classes.measure(case)
                elif part == "propagation":
                    measured = measure_propagation(predictor, case)
                elif part == "learning":
                    measured = measure_learning(predictor, case)
                elif part == "clicks":
                    measured = measure_clicks(predictor, case)
                elif part == "learning_clicks":
                    measured = measure_learning_clicks(predictor, case)
                elif part == "guided_clicks":
                    measured = measure_guided_clicks(predictor, case)
                else:
                    retrieval = retrieval or RetrievalMeasure(predictor, folder)
                    measured = retrieval.measure(case)
                report.add(part, case, measured or {})
                yield part, case


def main(
    data: Annotated[Path, typer.Argument(help="The folder of dataset folders.")],
    output: Annotated[Path, typer.Option("--json", help="Where the results go; an unfinished file is continued.")],
    model: Annotated[str, typer.Option(help="A shipped model or a weights file.")] = "small",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many volumes per dataset.")] = None,
    sets: Annotated[str, typer.Option(help="Names of dataset folders, with commas.")] = ",".join(SETS),
    parts: Annotated[str, typer.Option(help="What to measure, with commas.")] = ",".join(PARTS),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Measure classes through volumes, propagation, clicks to a volume, and reference retrieval."""
    with explained():
        chosen = [part.strip() for part in parts.split(",")]
        unknown = [part for part in chosen if part not in PARTS]
        if unknown:
            raise InvalidConfig(f"There is no part {unknown[0]!r}; choose from {', '.join(PARTS)}.")
        check_writable(output)
        folders = [DatasetFolder.open(data / name.strip()) for name in sets.split(",")]
        predictor = Predictor.load(model, device=device)
        settings = {
            "model": model,
            "weights": _digest(find_weights(model)),
            "split": "test",
            "precision": predictor.precision,
            "datasets": {folder.name: asdict(SetContent.of(folder)) for folder in folders},
        }
        report = Report(output, settings)
        for part, case in measure(predictor, folders, report, parts=chosen, limit=limit):
            say(f"{part}: {case.key}")
        show(_table(report.summary))


def _content(kept: Mapping[str, str] | str) -> SetContent:
    """Of a set; reports from before masks and images counted have the digest of ``dataset.json``."""
    return SetContent(description=kept[:12]) if isinstance(kept, str) else SetContent(**kept)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _table(summary: Mapping[str, Any]) -> Table:
    table = Table("part", "set", "number", "mean", "95 % interval", "cases")
    for part, groups in summary.items():
        for group, numbers in groups.items():
            for name, value in numbers.items():
                interval = value["interval95"]
                spread = "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
                table.add_row(part, group, name, f"{value['mean']:.3f}", spread, str(value["cases"]))
    return table


if __name__ == "__main__":
    typer.run(main)
