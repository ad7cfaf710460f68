"""What the results hold, asked by the names of the paper's sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from KPrismLib.evaluation.measurements import SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.settings import Mode
from Training.report.comparability import few
from Training.report.results import Facts, Part, Results
from Training.report.sets import PAPER_SETS, StandIn, names_for, with_patients_of

TRAINED_MARK = " †"

Work = tuple[str, str]
"""The names of a model and of a protocol among the results."""


@dataclass(frozen=True)
class Measured:
    """What was measured for one set.

    Attributes:
        name: Of the set in the paper; of the dataset folder where the paper has no such set.
        part: The rows.
        remark: What makes the folder different from the set; empty for the set itself.
        classes: The classes that count; all when empty.
    """

    name: str
    part: Part
    remark: str = ""
    classes: tuple[str, ...] = ()

    @property
    def dataset(self) -> str:
        """The dataset folder."""
        return self.part.facts.dataset

    @property
    def was_trained_on(self) -> bool:
        """Whether the weights say that they learned from the folder, or from another one with patients of it."""
        return not with_patients_of(self.dataset).isdisjoint(self.part.facts.trained_on)

    def slices(self, mode: Mode) -> list[SliceMeasurement]:
        """Measurements of slices in a mode."""
        return self.part.slices(mode, self.classes)

    def volumes(self, mode: Mode) -> list[VolumeMeasurement]:
        """Measurements of whole volumes in a mode."""
        return self.part.volumes(mode, self.classes)


@dataclass(frozen=True)
class View:
    """The results of one main model, and of the ablations.

    Attributes:
        results: The folder.
        model: Name of the main model.
        seed: Of the bootstrap.
        digest: Of the main model's weights; what others of its name measured is left out. Empty: they all count.
    """

    results: Results
    model: str
    seed: int = 0
    digest: str = ""

    def facts(self, protocol: str = "*") -> list[Facts]:
        """How all that counts of the main model came about; of one protocol, or of any."""
        return [each for each in self.results.all_facts(self.model, protocol) if self._counts(each)]

    def left_out(self) -> list[str]:
        """A sentence on what was measured with other weights of the main model's name, if there is any."""
        others = [each for each in self.results.all_facts(self.model) if not self._counts(each)]
        names = few([f"{each.protocol['name']}/{each.dataset}" for each in others])
        return [f"Left out, for other weights called {self.model} measured them: {names}."] if others else []

    def _counts(self, facts: Facts) -> bool:
        return self.digest in ("", facts.digest)

    def _part(self, work: Work, dataset: str) -> Part | None:
        return self.results.part(*work, dataset) if self._has(work, dataset) else None

    def _has(self, work: Work, dataset: str) -> bool:
        facts = self.results.facts(*work, dataset)
        return facts is not None and (work[0] != self.model or self._counts(facts))

    def measured(self, protocol: str, name: str, model: str | None = None) -> Measured | None:
        """What was measured for a set of the paper: on the set itself, or else on the first stand-in there is."""
        work = (self.model if model is None else model, protocol)
        return self.measured_on_one((name,), [work]).get(work)

    def measured_on_one(self, names: Sequence[str], works: Sequence[Work]) -> dict[Work, Measured]:
        """What was measured by several models and protocols, all of it on one folder, so that it can be compared.

        Args:
            names: Sets of the paper, any of which will do, best first.
            works: What is compared.

        Returns:
            What there is of it on the folder that has most; of several, on a set itself rather than on a stand-in.
        """
        best: tuple[StandIn | None, str, list[Work]] = (None, "", [])
        for name in names:
            for stand_in in (None, *PAPER_SETS[name].stand_ins):
                folder = name if stand_in is None else stand_in.name
                done = [work for work in works if self._has(work, folder)]
                if len(done) > len(best[2]):
                    best = (stand_in, name, done)
        stand_in, name, done = best
        found = {}
        for work in done:
            part = self._part(work, name if stand_in is None else stand_in.name)
            if part is not None:
                found[work] = Measured(name, part, *(() if stand_in is None else (stand_in.remark, stand_in.classes)))
        return found

    def all_measured(self, protocol: str, names: Iterable[str], model: str | None = None) -> list[Measured]:
        """The same for several sets; sets without results are left out."""
        found = (self.measured(protocol, name, model) for name in names)
        return [each for each in found if each is not None]

    def others(self, protocol: str) -> list[Measured]:
        """What was measured on folders without a counterpart in the paper."""
        known = names_for(PAPER_SETS)
        found = []
        for name in self.results.datasets(self.model, protocol):
            part = self._part((self.model, protocol), name) if name not in known else None
            if part is not None:
                found.append(Measured(name, part))
        return found


def where(measured: Measured) -> str:
    """The folder, marked where the weights learned from it."""
    return measured.dataset + (TRAINED_MARK if measured.was_trained_on else "")


def remarks(measured: Sequence[Measured]) -> list[str]:
    """A sentence on the stand-ins, if there are any."""
    texts = dict.fromkeys(f"{each.dataset} for {each.name} ({each.remark})" for each in measured if each.remark)
    return [f"Stand-ins: {', '.join(texts)}."] if texts else []


def protocol_lines(facts: Iterable[Facts]) -> list[str]:
    """How much was measured: a line for all protocols of which as much was."""
    names: dict[str, dict[str, None]] = {}
    for each in facts:
        protocol = each.protocol
        unit = "whole volumes" if protocol["whole_volumes"] else "slices"
        limit = protocol["limit"]
        amount = f"all {unit}" if limit is None else f"at most {limit} {unit} of each test split, evenly spread"
        names.setdefault(f"{amount}, seed {protocol['seed']}", {})[f"`{protocol['name']}`"] = None
    return [f"- {', '.join(found)}: {amount}." for amount, found in names.items()]
