"""An evaluation at a glance, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from KPrismLib.evaluation.report import EvaluationReport
from KPrismLib.evaluation.settings import Mode
from KPrismLib.evaluation.summary import MEAN

_ABSENT = "-"  # which every code page has


def report_table(report: EvaluationReport) -> Table:
    """Two lines per dataset and mode: Dice in percent as the paper prints it and clicks to quality, intervals below."""
    settings = report.settings
    title = f"{settings.model or 'model'}, split {settings.split!r}"
    if settings.limit is not None:
        title += f", at most {settings.limit} slices per dataset"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, caption="below each number its 95 % interval")
    table.add_column("Dataset\nmode", overflow="fold")
    headings = ("Pairs\npatients", "Dice", "Dice(1)", "Dice(5)", "NoC90", "NoC95", "False\npositives")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    summary = report.summary()
    for dataset, modes in summary["datasets"].items():
        for mode, numbers in modes.items():
            table.add_row(f"{dataset}\n{mode}", *_cells(Mode(mode), numbers))
        table.add_section()
    for mode, numbers in summary["mean_of_datasets"].items():
        whole = {key: {MEAN: numbers[key]} for key in ("dice", "dice_interval95") if key in numbers}
        table.add_row(f"Mean of datasets\n{mode}", *_cells(Mode(mode), {"dice": {}} | numbers | whole))
    return table


def _cells(mode: Mode, numbers: Mapping[str, Any]) -> list[str]:
    def of_all(key: str) -> Any:
        return numbers.get(key, {}).get(MEAN)

    pairs, patients = of_all("pairs"), numbers.get("patients")
    dice, interval = of_all("dice"), of_all("dice_interval95")
    if mode.uses_clicks:
        # The initial mask's Dice is the one comparable with the modes without clicks; Mode-3 has no initial mask.
        first = _ABSENT if mode is Mode.INTERACTIVE else _after(0, dice, interval)
        clicked = [_after(clicks, dice, interval) for clicks in (1, 5)]
    else:
        first, clicked = _percent(dice, interval), [_ABSENT, _ABSENT]
    return [
        f"{_ABSENT if pairs is None else pairs}\n{_ABSENT if patients is None else patients}",
        first,
        *clicked,
        *(_cell(numbers.get(key), numbers.get(f"{key}_interval95")) for key in ("noc90", "noc95")),
        _percent(of_all("false_positive_rate"), of_all("false_positive_rate_interval95")),
    ]


def _after(clicks: int, curve: Sequence[float] | None, interval: Sequence[Sequence[float]] | None) -> str:
    """Dice after so many clicks."""
    if curve is None or clicks >= len(curve):
        return _ABSENT
    return _percent(curve[clicks], None if interval is None else [bound[clicks] for bound in interval])


def _percent(share: float | None, interval: Sequence[float] | None) -> str:
    return _cell(
        None if share is None else 100 * share, None if interval is None else [100 * bound for bound in interval], 1
    )


def _cell(number: float | None, interval: Sequence[float] | None, digits: int = 2) -> str:
    """A number with two digits, and its interval below it."""
    if number is None:
        return _ABSENT
    spread = _ABSENT if interval is None else f"{interval[0]:.{digits}f}-{interval[1]:.{digits}f}"
    return f"{number:.2f}\n{spread}"
