"""Figures 3, 4 and 5, and the dots that go with the tables: from rows to plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from KPrismLib.evaluation.settings import Mode
from Training.report import paper_numbers
from Training.report.document import Picture, Section, Table
from Training.report.gates import PLACES, GateWeight, mean_weights
from Training.report.needs import ONE_SHOT
from Training.report.plots import Curve, Dot, convergence, dots, expert_bars
from Training.report.sets import PAPER_SETS, Group
from Training.report.statistics import curve, dice_after, mean, patients, sample
from Training.report.tables.ablations import ablation_changes
from Training.report.tables.clicks import group_of, interactive_sets
from Training.report.view import View, where

_CURVES_PER_ROW = 5
_LABELS = {
    Mode.SEMANTIC: "Mode-1, semantic",
    Mode.IN_CONTEXT: "Mode-2, in-context",
    Mode.INTERACTIVE: "Mode-3, interactive",
}


def figure3(view: View, folder: Path) -> Section | None:
    """Mean convergence over the groups of sets."""
    measured = interactive_sets(view)
    curves = []
    for group in Group:
        counted = [each for each in measured if group_of(each) is group]
        number = mean([sample(each.slices(Mode.INTERACTIVE), curve) for each in counted], seed=view.seed)
        if number is not None:
            title = f"{group.value} ({len(counted)} set{'s' if len(counted) > 1 else ''})"
            curves.append(Curve(title, number, _printed_points(group)))
    if not curves:
        return None
    convergence(curves, folder / "figure3.png", columns=len(curves))
    text = "Dice after each click, mean over the sets of a group, with 95 % bands over the patients of Table 4; "
    text += "the paper prints one and five clicks."
    return Section("figure3", pictures=[Picture("figure3.png", text)])


def figure4(weights: list[GateWeight], folder: Path) -> Section | None:
    """Mean gate weights by mode."""
    if not weights:
        return None
    shares = {_LABELS[mode]: mean_weights(weights, mode) for mode in _LABELS}
    expert_bars(shares, folder / "figure4.png")
    text = f"Mean softmax weight of each expert over all gates of the decoder, by mode, on {weights[0].dataset}."
    notes = [
        "The paper's figure has no numbers: its Mode-1 prefers one expert, Mode-2 another, Mode-3 is nearly even.",
        "Every gate counts the same: those of the cross-attention in both directions and those of the FFN.",
    ]
    return Section("figure4", [_by_place(weights)], pictures=[Picture("figure4.png", text)], notes=notes)


def _by_place(weights: list[GateWeight]) -> Table:
    experts = max(each.expert for each in weights)
    rows = []
    for place, meaning in PLACES.items():
        for mode, label in _LABELS.items():
            shares = mean_weights(weights, mode, place)
            if len(shares):
                rows.append([meaning, label, *(f"{share:.2f}" for share in shares)])
    return Table(["gate", "mode", *(f"expert {number}" for number in range(1, experts + 1))], rows)


def figure5(view: View, folder: Path) -> Section | None:
    """Convergence on each set."""
    found = {each.dataset: each for each in (*interactive_sets(view), *view.others("clicks"))}
    curves = []
    for each in found.values():
        number = mean([sample(each.slices(Mode.INTERACTIVE), curve)], seed=view.seed)
        if number is not None:
            curves.append(Curve(where(each).replace("†", "(trained)"), number, {}))
    if not curves:
        return None
    counts = [patients(each.slices(Mode.INTERACTIVE)) for each in found.values()]
    few, many = min(counts), max(counts)
    convergence(curves, folder / "figure5.png", columns=_CURVES_PER_ROW)
    text = "Dice after each click on every set, mean over (slice, class) pairs; bands are 95 % intervals over "
    text += f"patients, {few} to {many} of a set."
    return Section("figure5", pictures=[Picture("figure5.png", text)])


def dice_dots(view: View, folder: Path) -> Picture | None:
    """Tables 2 and 3 at a glance."""
    groups: dict[str, list[Dot]] = {}
    for mode in ONE_SHOT:
        entries = []
        for each in view.all_measured("masks", PAPER_SETS):
            number = mean([sample(each.slices(mode), dice_after(0))], seed=view.seed)
            if number is not None:
                entries.append(Dot(f"{each.name}: {each.dataset}", number.scaled(100), _printed_dice(each.name, mode)))
        if entries:
            groups[_LABELS[mode]] = entries
    if not groups:
        return None
    dots(groups, folder / "dice.png", label="Dice (%)")
    return Picture("dice.png", "Dice of Tables 2 and 3 by the paper's protocol, beside the paper's on its own sets.")


def ablation_dots(view: View, folder: Path) -> Picture | None:
    """Tables 5a and 7 at a glance: what each change does to Dice."""
    titles = {"semantic": "semantic", "in_context": "in-context", "dice5": "after five clicks"}
    groups: dict[str, dict[str, Dot]] = {}
    for key in ("table5a", "table7b", "table7a"):
        for change in ablation_changes(key, view):
            if change.column in titles:
                label = f"experts: {change.method}" if key == "table7b" else change.method
                dot = Dot(label, change.ours.scaled(100), change.paper)
                groups.setdefault(titles[change.column], {})[label] = dot
    if not groups:
        return None
    entries = {title: list(found.values()) for title, found in groups.items()}
    dots(entries, folder / "ablations.png", label="change of Dice (points)", zero=True)
    return Picture("ablations.png", "What each change of Tables 5a and 7 does to Dice, against the full network.")


def _printed_dice(name: str, mode: Mode) -> float | None:
    for key in ("table2", "table3", "table3_unseen"):
        if name in paper_numbers.table(key)["sets"]:
            return paper_numbers.dice_of_set(key, name, mode.value)
    return None


def _printed_points(group: Group) -> dict[str, dict[int, float]]:
    """The paper's own method first."""
    rows: list[Any] = [row for row in paper_numbers.rows("table4") if row["group"] == group.value]
    rows.sort(key=lambda row: row["method"] != paper_numbers.OURS)
    return {str(row["method"]): {1: row["dice1"], 5: row["dice5"]} for row in rows}
