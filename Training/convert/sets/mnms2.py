"""M&Ms-2: long-axis cine cardiac MRI (the short-axis files are not used).

Layout of the download (``MnM2``): ``dataset_information.csv`` and ``dataset/001`` to ``dataset/360`` with
``001_LA_ED.nii.gz``, ``001_LA_ED_gt.nii.gz``, the same for ``ES``, ``001_LA_CINE.nii.gz`` and the short axis as ``SA``.
Patients 001 to 160 are training, 161 to 200 validation, 201 to 360 test. The numbers of the masks (1 left ventricle,
2 myocardium, 3 right ventricle) are those of M&Ms. A long-axis file is one oblique slice.
"""

from __future__ import annotations

from functools import partial

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.source import Source
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair

_COUNT, _LAST_VALIDATION = 360, 200


def _cases(source: Source) -> list[Case]:
    cases = []
    source.know(r"\d{3}_(?:SA_.*|LA_CINE)\.nii\.gz")
    for patient, folder in source.sub_folders(source.folders_with(r"\d{3}")[0], r"(\d{3})").items():
        split = "validation" if int(patient) <= _LAST_VALIDATION else "test"
        for phase in ("ED", "ES"):
            name = f"{patient}_LA_{phase}"
            image, mask = source.file(folder, f"{name}.nii.gz"), source.file(folder, f"{name}_gt.nii.gz")
            if image is not None and mask is not None:
                load = partial(load_volume_pair, image, mask, slices=Slices.ACQUIRED)
                cases.append(Case(name, patient, split, (image, mask), load, {"phase": phase}))
    return cases


MNMS2 = Converter(
    About(
        name="M&Ms-2",
        modality="MR (cine cardiac, long axis)",
        role="paper unseen-class set: never train on it",
        labels={0: "background", 1: "left ventricle cavity", 2: "myocardium", 3: "right ventricle"},
        citation=(
            'Martin-Isla C. et al., "Deep Learning Segmentation of the Right Ventricle in Cardiac MRI: The M&Ms '
            'Challenge", IEEE JBHI 27(7):3302-3313, 2023; Campello V. M. et al., IEEE TMI 40(12), 2021.'
        ),
        licence="CC BY-NC-SA 4.0 (from memory of the download page; verify)",
        source="https://www.ub.edu/mnms-2/",
        layout="dataset/001 ... dataset/360, each with 001_LA_ED.nii.gz and 001_LA_ED_gt.nii.gz (and ES)",
        split_rule="validation: patients 001-200 (official training and validation); test: 201-360 (official test)",
        paper=PaperCounts({"validation": 400, "test": 320}, {"validation": 400, "test": 320}),
        complete={"validation": 400, "test": 320},
        ids=tuple(f"{number:03d}_LA_{phase}" for number in range(1, _COUNT + 1) for phase in ("ED", "ES")),
        window="min-max",
        notes=(
            "Two one-slice items per patient. Unseen is the view, not the anatomy: the classes have the names of M&Ms. "
            "Patients of M&Ms may be among these; nobody says."
        ),
    ),
    _cases,
)
