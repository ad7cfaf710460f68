"""M&Ms: short-axis cine cardiac MRI of several vendors and centres.

Layout of the download (``OpenDataset``): a table ``211230_M&Ms_Dataset_information_diagnosis_opendataset.csv`` (older
releases: ``201014_M&Ms_Dataset_Information_-_opendataset.csv``) with the columns ``External code``, ``Vendor``,
``Centre``, ``ED``, ``ES`` (frames counted from 0), and the folders ``Training/Labeled``, ``Training/Unlabeled``,
``Validation`` and ``Testing`` with ``A0S9V9/A0S9V9_sa.nii.gz`` and ``A0S9V9_sa_gt.nii.gz``, both 4-D. Only the frames
ED and ES are outlined; the masks of ``Training/Unlabeled`` are empty.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from KPrismLib.errors import InvalidDataset
from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.findings import Kind
from Training.convert.source import Source
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair

_TABLE = r"\d+_M&Ms_Dataset_[Ii]nformation.*\.csv"
_COLUMNS = ("External code", "Vendor", "Centre", "ED", "ES")
_PARTS = {"Training/Labeled": "train", "Validation": "test", "Testing": "test"}


def _read_table(path: Path) -> dict[str, Mapping[str, str]]:
    """Rows by patient code."""
    # Another file under this name lacks the columns, whatever its bytes are.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lacking = [column for column in _COLUMNS if not rows or column not in rows[0]]
    if lacking:
        raise InvalidDataset(f"{path.name} lacks the columns {', '.join(lacking)}; download it again.")
    return {row["External code"]: row for row in rows}


def _cases(source: Source) -> list[Case]:
    tables = source.files(source.folders_with(_TABLE), f"({_TABLE})")
    # Named after their dates: the last one is the corrected one.
    rows = _read_table(tables[max(tables)])
    for name in sorted(tables.keys() - {max(tables)}):
        source.note(Kind.REMARK, tables[name], f"not read, {max(tables)} is")
    cases = []
    for part, split in _PARTS.items():
        for patient, folder in source.sub_folders(source.folder(part), r"([A-Z0-9]{6})").items():
            image = source.file(folder, f"{patient}_sa.nii.gz")
            mask = source.file(folder, f"{patient}_sa_gt.nii.gz")
            if patient not in rows:
                source.note(Kind.MISSING, f"row {patient} of the table", "its ED and ES frames are unknown")
            elif image is not None and mask is not None:
                row = rows[patient]
                try:
                    frames = {f"_{phase}": int(float(row[phase])) for phase in ("ED", "ES")}
                except ValueError:
                    source.note(Kind.MISSING, f"ED and ES of {patient} in the table")
                    continue
                load = partial(load_volume_pair, image, mask, slices=Slices.ACQUIRED, frames=frames)
                extras = {"vendor": row["Vendor"], "centre": row["Centre"], "part": part.split("/")[0]}
                cases.append(Case(patient, patient, split, (image, mask), load, extras))
    return cases


MNMS = Converter(
    About(
        name="M&Ms",
        modality="MR (cine cardiac, short axis)",
        role="paper training set",
        labels={0: "background", 1: "left ventricle cavity", 2: "myocardium", 3: "right ventricle"},
        citation=(
            'Campello V. M. et al., "Multi-Centre, Multi-Vendor and Multi-Disease Cardiac Segmentation: The M&Ms '
            'Challenge", IEEE TMI 40(12):3543-3554, 2021.'
        ),
        licence="CC BY-NC-SA 4.0 (from memory of the download page; verify)",
        source="https://www.ub.edu/mnms/",
        layout=(
            "OpenDataset with the table 211230_M&Ms_Dataset_information_diagnosis_opendataset.csv and the folders "
            "Training/Labeled, Validation and Testing"
        ),
        split_rule=(
            "train: Training/Labeled; test: Validation and Testing together. The paper says 'the official train and "
            "test sets', and only both parts give Table 6's 340 volumes (2 x (34 + 136))."
        ),
        paper=PaperCounts({"train": 300, "test": 340}, {"train": 2475, "test": 2821}),
        complete={"train": 150, "test": 170},
        window="min-max",
        notes=(
            "Two items per patient, end diastole (_ED) and end systole (_ES). Slices as acquired: the short axis is "
            "oblique. 30 further patients of one centre must be asked for separately and are in no count."
        ),
    ),
    _cases,
)
