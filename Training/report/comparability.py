"""Whether what a mean or a difference is made of was measured with one effort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from Training.report.results import Facts, Part

#: Fields of a protocol in which those of one kind differ on purpose: ``exemplar-01`` from ``exemplar-02``, and runs
#: that were trained for one mode from the others.
_OWN = frozenset({"name", "modes", "exemplar", "references"})


def unlike(facts: Iterable[Facts]) -> list[str]:
    """A sentence for each kind of protocol by which not everything was measured with one effort."""
    kinds: dict[str, list[Facts]] = {}
    for each in facts:
        kinds.setdefault(each.protocol["name"].partition("-")[0], []).append(each)
    return [
        f"**Not alike: {'; '.join(found)}. Means over these are of unlike things; measure them again with one effort "
        "and --redo.**"
        for found in map(_differences, kinds.values())
        if found
    ]


def of_several_weights(parts: Iterable[Part]) -> list[str]:
    """A sentence where the rows of a model are of several weights, since a run was trained again, say."""
    digests: dict[str, set[str]] = {}
    for part in parts:
        digests.setdefault(part.model, set()).add(part.facts.digest)
    found = [model for model, of_model in digests.items() if len(of_model) > 1]
    return [f"**Not of the same weights on every set: {few(found)}; measure again with --redo.**"] if found else []


def _differences(facts: Sequence[Facts]) -> list[str]:
    """Each setting that is not the same everywhere: what it usually is, and where it is something else."""
    found = []
    for setting in sorted({name for each in facts for name in each.protocol} - _OWN):
        places: dict[Any, list[str]] = {}
        for each in facts:
            places.setdefault(each.protocol.get(setting), []).append(f"{each.protocol['name']}/{each.dataset}")
        if len(places) > 1:
            usual, *others = sorted(places, key=lambda value: -len(places[value]))
            listed = ", ".join(f"{_plain(value)} in {few(places[value])}" for value in others)
            found.append(f"{setting} is {_plain(usual)}, but {listed}")
    return found


def _plain(value: Any) -> str:
    return "none" if value is None else str(value)


def few(names: Sequence[str], most: int = 3) -> str:
    """The first names, each once, and how many more there are."""
    distinct = list(dict.fromkeys(names))
    rest = len(distinct) - most
    return " and ".join(distinct[:most]) + (f" and {rest} more" if rest > 0 else "")
