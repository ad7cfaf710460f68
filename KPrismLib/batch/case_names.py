"""What cases of a batch are called: after their files and series, and each by a name of its own."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from KPrismLib.imaging import itk_volumes, nifti, pictures
from KPrismLib.imaging.dicom_headers import SUFFIXES as DICOM_SUFFIXES
from KPrismLib.imaging.dicom_headers import DicomHeader

if TYPE_CHECKING:
    from KPrismLib.batch.cases import Case

IMAGE_SUFFIXES = (*pictures.SUFFIXES, *nifti.SUFFIXES, *itk_volumes.SUFFIXES)
_LONGEST_TITLE = 60


def stem(name: str) -> str:
    """A file name without the ending of its format."""
    known = (*IMAGE_SUFFIXES, *DICOM_SUFFIXES)
    ending = max((suffix for suffix in known if name.lower().endswith(suffix)), key=len, default="")
    return name[: len(name) - len(ending)] or name


def title(header: DicomHeader) -> str:
    """A file name for a series: its number and its description."""
    number = "" if header.series_number is None else f"{header.series_number}_"
    description = re.sub(r"[^\w.+-]+", "_", header.description).strip("_.")
    return f"{number}{description}"[:_LONGEST_TITLE] or "series"


def with_own_names(cases: Iterable[Case]) -> list[Case]:
    """The same cases; those that would share a name get the ending of their file, a mark of their series, or a number.

    A mark, since the number of a series changes with those that come later, and its result is known by its name.
    """
    full = _told_apart(_told_apart(list(cases), _ending), _mark)
    taken: set[str] = set()
    result = []
    for case in full:
        name, number = case.name, 1
        while name.casefold() in taken:
            number += 1
            name = f"{case.name}-{number}"
        taken.add(name.casefold())
        result.append(replace(case, name=name))
    return result


def _told_apart(cases: Sequence[Case], addition: Callable[[Case], str]) -> list[Case]:
    """The same cases, those that share a name with something added to it."""
    # Without regard to capital letters: many disks make no difference.
    shared = Counter(case.name.casefold() for case in cases)
    return [
        replace(case, name=f"{case.name}{addition(case)}") if shared[case.name.casefold()] > 1 else case
        for case in cases
    ]


def _ending(case: Case) -> str:
    """That of the file, "" of several."""
    return case.source.name[len(stem(case.source.name)) :] if len(case.files) == 1 else ""


def _mark(case: Case) -> str:
    """What tells a series from others of its name, whatever others there are; "" of anything else."""
    return f"-{hashlib.sha256(case.series_uid.encode()).hexdigest()[:6]}" if case.series_uid else ""
