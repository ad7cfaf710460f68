"""LAScarQS 2022: left atrium in LGE MRI (task 2, cavity).

Layout: ``LAScarQS2022/task2/train_data/train_1/enhanced.nii.gz`` with ``atriumSegImgMO.nii.gz`` (the cavity; task 1
also has ``scarSegImgM.nii.gz``), up to ``train_130``. Other releases name the enclosing folder ``LA cavity
segmentation（MRI）``, so that any sub-folder of ``train_data`` is taken for a case. The value of the cavity is not
documented; every value above 0 is taken. All cases are scans of 60 patients of one centre (Utah), before and after
ablation; whose is not published.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.source import Source
from Training.convert.splits import split_patients
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair

_COUNT = 130
# The brackets of the second are full-width, as in the archive.
_HOMES = ("task2/train_data", "LA cavity segmentation（MRI）/train_data", "Task2/train_data", "train_data")


def _binary(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    return (labels > 0).astype(np.uint8)


def _cases(source: Source) -> list[Case]:
    source.know(r"scarSegImgM\.nii\.gz")
    found = {}
    for case, folder in source.sub_folders(source.folder(*_HOMES), r"([^._].*)").items():
        image, mask = source.file(folder, "enhanced.nii.gz"), source.file(folder, "atriumSegImgMO.nii.gz")
        if image is not None and mask is not None:
            found[case] = image, mask
    split = split_patients(found, {"test": 32 / _COUNT})
    return [
        Case(
            case,
            case,
            split[case],
            pair,
            partial(load_volume_pair, *pair, slices=Slices.AXIAL, map_labels=_binary),
        )
        for case, pair in found.items()
    ]


LASCARQS = Converter(
    About(
        name="LAScarQS",
        modality="MR (cardiac, late gadolinium enhancement)",
        role="paper training set",
        labels={0: "background", 1: "left atrium"},
        citation=(
            'Li L. et al., "Atrial scar quantification via multi-scale CNN in the graph-cuts framework", MedIA '
            '60:101595, 2020; Li L. et al., "AtrialGeneral", MICCAI 2021; Li L. et al., "AtrialJSQnet", MedIA '
            '76:102303, 2022; Li L. et al., "Medical image analysis on left atrial LGE MRI for atrial fibrillation '
            'studies: A review", MedIA 77:102360, 2022.'
        ),
        licence="CC BY-NC-ND 4.0 (data usage agreement of the LAScarQS++ track; registration needed)",
        source="https://zmiclab.github.io/projects/lascarqs22/",
        layout="task2/train_data with a folder per case (enhanced.nii.gz and atriumSegImgMO.nii.gz)",
        split_rule=(
            "by case, 98 train and 32 test as in Table 6, seed 0. A.1 says 80/20, which would be 104 and 26; the "
            "paper's own list is not published. A case is not a patient: scans of one patient may be on both sides."
        ),
        paper=PaperCounts({"train": 98, "test": 32}, {"train": 3561, "test": 1183}),
        complete={"all": _COUNT},
        window="min-max",
        notes=(
            "Task 2 only; the scar labels of task 1 are not used. All 130 scans come from one centre (Utah), of 60 "
            "patients scanned before and after ablation; which scans are whose is not published. So no split can keep "
            "patients apart, Dice on the test part flatters, and intervals are over scans, not patients. The same "
            "patients may be in both tasks."
        ),
    ),
    _cases,
)
