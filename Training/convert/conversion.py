"""One conversion from start to end: look, complain or go on, write what is not yet written, describe."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidDataset, InvalidImage, InvalidMask
from KPrismLib.imaging.voxel_values import labels_in
from Training.convert.about import About
from Training.convert.cases import Case, Converter, Piece, ShapesDiffer, UnusableFile
from Training.convert.counts import SplitCount, count_items
from Training.convert.findings import Finding, Kind, listed
from Training.convert.ledger import Ledger
from Training.convert.moved import moved
from Training.convert.source import Source
from Training.convert.stamps import Stamp, mark, same_content
from Training.convert.target import check_target
from Training.convert.writer import Writer

_LARGEST_COUNTED = 65535

#: Called before each case with its number, the number of cases and its id.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Outcome:
    """How a conversion went.

    Attributes:
        findings: Everything that was not as expected.
        counts: Found beside the paper.
        converted: Cases read in this run.
        kept: Cases that an earlier run had finished.
        description: The written ``dataset.json``; None when there is none because of the findings.
    """

    findings: tuple[Finding, ...]
    counts: tuple[SplitCount, ...]
    converted: int
    kept: int
    description: Path | None

    @property
    def ok(self) -> bool:
        """Whether the dataset folder is there."""
        return self.description is not None


def convert(
    converter: Converter,
    source_root: Path,
    target: Path,
    *,
    allow_missing: bool = False,
    store: bool = False,
    progress: Progress = lambda *_: None,
) -> Outcome:
    """Convert a download; run again after an interruption, it goes on where it stopped.

    Findings that can be seen without reading images stop it before anything is written. Those that only reading shows
    let it go on with the other cases, so that all of them are known in the end, but leave out ``dataset.json``.

    Args:
        converter: Of which set.
        source_root: The official download, unpacked.
        target: The dataset folder to write.
        allow_missing: Leave out what is missing or unreadable, and say so in ``dataset.json``.
        store: Write volumes as slice stores instead of NIfTI.
        progress: Told about every case.

    Raises:
        InvalidDataset: The folder is not the download, nothing of it could be used, or the target is not for this set.
        CannotWrite: The target cannot be written; what is finished stays finished.
    """
    about = converter.about
    check_target(target, source_root, about.name)
    source = Source(source_root, name=about.name, layout=about.layout)
    cases = converter.cases(source)
    source.finish()
    _check_complete(source, cases, about)
    cases = _not_empty(source, cases)
    _check_doubled(source, cases)
    if _stopped(source) and not allow_missing:
        return Outcome(tuple(source.findings), (), 0, 0, None)
    ledger = Ledger(target, about.name)  # first, as it says whose folder this is
    writer = Writer(target, about, store=store)
    items: list[dict[str, Any]] = []
    converted = kept = 0
    for number, case in enumerate(cases):
        progress(number, len(cases), case.id)
        inputs = {source.relative(path): path for path in case.files}
        recipe = f"{about.name} {about.recipe}" + (" store" if store else "")
        finished = ledger.items(case.id, inputs, recipe)
        if finished is not None:
            kept += 1
            # Patient and split are dealt anew each time: another version may know better, another download hold more.
            written = [item | {"split": case.split, "patient": case.patient} for item in finished]
        else:
            stamps = {name: Stamp.of(path) for name, path in inputs.items()}
            pieces = _load(source, case, about)
            if pieces is None:
                continue
            written = writer.write(case, pieces)
            ledger.finish(case.id, stamps, recipe, written)
            converted += 1
        _remark(source, case, written)
        items += written
    counts = tuple(count_items(items, about.paper))
    if _stopped(source) and not (allow_missing and items):
        return Outcome(tuple(source.findings), counts, converted, kept, None)
    if not items:
        raise InvalidDataset(f"Nothing of {source_root} could be converted: it should contain {about.layout}.")
    source.findings += moved(target, items)
    description = writer.describe(items, _record(source.findings, counts))
    DatasetFolder.open(target)
    return Outcome(tuple(source.findings), counts, converted, kept, description)


def _stopped(source: Source) -> bool:
    return any(finding.kind.stops for finding in source.findings)


def _check_complete(source: Source, cases: list[Case], about: About) -> None:
    """A download that stopped half way may have no gaps: its cases are counted, or named where they are numbered."""
    present = {case.id for case in cases}
    for case_id in about.ids:
        named = re.compile(rf"{re.escape(case_id)}(?!\d)")  # volume-1 is not named where volume-10 is
        if case_id not in present and not any(named.search(str(finding)) for finding in source.findings):
            source.note(Kind.MISSING, case_id)
    found = Counter({"all": len(cases), **Counter(case.split for case in cases)})
    parts = Counter(case.extras.get("part", "") for case in cases)
    counted = [
        *(("cases" if split == "all" else f"{split} cases", found[split], of) for split, of in about.complete.items()),
        *((f"cases of the {part} part", parts[part], of) for part, of in about.parts.items() if part in parts),
    ]
    for what, number, expected in counted:
        if number < expected:
            source.note(Kind.MISSING, f"{expected - number} of {expected} {what}", f"only {number} found")
        elif number > expected:
            source.note(Kind.REMARK, f"{number} {what}", f"the official download has {expected}")


def _not_empty(source: Source, cases: list[Case]) -> list[Case]:
    """Cases without files of 0 bytes, which an interrupted download leaves behind; these are noted."""
    empty = {path for case in cases for path in case.files if path.stat().st_size == 0}
    for path in empty:
        source.note(Kind.DAMAGED, path, "empty file")
    return [case for case in cases if empty.isdisjoint(case.files)]


def _check_doubled(source: Source, cases: list[Case]) -> None:
    """Ids that occur twice, and images that are equal under two names."""
    for case_id, number in Counter(case.id for case in cases).items():
        if number > 1:
            raise InvalidDataset(f"{source.root} holds the case {case_id} {number} times; remove the copies.")
    alike: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        alike[mark(case.files[0])].append(case)
    for first, *others in alike.values():
        for other in others:
            if same_content(first.files[0], other.files[0]):
                across = f", and the splits differ ({first.split}, {other.split})" if first.split != other.split else ""
                # Some sets are published with such copies, so that this is no fault of the download.
                source.note(Kind.REMARK, other.files[0], f"the same image as {first.files[0].name}{across}")


def _load(source: Source, case: Case, about: About) -> list[Piece] | None:
    """The pieces of a case, or None after a note why there are none."""
    try:
        pieces = list(case.load())
    except ShapesDiffer as error:
        source.note(Kind.MISMATCHED, case.files[0], str(error))
        return None
    except (InvalidImage, InvalidMask) as error:
        source.note(Kind.DAMAGED, error.path if isinstance(error, UnusableFile) else case.files[0], str(error))
        return None
    for piece in pieces:
        unknown = sorted(_values(piece.labels) - {0, *about.labels})
        if unknown:
            source.note(Kind.LABELS, case.files[0], f"the mask holds {', '.join(map(str, unknown[:5]))}")
            return None
    return pieces


def _remark(source: Source, case: Case, items: Iterable[Mapping[str, Any]]) -> None:
    """What is to be known about a case, told by its items, which also an earlier run may have written."""
    for item in items:
        if item.get("mask_header_differs"):
            source.note(Kind.REMARK, case.files[0], "the mask's header differs from the image's; the image's was taken")
        if item.get("empty_mask"):
            source.note(Kind.REMARK, case.files[-1], "nothing is outlined; if that is not so, fetch the file again")
        if overruled := item.get("header_overruled"):
            source.note(Kind.REMARK, case.files[0], f"the header contradicts the anatomy ({', '.join(overruled)})")


def _values(labels: npt.NDArray[np.integer]) -> set[int]:
    if labels.min() >= 0 and labels.max() <= _LARGEST_COUNTED:
        return set(labels_in(labels.astype(np.uint16)))  # counting: sorting a whole volume takes half a minute
    return {int(value) for value in np.unique(labels)}


def _record(findings: list[Finding], counts: tuple[SplitCount, ...]) -> Mapping[str, Any]:
    return {"counts": [asdict(count) for count in counts], "findings": listed(findings)}
