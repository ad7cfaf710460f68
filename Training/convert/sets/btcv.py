"""BTCV: abdominal CT with 13 organs.

Layout of ``Abdomen/RawData.zip`` (Synapse syn3193805): ``Training/img/img0001.nii.gz`` with
``Training/label/label0001.nii.gz``, numbers 1 to 10 and 21 to 40; ``Testing/img`` has no labels.
"""

from __future__ import annotations

from functools import partial

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.source import Source
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair


def _cases(source: Source) -> list[Case]:
    images = source.files(source.folder("Training/img"), r"img(\d{4})\.nii(?:\.gz)?")
    masks = source.files(source.folder("Training/label"), r"label(\d{4})\.nii(?:\.gz)?")
    return [
        Case(f"img{key}", key, "test", pair, partial(load_volume_pair, *pair, slices=Slices.AXIAL))
        for key, pair in source.pairs(images, masks).items()
    ]


BTCV = Converter(
    About(
        name="BTCV",
        modality="CT (abdomen, portal venous)",
        role="paper external set",
        labels={
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
            10: "portal vein and splenic vein",
            11: "pancreas",
            12: "right adrenal gland",
            13: "left adrenal gland",
        },
        citation=(
            'Landman B. et al., "MICCAI Multi-Atlas Labeling Beyond the Cranial Vault - Workshop and Challenge", '
            "2015, Synapse syn3193805."
        ),
        licence="Synapse registration and the terms accepted there; academic use, no redistribution",
        source="https://www.synapse.org/Synapse:syn3193805 (Abdomen/RawData.zip)",
        layout="RawData/Training with img/img0001.nii.gz and label/label0001.nii.gz",
        split_rule="all 30 labelled scans are test (external set of the paper)",
        paper=PaperCounts({"test": 30}, {"test": 3791}),
        complete={"all": 30},
        ids=tuple(f"img{number:04d}" for number in (*range(1, 11), *range(21, 41))),
        window="ct-wide",
        notes=(
            "The portal and splenic vein is no AMOS organ: a model trained on AMOS cannot name it. Table 6 counts 13 "
            "classes here, while the authors' configuration leaves out this label (10) and has 12; all 13 are kept. "
            "3779 slices are usually counted for these scans; Table 6 has 3791. The authors resample CT volumes before "
            "they pick labelled slices (their script for it, as it was left, takes WORD to 1.5 mm), so that the "
            "numbers need not agree."
        ),
    ),
    _cases,
)
