"""Measurements as lines of a table: enough to average them again, and to replay every one of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.errors import InvalidDataset
from KPrismLib.evaluation.measurements import ReferenceChoice, SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.settings import Mode
from KPrismLib.prompts import Click

_COLUMNS = (
    *("dataset", "item", "patient", "index", "cls", "mode", "model", "present", "found", "milliseconds"),
    *("reference_split", "references", "clicks"),
)
_CURVE = "dice"
_TRUTH = {"True": True, "False": False}


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        measurement: What was measured, of a slice or of a whole volume.
        model: Which weights.
        reference_split: The split the references come from; empty in the modes without references.
        references: ``item:index`` of each reference.
    """

    measurement: SliceMeasurement | VolumeMeasurement
    model: str = ""
    reference_split: str = ""
    references: tuple[str, ...] = ()


def rows_of(
    slices: Iterable[SliceMeasurement],
    volumes: Iterable[VolumeMeasurement],
    references: Iterable[ReferenceChoice],
    model: str,
) -> list[Row]:
    """Bring together what an evaluation measured, slices first."""
    chosen = {(choice.dataset, choice.patient, choice.cls): choice for choice in references}
    rows = []
    measurements: list[SliceMeasurement | VolumeMeasurement] = [*slices, *volumes]
    for measurement in measurements:
        choice = None
        if measurement.mode.uses_references:
            choice = chosen.get((measurement.dataset, measurement.patient, measurement.cls))
        rows.append(Row(measurement, model) if choice is None else Row(measurement, model, choice.split, choice.slices))
    return rows


def to_csv(rows: Sequence[Row]) -> str:
    """The table as text. Whole volumes have no ``index``; ``dice0``, ``dice1``, ... hold the curve.

    References are a JSON list of ``item:index``, clicks one of ``[row, column, positive]``.
    """
    contents = [_content(row) for row in rows]
    curves = [curve for _, curve in contents]
    longest = max(map(len, curves), default=0)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(f"{_CURVE}{click}" for click in range(longest))])
    for content, curve in contents:
        writer.writerow([*(content[column] for column in _COLUMNS), *curve, *[""] * (longest - len(curve))])
    return text.getvalue()


def read_rows(path: str | Path) -> list[Row]:
    """The rows that :func:`to_csv` wrote.

    Raises:
        InvalidDataset: There is no such file, or it is no table of measurements, or only a part of one.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("it ends within a line" if text else "it is empty")
        return [_parsed(line) for line in csv.DictReader(io.StringIO(text))]
    except OSError as error:
        raise InvalidDataset(f"The table {path} cannot be read: {error.strerror or error}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidDataset(
            f"{path} is no table of measurements, or a damaged one ({type(error).__name__}: {error}); "
            "measure again, with `kprism evaluate --rows` for example."
        ) from error


def is_table(path: Path) -> bool:
    """Whether a file begins as one that :func:`to_csv` wrote."""
    start = ",".join(_COLUMNS[:7]).encode()
    try:
        with path.open("rb") as stream:
            return stream.read(len(start)) == start
    except OSError:
        return False


def _content(row: Row) -> tuple[dict[str, object], tuple[float, ...]]:
    measured = row.measurement
    content: dict[str, object] = {
        **{name: getattr(measured, name, "") for name in _COLUMNS},
        "mode": measured.mode.value,
        "model": row.model,
        "reference_split": row.reference_split,
        "references": json.dumps(row.references) if row.references else "",
        "clicks": "",
    }
    if isinstance(measured, VolumeMeasurement):
        return content | {"present": True}, (measured.dice,)
    if measured.clicks:
        content["clicks"] = json.dumps([[click.row, click.column, click.positive] for click in measured.clicks])
    return content, measured.curve


def _parsed(line: Mapping[str, str]) -> Row:
    curve: list[float] = []
    while line.get(f"{_CURVE}{len(curve)}"):
        curve.append(float(line[f"{_CURVE}{len(curve)}"]))
    impossible = [score for score in curve if not 0 <= score <= 1]
    if impossible:
        raise ValueError(f"{impossible[0]} is no Dice")
    mode = Mode(line["mode"])
    measured: SliceMeasurement | VolumeMeasurement
    if line["index"] == "":
        measured = VolumeMeasurement(line["dataset"], line["item"], line["patient"], line["cls"], mode, curve[0])
    else:
        measured = SliceMeasurement(
            dataset=line["dataset"],
            item=line["item"],
            patient=line["patient"],
            index=int(line["index"]),
            cls=line["cls"],
            mode=mode,
            present=_TRUTH[line["present"]],
            curve=tuple(curve),
            found=_TRUTH[line["found"]],
            milliseconds=float(line["milliseconds"]),
            clicks=tuple(Click(*click) for click in json.loads(line["clicks"] or "[]")),
        )
    return Row(measured, line["model"], line["reference_split"], tuple(json.loads(line["references"] or "[]")))
