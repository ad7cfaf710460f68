"""Tables 9 and 10: which reference, and how many."""

from __future__ import annotations

import numpy as np

from KPrismLib.evaluation.references import AXIAL_POSITIONS
from KPrismLib.evaluation.settings import Mode
from Training.report import paper_numbers
from Training.report.comparability import unlike
from Training.report.document import MISSING, Section, Table, percent, printed, signed_percent
from Training.report.needs import Effort, exemplar, shots
from Training.report.statistics import dice_after, difference, mean, patients, sample
from Training.report.verdict import VERDICT_NOTE, verdict
from Training.report.view import Measured, View, remarks, where

_MOST_EXEMPLARS = 99


def table9(view: View) -> Section | None:
    """Mean, spread and range over references, each of which served all images."""
    rows, used = [], []
    for theirs in paper_numbers.rows("table9"):
        measured = _exemplars(str(theirs["set"]), view)
        if len(measured) < 2:
            continue
        used += measured
        numbers = [mean([sample(each.slices(Mode.IN_CONTEXT), dice_after(0))], seed=view.seed) for each in measured]
        dice = np.array([100 * float(number.value) for number in numbers if number is not None])
        ours = (dice.mean(), dice.std(ddof=1), dice.min(), dice.max())
        rows.append(
            [str(theirs["set"]), f"{where(measured[0])}, ours", str(len(dice)), *(f"{value:.2f}" for value in ours)]
        )
        printed_values = [printed(theirs[name]) for name in ("mean", "std", "min", "max")]
        rows.append([str(theirs["set"]), "paper", "10", *printed_values])
    if not rows:
        return None
    return Section(
        "table9",
        [Table(["paper's set", "measured on", "references", "mean", "std", "min", "max"], rows)],
        notes=[
            "A reference is one training item that shows every class; of a volume, the middle slice of each class.",
            *unlike(each.part.facts for each in used),
            *remarks(used),
            *paper_numbers.contradictions("table9"),
        ],
    )


def table10(view: View) -> Section | None:
    """One to nine references at fixed positions of a volume."""
    works = {(view.model, shots(count, Effort()).name): count for count in AXIAL_POSITIONS}
    measured = view.measured_on_one(("AMOS_MRI", "AMOS_CT"), list(works))
    found = {works[work]: each for work, each in measured.items()}
    if not found:
        return None
    fewest = min(found)
    base = found[fewest].slices(Mode.IN_CONTEXT)
    one = paper_numbers.row("table10", shots=fewest)["dice"]
    rows = []
    for count, each in found.items():
        theirs = paper_numbers.row("table10", shots=count)["dice"]
        slices = each.slices(Mode.IN_CONTEXT)
        ours = percent(mean([sample(slices, dice_after(0))], seed=view.seed))
        cells = [str(count), _given(each), ours, printed(theirs)]
        if count == fewest:
            rows.append([*cells, MISSING, MISSING, MISSING])
            continue
        gained = mean([difference(slices, base, dice_after(0))], seed=view.seed)
        rows.append([*cells, signed_percent(gained), printed(theirs - one), verdict(gained, theirs - one)])
    header = [
        *("references", "different slices given", "ours [95 %]", "paper"),
        *(f"against {fewest}, same slices", "paper", "with the paper?"),
    ]
    measured_on = next(iter(found.values()))
    remark = f"Measured on {measured_on.dataset}"
    if measured_on.name != paper_numbers.table("table10")["set"]:
        remark += " (there is no abdominal MR at hand, and CT stands in)"
    return Section(
        "table10",
        [Table(header, rows)],
        notes=[
            *unlike(each.part.facts for each in found.values()),
            f"{remark}: {patients(base)} patients.",
            *remarks([measured_on]),
            VERDICT_NOTE,
        ],
    )


def _given(measured: Measured) -> str:
    """How many different slices served as references: fewer than asked where no volume shows the class in so many."""
    counts = [len(set(row.references)) for row in measured.part.rows if row.references]
    if not counts:
        return MISSING
    mean_count, fewest = np.mean(counts), min(counts)
    return str(fewest) if fewest == max(counts) else f"{mean_count:.1f}, at least {fewest}"


def _exemplars(name: str, view: View) -> list[Measured]:
    works = [(view.model, exemplar(number, Effort()).name) for number in range(_MOST_EXEMPLARS)]
    return list(view.measured_on_one((name,), works).values())
