"""Evaluating what a table needs and the results do not hold yet."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from KPrismLib.command.console import say
from KPrismLib.command.evaluate import share
from KPrismLib.dataset import DatasetFolder
from KPrismLib.devices import choose_device
from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.evaluation import EvaluationReport, evaluate
from KPrismLib.evaluation.evaluate import Progress
from KPrismLib.evaluation.journal import discard
from KPrismLib.evaluation.measurements import Skipped
from KPrismLib.evaluation.rows import rows_of, to_csv
from KPrismLib.imaging.atomic_file import made_folder
from KPrismLib.precision import choose_precision, precision_name
from KPrismLib.predictor import Predictor
from KPrismLib.weights import Weights, find_weights, load_weights, tells_all_steps
from Training.report.needs import Need, Others, Protocol
from Training.report.results import Facts, Results, digest
from Training.report.selection import SPLIT, selected
from Training.report.set_content import SetContent
from Training.report.sets import PAPER_SETS, find_sets, names_for, other_folders

_BATCH, _BATCH_ON_CUDA = 4, 16


@dataclass(frozen=True)
class Model:
    """Weights, and the name they have among the results.

    Attributes:
        name: Among the results.
        source: A shipped name or a file.
        device: Where they are to run.
    """

    name: str
    source: str
    device: str = "auto"

    @classmethod
    def named(cls, source: str, device: str = "auto") -> Model:
        """The main model: a file is called what it is called without its ending.

        Raises:
            InvalidWeights: There is no such file or name.
        """
        return cls(find_weights(source).stem, source, device)

    @cached_property
    def path(self) -> Path:
        """The file."""
        return find_weights(self.source)

    @cached_property
    def weights(self) -> Weights:
        """Settings, tensors, notes."""
        return load_weights(self.source)

    @property
    def trained_on(self) -> list[str]:
        """Names of the sets that the weights learned from, as far as they say."""
        return [str(name) for name in self.weights.notes.get("datasets", ())]

    @cached_property
    def digest(self) -> str:
        """See :func:`~Training.report.results.digest`."""
        return digest(self.path)

    @cached_property
    def precision(self) -> str:
        """In which the network computes where it is to run."""
        return precision_name(choose_precision("auto", choose_device(self._own_device), self.weights.config))

    @cached_property
    def predictor(self) -> Predictor:
        """Loaded when first needed: commands that find everything measured never do."""
        return Predictor.load(self.source, device=self._own_device)

    @property
    def _own_device(self) -> str:
        return share(os.environ).device(self.device)


@dataclass(frozen=True)
class Runner:
    """Evaluates datasets for tables, one after the other.

    Attributes:
        results: Where the rows go.
        folders: The datasets at hand, by name.
        redo: Measure again what was measured with another effort or other weights, or before the set changed; otherwise
            that is refused.
        progress: Called after every slice.
    """

    results: Results
    folders: Mapping[str, DatasetFolder]
    redo: bool = False
    progress: Progress | None = None

    def provide(self, model: Model, needs: Iterable[Need]) -> bool:
        """Evaluate whatever is missing; a dataset that cannot be read does not keep the others from it.

        Under torchrun the processes share the slices of every set, and whoever finishes a set last writes it.

        Returns:
            Whether all is there, for one of the processes to go on with; False where others are still at it, or had
            done it before.

        Raises:
            InvalidConfig: Earlier results were made otherwise, and ``redo`` is off.
            InvalidDataset: At the end, if datasets failed.
        """
        needs = tuple(needs)
        self.check(model, needs)
        pending, failed, idle = list[tuple[DatasetFolder, Protocol]](), [], True
        for folder, protocol in self._jobs(model, needs):
            if self.is_done(model, folder, protocol):
                continue
            try:
                idle = False
                if not self._measure(model, folder, protocol):
                    pending.append((folder, protocol))
            except InvalidDataset as error:
                say(str(error) if str(error).startswith(folder.name) else f"{folder.name}: {error}")
                failed.append(folder.name)
        if failed:
            raise InvalidDataset(
                f"Not evaluated, for the reasons above: {', '.join(failed)}. Mend them and run the same command again."
            )
        if idle:
            return share(os.environ).rank == 0
        # Sets that others still had may be finished by now: the last process of all sees every one of them.
        return all(self.is_done(model, folder, protocol) for folder, protocol in pending)

    def check(self, model: Model, needs: Iterable[Need]) -> None:
        """Refuse before anything is measured: a set that is refused later would stand beside others of another effort.

        So would a set that was measured earlier and is not at hand now.

        Raises:
            InvalidConfig: Earlier results were made otherwise, and ``redo`` is off.
            InvalidDataset: Two sets would share a file of results.
        """
        needs, owners = tuple(needs), dict[Path, str]()
        for need in needs if not self.redo else ():
            for facts in self._not_at_hand(model, need):
                # Whether the set has changed since cannot be known.
                if changed := facts.misfit(_plain(need.protocol), model.digest, model.precision, facts.content):
                    raise InvalidConfig(
                        f"{self.results.path(model.name, need.protocol.name, facts.dataset)} was measured with "
                        f"{changed}, and its set is not at hand; add it with --data and give --redo, or another "
                        "folder with --results."
                    )
        for folder, protocol in self._jobs(model, needs):
            self.is_done(model, folder, protocol)
            owner = owners.setdefault(self.results.path(model.name, protocol.name, folder.name), folder.name)
            if owner != folder.name:
                raise InvalidDataset(
                    f"The sets {owner!r} and {folder.name!r} would share one file of results; rename one of the two."
                )

    def _jobs(self, model: Model, needs: Iterable[Need]) -> Iterator[tuple[DatasetFolder, Protocol]]:
        """Each dataset once per protocol, whatever number of the paper's sets it stands for."""
        seen: set[tuple[str, str]] = set()
        for need in needs:
            found = [each.folder for each in find_sets(need.sets, self.folders)]
            found = found[:1] if need.first_only else found
            for folder in (*found, *self._others(model, need.others)):
                if (folder.name, need.protocol.name) not in seen:
                    seen.add((folder.name, need.protocol.name))
                    yield folder, need.protocol

    def _not_at_hand(self, model: Model, need: Need) -> Iterator[Facts]:
        """What was measured earlier for the same table, on sets that are not there to be measured again."""
        wanted, known = names_for(need.sets), names_for(PAPER_SETS)
        for facts in self.results.all_facts(model.name, need.protocol.name):
            name = facts.dataset
            other = name not in known and need.others.include(learned=name in facts.trained_on)
            if name not in self.folders and (name in wanted or other):
                yield facts

    def _others(self, model: Model, wanted: Others) -> tuple[DatasetFolder, ...]:
        folders = other_folders(self.folders) if wanted is not Others.NONE else ()
        return tuple(each for each in folders if wanted.include(learned=each.name in model.trained_on))

    def is_done(self, model: Model, folder: DatasetFolder, protocol: Protocol) -> bool:
        """Whether a set was measured by a protocol, with these weights, as the set is now.

        Raises:
            InvalidConfig: It was measured otherwise, or the table was changed, and ``redo`` is off.
            InvalidDataset: The results of another set are where its own would be.
        """
        self.results.check_place(model.name, protocol.name, folder.name)
        found = self.results.facts(model.name, protocol.name, folder.name)
        if found is None:
            return False
        changed = found.misfit(_plain(protocol), model.digest, model.precision, SetContent.of(folder))
        path = self.results.path(model.name, protocol.name, folder.name)
        if found.is_of(path) and not changed:
            return True
        if self.redo:
            return False
        what = (
            f"was measured with {changed}" if changed else "is not as it was written: rows are missing or were changed"
        )
        raise InvalidConfig(f"{path} {what}; give --redo to measure it again, or another folder with --results.")

    def _measure(self, model: Model, folder: DatasetFolder, protocol: Protocol) -> bool:
        """Evaluate one set; -> whether all its slices are done, by whatever process."""
        part = selected(folder, protocol)
        if isinstance(part, str):
            return True
        started = time.perf_counter()
        path = self.results.path(model.name, protocol.name, folder.name)
        made_folder(path.parent)
        report = self._evaluated(model, part, protocol, path)
        if report.missing:
            say(f"{model.name}, {protocol.name}, {folder.name}: other processes still have {report.missing} slices.")
            return False
        seconds = time.perf_counter() - started
        facts = facts_of(model, folder, protocol, seconds=seconds, skipped=report.skipped)
        rows = rows_of(report.slices, report.volumes, report.references, model.name)
        self.results.save(model.name, protocol.name, facts, to_csv(rows))
        discard(path)
        say(f"{model.name}, {protocol.name}, {folder.name}: {len(rows)} rows in {seconds:.0f} s.")
        return True

    def _evaluated(self, model: Model, part: DatasetFolder, protocol: Protocol, journal: Path) -> EvaluationReport:
        """Evaluate, from what an interrupted evaluation left; of something else with ``redo`` off that is refused."""
        try:
            return self._evaluate(model, part, protocol, journal)
        except InvalidConfig:
            if not self.redo:
                raise
        discard(journal)
        return self._evaluate(model, part, protocol, journal)

    def _evaluate(self, model: Model, part: DatasetFolder, protocol: Protocol, journal: Path) -> EvaluationReport:
        processes = share(os.environ)
        return evaluate(
            model.predictor,
            [part],
            split=SPLIT,
            modes=protocol.modes,
            limit=None if protocol.whole_volumes else protocol.limit,
            clicks=protocol.clicks,
            seed=protocol.seed,
            references=protocol.references,
            axial_references=protocol.axial,
            absent_classes=protocol.absent_classes,
            model=model.name,
            precision=model.precision,
            progress=self.progress,
            batch=_BATCH_ON_CUDA if str(model.predictor.device).startswith("cuda") else _BATCH,
            journal=journal,
            # Which items are looked at belongs to the protocol, and decides the references.
            fingerprint=f"{model.digest} {_plain(protocol)}",
            rank=processes.rank,
            processes=processes.processes,
        )


def facts_of(
    model: Model, folder: DatasetFolder, protocol: Protocol, *, seconds: float, skipped: Iterable[Skipped] = ()
) -> Facts:
    """What is to be kept beside a table."""
    return Facts(
        dataset=folder.name,
        protocol=_plain(protocol),
        digest=model.digest,
        weights=model.source,
        trained_on=model.trained_on,
        device=str(model.predictor.device),
        seconds=round(seconds, 1),
        skipped=[_sentence(entry) for entry in skipped],
        network=str(model.weights.notes.get("network", "")),
        steps=int(model.weights.notes.get("steps", 0)),
        all_steps=tells_all_steps(model.weights.notes),
        precision=model.precision,
        **asdict(SetContent.of(folder)),
    )


def _plain(protocol: Protocol) -> dict[str, Any]:
    """As JSON gives it back, so that stored and asked protocols can be compared."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(protocol)))
    return plain


def _sentence(entry: Skipped) -> str:
    what = " ".join(part for part in (entry.cls, entry.mode and entry.mode.value) if part)
    return f"{what}: {entry.reason}" if what else entry.reason
