"""BUSI: breast ultrasound with benign and malignant lesions.

Layout of ``Dataset_BUSI.zip``: ``Dataset_BUSI_with_GT/benign/benign (1).png`` with ``benign (1)_mask.png``, and
``benign (1)_mask_1.png``, ``_mask_2.png`` where an image shows several lesions; likewise ``malignant``. The folder
``normal`` has empty masks and is not used.
"""

from __future__ import annotations

from functools import partial

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.near_duplicates import cluster_pictures
from Training.convert.pictures import load_picture_pair
from Training.convert.source import Source
from Training.convert.splits import split_patients

_COUNTS = {"benign": 437, "malignant": 210}
_TOTAL = sum(_COUNTS.values())


def _cases(source: Source) -> list[Case]:
    home = source.folder("Dataset_BUSI_with_GT/benign", "benign").parent
    files = {}
    for kind in _COUNTS:
        folder = source.folder(f"{home.name}/{kind}", kind)
        stem = rf"({kind} \(\d+\))"
        images = source.files(folder, stem + r"\.png")
        masks = source.files(folder, stem + r"_mask\.png")
        others = source.files(folder, rf"({kind} \(\d+\)_mask_\d+)\.png")
        for key, pair in source.pairs(images, masks).items():
            more = [path for name, path in others.items() if name.startswith(f"{key}_mask_")]
            files[f"{kind}_{int(key[len(kind) + 2 : -1]):03d}"] = (*pair, *more)
    cluster = cluster_pictures({key: paths[0] for key, paths in files.items()})
    split = split_patients((cluster[key] for key in files), {"test": 129 / _TOTAL})
    return [
        Case(
            key,
            cluster[key],
            split[cluster[key]],
            paths,
            partial(load_picture_pair, *paths),
            {"kind": key.split("_")[0], "lesions": len(paths) - 1},
        )
        for key, paths in sorted(files.items())
    ]


BUSI = Converter(
    About(
        name="Breast Cancer",
        modality="US (breast)",
        role="paper training set",
        labels={0: "background", 1: "breast lesion"},
        citation=('Al-Dhabyani W. et al., "Dataset of breast ultrasound images", Data in Brief 28:104863, 2020.'),
        licence="unclear: the download page states none; the article is CC BY, Kaggle copies say CC0",
        source="https://scholar.cu.edu.eg/?q=afahmy/pages/dataset (Dataset_BUSI.zip)",
        layout="Dataset_BUSI_with_GT with benign, malignant and normal, and files such as 'benign (1)_mask.png'",
        split_rule=(
            "518 train and 129 test as in Table 6, seed 0, by cluster of near duplicates: A.1 splits 80/20 by image, "
            "but many images show the same lesion again."
        ),
        paper=PaperCounts(slices={"train": 518, "test": 129}),
        complete={"all": _TOTAL},
        ids=tuple(f"{kind}_{number:03d}" for kind, count in _COUNTS.items() for number in range(1, count + 1)),
        notes=(
            "Several masks of one image are one. The authors' preparation scripts copy the first alone, so that in the "
            "paper 17 images lack lesions. Patients are not published; `patient` holds the cluster (48 x 48 "
            "thumbnails that correlate above 0.88, single linkage), named after its first image. Some images carry "
            "burnt-in calipers and text."
        ),
    ),
    _cases,
)
