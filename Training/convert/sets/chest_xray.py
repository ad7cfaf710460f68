"""Chest X-ray: Montgomery and Shenzhen radiographs with outlined lungs.

Two layouts are read. That of the National Library of Medicine: ``MontgomerySet/CXR_png/MCUCXR_0001_0.png`` with
``MontgomerySet/ManualMask/leftMask`` and ``rightMask`` of the same names, and ``Shenzhen-Hospital-CXR-Set/CXR_png`` (in
the older archive ``ChinaSet_AllFiles/CXR_png``) with ``CHNCXR_0001_0.png``, whose masks come from elsewhere (Stirenko
et al., on Kaggle as ``shcxr-lung-mask``), as ``mask/CHNCXR_0001_0_mask.png``. And that of "Chest Xray Masks and Labels"
on Kaggle, whose name the paper gives: ``Lung Segmentation/CXR_png`` with both sets and ``Lung Segmentation/masks``,
where only Shenzhen's have the suffix ``_mask``. Shenzhen's radiographs are numbered from 1 to 662; 96 have no mask.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.pictures import load_picture_pair
from Training.convert.source import Source
from Training.convert.splits import authors_training

_Files = dict[str, tuple[Path, ...]]

#: Radiographs of both sets, with and without mask; in the order of their names those of Shenzhen come first.
_RADIOGRAPHS = 800
_SHENZHEN, _MONTGOMERY = r"(CHNCXR_\d{4}_[01])", r"(MCUCXR_\d{4}_[01])"


def _cases(source: Source) -> list[Case]:
    shenzhen, montgomery = _pairs_of_kaggle(source) or _pairs_of_nlm(source)
    training = authors_training(_RADIOGRAPHS)
    split = dict.fromkeys(montgomery, "external") | {
        key: "train" if _number(key) - 1 in training else "test" for key in shenzhen
    }
    return [
        Case(
            key,
            key,
            split[key],
            files,
            partial(load_picture_pair, *files),
            {"site": "Shenzhen" if key in shenzhen else "Montgomery", "tuberculosis": key.endswith("_1")},
        )
        for key, files in (shenzhen | montgomery).items()
    ]


def _number(key: str) -> int:
    return int(key.split("_")[1])


def _pairs_of_kaggle(source: Source) -> tuple[_Files, _Files] | None:
    home = source.find_folder("Lung Segmentation")
    if home is None or not (home / "CXR_png").is_dir() or not (home / "masks").is_dir():
        return None
    found: list[_Files] = []
    for pattern, suffix in ((_SHENZHEN, "_mask"), (_MONTGOMERY, "(?:_mask)?")):
        images = source.files(home / "CXR_png", pattern + r"\.png")
        masks = source.files(home / "masks", pattern + suffix + r"\.png")
        found.append(dict(source.pairs(images, masks, unmasked=pattern == _SHENZHEN)))
    return found[0], found[1]


def _pairs_of_nlm(source: Source) -> tuple[_Files, _Files]:
    folder = source.folder("Shenzhen-Hospital-CXR-Set/CXR_png", "ChinaSet_AllFiles/CXR_png")
    images = source.files(folder, _SHENZHEN + r"\.png")
    homes = ("mask/mask", "mask", "Shenzhen-Hospital-CXR-Set/mask", "ChinaSet_AllFiles/mask")
    masks = source.files(source.folder(*homes), _SHENZHEN + r"_mask\.png")
    shenzhen: _Files = dict(source.pairs(images, masks, unmasked=True))
    home = source.folder("MontgomerySet")
    images, left, right = (
        source.files(source.folder(f"{home.name}/{name}"), _MONTGOMERY + r"\.png")
        for name in ("CXR_png", "ManualMask/leftMask", "ManualMask/rightMask")
    )
    with_left, with_right = source.pairs(images, left), source.pairs(images, right)
    montgomery: _Files = {
        key: (*with_left[key], with_right[key][1]) for key in sorted(with_left.keys() & with_right.keys())
    }
    return shenzhen, montgomery


CHEST_XRAY = Converter(
    About(
        name="Chest X-ray",
        modality="X-ray (chest)",
        role="paper training set (Shenzhen); Montgomery is external",
        labels={0: "background", 1: "lung"},
        citation=(
            'Jaeger S. et al., "Automatic tuberculosis screening using chest radiographs", IEEE TMI 33(2):233-245, '
            '2014; Candemir S. et al., "Lung segmentation in chest radiographs using anatomical atlases with nonrigid '
            'registration", IEEE TMI 33(2):577-590, 2014; Stirenko S. et al., ELNANO 2018 (Shenzhen masks).'
        ),
        licence="no restriction stated by the NLM, citation asked for; Kaggle lists CC0",
        source=(
            "https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets/ and "
            "https://www.kaggle.com/datasets/yoctoman/shcxr-lung-mask, or "
            "https://www.kaggle.com/datasets/nikhilpandey360/chest-xray-masks-and-labels"
        ),
        layout=(
            "MontgomerySet, Shenzhen-Hospital-CXR-Set (or ChinaSet_AllFiles) and the folder mask of the Shenzhen "
            "masks, or Kaggle's Lung Segmentation with CXR_png and masks"
        ),
        split_rule=(
            "Shenzhen: by image (one per patient), as in the authors' preparation scripts: the names of all 800 "
            "radiographs sorted, shuffled with seed 42, the first 80 % train; of those, the ones with a Shenzhen mask, "
            "which are the 450 train and 116 test of Table 6. They leave out Montgomery (138), which is external here."
        ),
        paper=PaperCounts(slices={"train": 450, "test": 116}),
        complete={"all": 704, "external": 138},
        notes=(
            "Left and right lung are one class. Radiographs are large (up to 4892 pixels) and kept as they are. The "
            "last digit of the names says whether tuberculosis was found."
        ),
    ),
    _cases,
)
