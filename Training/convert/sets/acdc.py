"""ACDC: short-axis cine cardiac MRI.

Layout of the download: ``database/training/patient001`` to ``patient100`` and ``database/testing/patient101`` to
``patient150``, each with ``Info.cfg`` (``ED: 1``, ``ES: 12``, ``Group: DCM`` ...; frames counted from 1),
``patient001_4d.nii.gz`` and, for the frames ED and ES, ``patient001_frame01.nii.gz`` and
``patient001_frame01_gt.nii.gz``. The headers hold no patient orientation (the directions are those of the array), so
that the slices stay as they are stored.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.findings import Kind
from Training.convert.source import Source
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair

_PARTS = {"training": "validation", "testing": "test"}


def _read_info(path: Path) -> dict[str, str]:
    # Another file under this name has no frame numbers, which is noted; no need to fail at its first strange byte.
    text = path.read_text(encoding="utf-8", errors="replace")
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _cases(source: Source) -> list[Case]:
    source.know(r"patient\d{3}_4d\.nii(?:\.gz)?")
    cases = []
    for part, split in _PARTS.items():
        for patient, folder in source.sub_folders(source.folder(part), r"(patient\d{3})").items():
            info = source.file(folder, "Info.cfg")
            facts = _read_info(info) if info is not None else {}
            for phase in ("ED", "ES") if info is not None else ():
                if not facts.get(phase, "").isdigit():
                    source.note(Kind.DAMAGED, folder / "Info.cfg", f"no frame number for {phase}")
                    continue
                name = f"{patient}_frame{int(facts[phase]):02d}"
                image = source.file(folder, f"{name}.nii.gz", f"{name}.nii")
                mask = source.file(folder, f"{name}_gt.nii.gz", f"{name}_gt.nii")
                if image is not None and mask is not None:
                    load = partial(load_volume_pair, image, mask, slices=Slices.ACQUIRED)
                    extras = {"phase": phase, "group": facts.get("Group", "")}
                    cases.append(Case(name, patient, split, (image, mask), load, extras))
    return cases


ACDC = Converter(
    About(
        name="ACDC",
        modality="MR (cine cardiac, short axis)",
        role="paper external set",
        labels={0: "background", 1: "right ventricle", 2: "myocardium", 3: "left ventricle cavity"},
        citation=(
            'Bernard O. et al., "Deep Learning Techniques for Automatic MRI Cardiac Multi-Structures Segmentation and '
            'Diagnosis: Is the Problem Solved?", IEEE TMI 37(11):2514-2525, 2018.'
        ),
        licence="CC BY-NC-SA 4.0 (verify on the download page)",
        source="https://humanheart-project.creatis.insa-lyon.fr/database/",
        layout="training/patient001 ... and testing/patient101 ..., each with Info.cfg and patient001_frame01.nii.gz",
        split_rule="validation: the official training part; test: the official test part (A.1); nothing is trained on",
        paper=PaperCounts({"validation": 200, "test": 100}, {"validation": 1841, "test": 1001}),
        complete={"validation": 200, "test": 100},
        window="min-max",
        notes="Two items per patient, end diastole and end systole; the 4-D series are not used.",
    ),
    _cases,
)
