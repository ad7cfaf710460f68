"""The tables of a model card: what ``kprism evaluate`` measured, beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from KPrismLib.errors import InvalidConfig
from Training.report.paper_numbers import dice_of_set
from Training.report.sets import PAPER_SETS, Group, PaperSet, StandIn
from Training.set_facts import PATIENTS

#: Where the paper has the Dice of each group of its sets.
_TABLES = {Group.IN_DISTRIBUTION: "table2", Group.EXTERNAL: "table3", Group.UNSEEN: "table3_unseen"}

MODES = ("semantic", "in_context")

#: After how many clicks Dice is given.
_CLICKS = (1, 3, 5, 10)


def merge(evaluations: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """``datasets`` of several evaluation files in one; each mode of a set comes from the last file that has it."""
    merged: dict[str, dict[str, Any]] = {}
    for evaluation in evaluations:
        for name, modes in evaluation["datasets"].items():
            merged.setdefault(name, {}).update(modes)
    return merged


def dice_table(datasets: Mapping[str, Mapping[str, Any]], units: Mapping[str, str] = MappingProxyType({})) -> str:
    """Semantic and in-context Dice per set, with intervals and the paper's numbers beside them.

    Args:
        datasets: as :func:`merge` returns them.
        units: what the intervals of a set are over, where it is not patients.
    """
    lines = [
        "| set | slices x classes | over | semantic | in-context, one reference | paper: set, semantic, in-context |",
        "|---|---|---|---|---|---|",
    ]
    for name, modes in sorted(datasets.items()):
        if not any(mode in modes for mode in MODES):
            continue
        cells = [_with_interval(modes.get(mode), "mean") for mode in MODES]
        pairs = next((_total(modes[m]["pairs"]) for m in MODES if m in modes), "")
        examined = max(modes[mode]["patients"] for mode in MODES if mode in modes)
        over = f"{examined} {units.get(name, PATIENTS)}"
        lines.append(f"| {name} | {pairs} | {over} | {cells[0]} | {cells[1]} | {_beside(name, modes)} |")
    return "\n".join(lines)


def stand_ins(names: Iterable[str]) -> str:
    """Which folders stand for which sets of the paper, and how they differ."""
    found = [(name, *pair) for name in sorted(names) if name not in PAPER_SETS and (pair := _stood_for(name))]
    return ", ".join(f"{name} for {paper.name} ({stand_in.remark})" for name, paper, stand_in in found)


def _stood_for(name: str) -> tuple[PaperSet, StandIn] | None:
    pairs = ((each, stand_in) for each in PAPER_SETS.values() for stand_in in each.stand_ins)
    return next((pair for pair in pairs if pair[1].name == name), None)


def _beside(name: str, modes: Mapping[str, Any]) -> str:
    """The paper's Dice of the set that a folder is or stands for; empty where it is none."""
    classes: tuple[str, ...] = ()
    paper = PAPER_SETS.get(name)
    if paper is None:
        found = _stood_for(name)
        if found is None:
            return ""
        paper, classes = found[0], found[1].classes
    numbers = [dice_of_set(_TABLES[paper.group], paper.name, mode) for mode in MODES]
    printed = ", ".join("-" if number is None else f"{number / 100:.3f}" for number in numbers)
    group = "" if paper.group is Group.IN_DISTRIBUTION else f", {paper.group.value}"
    only = ""
    if classes:
        ours = ", ".join(f"{modes[mode]['dice'][classes[0]]:.3f}" for mode in MODES if mode in modes)
        only = f", {classes[0]} only (here {ours})"
    return f"{paper.name}{group}{only}: {printed}"


def class_table(datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """Semantic and in-context Dice per class of the sets with several classes, with intervals over patients."""
    lines = ["| set | class | patients | semantic | in-context |", "|---|---|---|---|---|"]
    for name, modes in sorted(datasets.items()):
        results = [modes.get(mode) for mode in MODES]
        classes = dict.fromkeys(label for result in results if result for label in result["dice"] if label != "mean")
        if len(classes) > 1:
            for label in classes:
                examined = max(result["class_patients"].get(label, 0) for result in results if result)
                cells = [_with_interval(result, label) or "not a class of the model" for result in results]
                lines.append(f"| {name} | {label} | {examined} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def mean_over_sets(evaluations: Iterable[Mapping[str, Any]], mode: str) -> dict[str, Any] | None:
    """The mean of a mode over all sets that :func:`merge` finds, with its interval, which takes single measurements.

    Returns:
        What the last evaluation says that measured all of them; ``None`` where none did.
    """
    given = list(evaluations)
    names = {name for name, modes in merge(given).items() if mode in modes}
    found: dict[str, Any] | None = None
    for evaluation in given:
        if names == {name for name, modes in evaluation["datasets"].items() if mode in modes}:
            found = evaluation["mean_of_datasets"].get(mode)
        elif any(mode in modes for modes in evaluation["datasets"].values()):
            found = None  # some of its sets were measured again
    return found


def click_table(
    datasets: Mapping[str, Mapping[str, Any]],
    honoured: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    units: Mapping[str, str] = MappingProxyType({}),
    mean: Mapping[str, Any] | None = None,
    honoured_mean: Mapping[str, Any] | None = None,
) -> str:
    """Interactive mode: Dice after 1, 3, 5 and 10 clicks and the number of clicks to 0.90 and 0.95.

    With fewer clicks than that there is "-".

    Args:
        datasets: as :func:`merge` returns them.
        honoured: the same sets, with masks that hold what clicks say of their pixels, as users get them; adds a row.
        units: what the intervals of a set are over, where it is not patients.
        mean: of ``datasets``, as :func:`mean_over_sets` returns it; without it their mean has no interval.
        honoured_mean: likewise.

    Raises:
        InvalidConfig: the sets are not the same.
    """
    lines = [
        "| set | slices x classes | over | Dice(1) | Dice(3) | Dice(5) | Dice(10) | NoC90 | NoC95 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    found, held = _interactive(datasets), _interactive(honoured or {})
    for name, result in found.items():
        cells = _clicked([result], _click_intervals(result, result.get("dice_interval95", {}).get("mean")))
        over = f"{result['patients']} {units.get(name, PATIENTS)}"
        lines.append(f"| {name} | {_total(result['pairs'])} | {over} | {cells} |")
    if found:
        lines.append(_click_mean("mean of sets", found, mean))
    if held:
        pairs = [{name: _total(result["pairs"]) for name, result in results.items()} for results in (found, held)]
        if pairs[0] != pairs[1]:
            raise InvalidConfig("Clicks were honoured on other slices than not; evaluate the same sets for both.")
        lines.append(_click_mean("mean of sets, clicks honoured", held, honoured_mean))
    return "\n".join(lines)


def _interactive(datasets: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {name: modes["interactive"] for name, modes in sorted(datasets.items()) if "interactive" in modes}


def _click_mean(title: str, results: Mapping[str, Mapping[str, Any]], mean: Mapping[str, Any] | None) -> str:
    """The row of the mean over sets."""
    intervals = None if mean is None else _click_intervals(mean, mean.get("dice_interval95"))
    examined = sum(result["patients"] for result in results.values())
    return f"| **{title}** | | {examined} | {_clicked(list(results.values()), intervals)} |"


def _clicked(results: Sequence[Mapping[str, Any]], intervals: Sequence[Sequence[float] | None] | None = None) -> str:
    """The cells of a row, means over ``results``, with their intervals where they are known."""
    rows = []
    for result in results:
        curve = result["dice"]["mean"]
        rows.append([*(curve[k] if k < len(curve) else None for k in _CLICKS), result["noc90"], result["noc95"]])
    cells = []
    for place, (column, spread) in enumerate(zip(zip(*rows, strict=True), intervals or [None] * 6, strict=True)):
        digits = 3 if place < len(_CLICKS) else 2
        if None in column:
            cells.append("-")
            continue
        bounds = f" [{spread[0]:.{digits}f}, {spread[1]:.{digits}f}]" if spread else ""
        cells.append(f"{sum(column) / len(rows):.{digits}f}{bounds}")
    return " | ".join(cells)


def _click_intervals(
    result: Mapping[str, Any], curves: Sequence[Sequence[float]] | None
) -> list[Sequence[float] | None]:
    """Of the cells of a row, with those of the curve; None for what has none, as of too few patients."""
    dice = [None if curves is None or k >= len(curves[0]) else (curves[0][k], curves[1][k]) for k in _CLICKS]
    return [*dice, result.get("noc90_interval95"), result.get("noc95_interval95")]


def _with_interval(result: Mapping[str, Any] | None, label: str) -> str:
    """Dice of a class, or the ``mean``; empty where there is none."""
    if result is None or label not in result["dice"]:
        return ""
    interval = result["dice_interval95"][label]
    spread = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{result['dice'][label]:.3f}{spread}"


def _total(pairs: Mapping[str, int] | int) -> int:
    if isinstance(pairs, int):
        return pairs
    return pairs["mean"] if "mean" in pairs else sum(pairs.values())
