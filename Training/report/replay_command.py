"""``replay``: from a row of a table to a picture."""

from __future__ import annotations

from pathlib import Path

from KPrismLib.errors import InvalidConfig, InvalidDataset, InvalidWeights
from KPrismLib.evaluation.measurements import SliceMeasurement
from KPrismLib.evaluation.rows import read_rows
from KPrismLib.imaging.overlay import write_overlay
from Training.report.options import Workplace
from Training.report.panels import panel
from Training.report.replay import read_case, replayed
from Training.report.results import digest, read_facts
from Training.report.runner import Model

#: Dice that differ by less are the same but for the arithmetic of another machine.
_SAME = 1e-3


def replay_row(rows: Path, number: int, place: Workplace, *, clicks: int | None, output: Path) -> str:
    """Do one row again and draw it.

    Args:
        rows: The table.
        number: Of the row, from 1.
        place: Datasets, weights (empty for those of the table) and device.
        clicks: Only the first so many clicks.
        output: The picture.

    Returns:
        What was measured then and now, in one line.

    Raises:
        InvalidDataset: There is no such row, or what it was measured on is gone.
        InvalidConfig: Nobody says which weights to use.
    """
    table = read_rows(rows)
    if number > len(table):
        raise InvalidDataset(f"{rows} has {len(table)} rows, no row {number}.")
    row, facts = table[number - 1], read_facts(rows)
    source = place.model or (facts.weights if facts else "")
    if not source:
        raise InvalidConfig(f"There is no note of the weights beside {rows}; name them with --model.")
    model = Model(row.model, source, place.device)
    if not place.model:
        _check_at_hand(model, rows)
    case = read_case(row, place.folders())
    found = replayed(case, model.predictor, clicks=clicks)
    measured = case.measurement
    label = f"{measured.cls}, {measured.dataset} {measured.item}:{measured.index}"
    write_overlay(output, panel(case, [(row.model or source, found)], title=label))
    then = _recorded(measured, len(found.clicks))
    text = f"{label}, {measured.mode.value}: Dice {_shown(then)} recorded, {_shown(found.dice)} replayed"
    if facts is not None and digest(model.path) != facts.digest:
        return f"{text}: these are other weights."
    same = then is None or abs(then - found.dice) < _SAME
    return f"{text}." if same else f"{text}: something has changed since."


def _check_at_hand(model: Model, rows: Path) -> None:
    try:
        _ = model.path
    except InvalidWeights as error:
        raise InvalidWeights(
            f"The weights that {rows.name} was measured with are not where they were ({model.source}); name them with "
            "--model."
        ) from error


def _recorded(measured: SliceMeasurement, clicks: int) -> float | None:
    """Dice of the row after so many clicks; ``None`` where the class is absent."""
    return measured.curve[clicks] if measured.present else None


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
