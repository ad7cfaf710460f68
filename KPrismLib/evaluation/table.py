"""An evaluation at a glance, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from KPrismLib.evaluation.report import EvaluationReport
from KPrismLib.evaluation.settings import Mode

_ABSENT = "-"  # which every code page has


def report_table(report: EvaluationReport) -> Table:
    """One line per dataset and mode: Dice in percent as the paper prints it, clicks to quality, the interval."""
    settings = report.settings
    title = f"{settings.model or 'model'}, split {settings.split!r}"
    if settings.limit is not None:
        title += f", at most {settings.limit} slices per dataset"
    table = Table(title=title)
    table.add_column("Dataset")
    table.add_column("Mode")
    headings = ("Pairs", "Dice", "95 %", "Dice(1)", "Dice(5)", "NoC90", "NoC95", "False positives")
    for heading in headings:
        table.add_column(heading, justify="right")
    summary = report.summary()
    for dataset, modes in summary["datasets"].items():
        for position, (mode, numbers) in enumerate(modes.items()):
            table.add_row(dataset if position == 0 else "", mode, *_cells(Mode(mode), numbers))
        table.add_section()
    for mode, numbers in summary["mean_of_datasets"].items():
        table.add_row("Mean of datasets", mode, *_cells(Mode(mode), numbers | {"dice": {"mean": numbers.get("dice")}}))
    return table


def _cells(mode: Mode, numbers: Mapping[str, Any]) -> list[str]:
    dice = numbers["dice"].get("mean")
    interval = numbers.get("dice_interval95", {}).get("mean")
    pairs = numbers.get("pairs", {}).get("mean")
    rate = numbers.get("false_positive_rate", {}).get("mean")
    curve: list[float] = []
    if mode.uses_clicks and dice is not None:
        # The initial mask's Dice is the one comparable with the modes without clicks; Mode-3 has no initial mask.
        curve, interval = dice, None
        dice = None if mode is Mode.INTERACTIVE else curve[0]
    return [
        _ABSENT if pairs is None else str(pairs),
        _percent(dice),
        _ABSENT if interval is None else f"{_percent(interval[0])} to {_percent(interval[1])}",
        *(_percent(curve[click] if click < len(curve) else None) for click in (1, 5)),
        *(_ABSENT if numbers.get(key) is None else f"{numbers[key]:.2f}" for key in ("noc90", "noc95")),
        _percent(rate),
    ]


def _percent(share: float | None) -> str:
    return _ABSENT if share is None else f"{100 * share:.2f}"
