"""AMOS: abdominal CT with 15 organs and MRI with 13 of them.

Layout of ``amos22.zip`` (Zenodo 7155725): ``imagesTr``, ``labelsTr``, ``imagesVa``, ``labelsVa``, ``imagesTs``, all
with files ``amos_0001.nii.gz``; numbers up to 0500 are CT, above are MRI. The labels of the test part were not in the
first release; Table 6's test counts (100 CT, 20 MRI) are those of the validation part, which is used here.
"""

from __future__ import annotations

from functools import partial

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.source import Source
from Training.convert.splits import split_patients
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair

_LABELS = {
    0: "background",
    1: "spleen",
    2: "right kidney",
    3: "left kidney",
    4: "gallbladder",
    5: "oesophagus",
    6: "liver",
    7: "stomach",
    8: "aorta",
    9: "inferior vena cava",
    10: "pancreas",
    11: "right adrenal gland",
    12: "left adrenal gland",
    13: "duodenum",
    14: "bladder",
    15: "prostate or uterus",
}
_CITATION = (
    'Ji Y. et al., "AMOS: A large-scale abdominal multi-organ benchmark for versatile medical image segmentation", '
    "NeurIPS Datasets and Benchmarks, 2022."
)
_LAYOUT = "imagesTr, labelsTr, imagesVa and labelsVa with files such as amos_0001.nii.gz (amos22.zip)"
_SPLIT_RULE = (
    "test: the official validation part. The official training part by case, 95 % train and 5 % validation, seed 0 "
    "(A.1). The paper says that it tests on the provided test set, but its counts are those of the validation part."
)
_NOTES = (
    "A.1 lists 15 organs, yet it and Table 6 count 13 classes. Of CT all 15 labels are classes, of MRI labels 1 to 13, "
    "as in the authors' configuration: only some of the MRI scans have the bladder and the prostate or uterus, which "
    "stay in the masks. No patient number is published; every case is taken for a patient."
)
#: Of MRI; of CT every label is a class.
_MRI_CLASSES = {text: (value,) for value, text in _LABELS.items() if 1 <= value <= 13}
_LAST_CT = 500


def _cases(source: Source, *, mri: bool) -> list[Case]:
    cases = []
    for part in ("Tr", "Va"):
        images, masks = (
            {key: path for key, path in found.items() if (int(key[-4:]) > _LAST_CT) is mri}
            for found in (
                source.files(source.folder(kind + part), r"(amos_\d{4})\.nii(?:\.gz)?") for kind in ("images", "labels")
            )
        )
        pairs = source.pairs(images, masks)
        split = split_patients(pairs, {"validation": 0.05}) if part == "Tr" else dict.fromkeys(pairs, "test")
        for key, pair in pairs.items():
            cases.append(Case(key, key, split[key], pair, partial(load_volume_pair, *pair, slices=Slices.AXIAL)))
    return cases


AMOS_CT = Converter(
    About(
        name="AMOS_CT",
        modality="CT (abdomen)",
        role="paper training set",
        labels=_LABELS,
        citation=_CITATION,
        licence="CC BY 4.0 (Zenodo, as redistributions quote it; the page of the paper names CC BY-NC: verify)",
        source="https://zenodo.org/records/7155725 (amos22.zip)",
        layout=_LAYOUT,
        split_rule=_SPLIT_RULE,
        paper=PaperCounts(
            {"train": 190, "validation": 10, "test": 100}, {"train": 33944, "validation": 1689, "test": 17861}
        ),
        complete={"all": 300, "test": 100},
        window="ct-wide",
        notes=_NOTES,
    ),
    partial(_cases, mri=False),
)

AMOS_MRI = Converter(
    About(
        name="AMOS_MRI",
        modality="MR (abdomen)",
        role="paper training set",
        labels=_LABELS,
        classes=_MRI_CLASSES,
        recipe=2,
        citation=_CITATION,
        licence="CC BY 4.0 (Zenodo, as redistributions quote it; the page of the paper names CC BY-NC: verify)",
        source="https://zenodo.org/records/7155725 (amos22.zip)",
        layout=_LAYOUT,
        split_rule=_SPLIT_RULE,
        paper=PaperCounts({"train": 38, "validation": 2, "test": 20}, {"train": 5160, "validation": 263, "test": 2614}),
        complete={"all": 60, "test": 20},
        window="percentile-2-98",
        notes=_NOTES,
    ),
    partial(_cases, mri=True),
)
