"""Whether a difference that we measured goes the way the paper says."""

from __future__ import annotations

from KPrismLib.evaluation.bootstrap import FEWEST_PATIENTS
from Training.report.document import MISSING
from Training.report.statistics import Number

AGREES, DISAGREES, OPEN = "yes", "**no**", "open"


def verdict(ours: Number | None, theirs: float | None) -> str:
    """Compare the sign of our difference with the paper's.

    Returns:
        ``yes`` or ``no`` where our interval leaves zero out, ``open`` where it does not.
    """
    if ours is None or theirs is None or theirs == 0:
        return MISSING
    if not ours.excludes_zero:
        return OPEN
    return AGREES if (float(ours.value) > 0) == (theirs > 0) else DISAGREES


#: In how many of 100 differences that are none a 95 % interval leaves zero out.
BY_CHANCE = 5

VERDICT_NOTE = (
    "The last columns compare signs with the paper's difference: yes or no where our 95 % interval leaves zero out, "
    f"open where it does not, or where a set has fewer than {FEWEST_PATIENTS} patients. Of differences that are none, "
    f"about {BY_CHANCE} in 100 get a yes or no by chance, of five to eight patients 6 to 8, and up to 12 "
    "where few values are far from the rest."
)
