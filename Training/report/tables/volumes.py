"""Whole volumes: what ``python -m Training.volume_report`` measured, which has no table in the paper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from KPrismLib.errors import InvalidDataset
from Training.report.document import MISSING, Table, percent, plain
from Training.report.statistics import Number

VOLUMES_NAME = "volumes.json"

#: Titles of the parts, and which of their numbers are shown: name to heading and whether it is a share.
_PARTS: Mapping[str, tuple[str, Mapping[str, tuple[str, bool]]]] = MappingProxyType(
    {
        "classes": (
            "A class through the volume, Dice (%) of the whole volume",
            {
                "found": ("found", True),
                "every_piece": ("nothing taken away", True),
                "found_where_shown": ("found, slices that show it", True),
                "every_piece_where_shown": ("nothing taken away, slices that show it", True),
                "false_slices": ("other slices in which it is found (%)", True),
                "every_piece_false_slices": ("nothing taken away (%)", True),
            },
        ),
        "propagation": (
            "One true middle slice, Dice (%) of the whole volume",
            {
                "propagated": ("propagated", True),
                "by_class": ("propagated as its class", True),
                "one_shot": ("one-shot in-context from it", True),
                "plain": ("plain use of the same references", True),
                "propagated_where_shown": ("propagated, slices that show it", True),
                "one_shot_where_shown": ("one-shot, slices that show it", True),
                "confidence_rank": ("rank correlation of confidence and Dice", False),
            },
        ),
        "learning": (
            "True slices, evenly spread, with and without learning from them, Dice (%) of all other slices; "
            "told the class where the model knows it",
            {
                "propagated_1": ("one slice", True),
                "learned_1": ("learned", True),
                "by_class_1": ("one slice, told the class", True),
                "learned_by_class_1": ("learned", True),
                "propagated_3": ("three slices", True),
                "learned_3": ("learned", True),
                "by_class_3": ("three slices, told the class", True),
                "learned_by_class_3": ("learned", True),
            },
        ),
        "clicks": (
            "Clicks until the volume's Dice is 90 %",
            {
                "least_certain": ("correcting the least certain slice", False),
                "independent": ("correcting slices independently, each from nothing", False),
                "independent_in_context": ("each from what the first slice gives in-context", False),
                "by_class": ("told the class: least certain", False),
                "independent_by_class": ("each from what the class gives", False),
                "careful_least_certain": ("slices corrected to 95 %: least certain", False),
                "careful_independent": ("independently", False),
                "careful_independent_in_context": ("each from in-context", False),
            },
        ),
        "learning_clicks": (
            "Clicks until the volume's Dice is 90 %, learning whenever twice as many slices are accepted",
            {
                "learned": ("told the class: least certain", False),
                "learned_dice": ("Dice (%) reached", True),
            },
        ),
        "guided_clicks": (
            "The same, every slice beginning with what the class gives or was carried to it, and clicks guided by it",
            {
                "guided": ("told the class: least certain", False),
                "guided_dice": ("Dice (%) reached", True),
                "careful_guided": ("slices corrected to 95 %", False),
                "careful_guided_dice": ("Dice (%) reached", True),
            },
        ),
        "retrieval": (
            "References from a library, Dice (%) of the middle slice",
            {
                "suggested": ("one suggested", True),
                "random_mean": ("mean of ten random ones", True),
                "random_p90": ("90th percentile of the ten", True),
                "percentile": ("percentile of the suggested among the ten", True),
                "suggested_five": ("five suggested together", True),
                "five_random_mean": ("mean of ten random fives", True),
                "five_percentile": ("percentile among the random fives", True),
                "five_percentile_of_ones": ("among single random ones", True),
                "told": ("told the class: one", True),
                "told_percentile": ("its percentile among the ten", True),
                "told_five": ("told the class: five together", True),
                "told_five_percentile": ("among the random fives", True),
                "told_five_percentile_of_ones": ("among single random ones", True),
            },
        ),
    }
)

Summary = Mapping[str, Mapping[str, Mapping[str, Any]]]

#: Begins the names of what each of the references gives that are used for all cases.
_EXEMPLAR = "exemplar_"


def volumes(file: Path) -> str | None:
    """The section, or ``None`` where nothing was measured.

    Raises:
        InvalidDataset: the file is damaged.
    """
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        tables = [_table(*_PARTS[part], content["summary"][part]) for part in _PARTS if content["summary"].get(part)]
        spread = _spread_of_exemplars(content["summary"].get("retrieval", {}))
        weights = content["settings"]["weights"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidDataset(f"{file} is no report of whole volumes; measure it again.") from error
    head = (
        "## Whole volumes\n\n"
        f"Not in the paper, which names them as future work; `python -m Training.volume_report`, weights {weights}. "
        "Means over structures of test volumes, 95 % bootstrap intervals over patients: of five patients or more."
    )
    return "\n\n".join([head, *(table.markdown() for table in [*tables, *spread])]) + "\n"


def _table(title: str, columns: Mapping[str, tuple[str, bool]], summary: Summary) -> Table:
    rows: list[Sequence[str]] = []
    for group in _groups(summary):
        numbers = summary[group]
        cases = max(number["cases"] for number in numbers.values())
        patients = max(number.get("patients", 0) for number in numbers.values()) or MISSING  # which older files lack
        cells = [_cell(numbers.get(name), share) for name, (_, share) in columns.items()]
        rows.append([_title(group), str(cases), str(patients), *cells])
    return Table(["set", "structures", "patients", *(heading for heading, _ in columns.values())], rows, title)


def _spread_of_exemplars(summary: Summary) -> list[Table]:
    """As Table 9: what a suggestion for every slice gives against the spread of references that serve all slices."""
    rows: list[Sequence[str]] = []
    for group in _groups(summary):
        numbers = summary[group]
        cases = max(number["cases"] for number in numbers.values())
        # Of all sets together only what every set has: means over other cases cannot be compared.
        means = np.array(
            [
                number["mean"]
                for name, number in numbers.items()
                if name.startswith(_EXEMPLAR) and number["cases"] == cases
            ]
        )
        if len(means) > 1:
            spread = [means.mean(), means.std(ddof=1), means.min(), means.max(), np.quantile(means, 0.9)]
            suggested = [numbers[name]["mean"] if name in numbers else None for name in ("suggested", "told")]
            beaten = [None if one is None else np.mean(means < one) + 0.5 * np.mean(means == one) for one in suggested]
            shares = [*spread, suggested[0], beaten[0], suggested[1], beaten[1]]
            cells = [
                MISSING if share is None else percent(Number.stored(float(share), None, cases)) for share in shares
            ]
            rows.append([_title(group), str(cases), str(len(means)), *cells])
    columns = ["set", "structures", "references", "mean of the references", "std", "min", "max", "90th percentile",
               "one suggested for each slice", "its percentile", "told the class", "its percentile"]  # fmt: skip
    title = "The same suggestions against the spread of Table 9: references each of which serves all slices, Dice (%)"
    return [Table(columns, rows, title)] if rows else []


def _groups(summary: Summary) -> list[str]:
    return sorted(summary, key=lambda group: (group == "all", group))


def _title(group: str) -> str:
    return "**all**" if group == "all" else group


def _cell(number: Mapping[str, Any] | None, share: bool) -> str:
    if number is None:
        return MISSING
    return (percent if share else plain)(Number.stored(number["mean"], number["interval95"], number["cases"]))
