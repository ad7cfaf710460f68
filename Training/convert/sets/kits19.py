"""KiTS19: kidneys and kidney tumours in CT.

Layout of the repository after its download script: ``data/case_00000/imaging.nii.gz`` and ``segmentation.nii.gz``, up
to ``case_00209``; ``case_00210`` and above are the test cases, without masks. The arrays are stored slices first (axes
inferior, posterior, left); the headers say so since the correction of April 2019 (neheller/kits19, issues 8 and 15).
"""

from __future__ import annotations

from functools import partial

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.source import Source
from Training.convert.splits import authors_training
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair

_COUNT = 210
_NAMES = ("imaging.nii.gz", "imaging.nii"), ("segmentation.nii.gz", "segmentation.nii")


def _cases(source: Source) -> list[Case]:
    home = source.folders_with(r"case_\d{5}")[0]
    found = {}
    for case, folder in source.sub_folders(home, r"(case_\d{5})").items():
        if int(case[-5:]) < _COUNT:
            image, mask = (source.file(folder, *names) for names in _NAMES)
            if image is not None and mask is not None:
                found[case] = image, mask
    training = authors_training(_COUNT)
    split = {case: "train" if int(case[-5:]) in training else "test" for case in found}
    return [
        Case(case, case, split[case], pair, partial(load_volume_pair, *pair, slices=Slices.AXIAL))
        for case, pair in found.items()
    ]


KITS19 = Converter(
    About(
        name="KiTS",
        modality="CT (abdomen, contrast-enhanced)",
        role="paper training set",
        labels={0: "background", 1: "kidney (without tumours)", 2: "kidney tumour"},
        recipe=2,
        # A.1: "only the tumor labels from each CT volume are utilized".
        classes={"kidney tumour": (2,)},
        citation=(
            'Heller N. et al., "The KiTS19 Challenge Data: 300 Kidney Tumor Cases with Clinical Context, CT Semantic '
            'Segmentations, and Surgical Outcomes", arXiv:1904.00445, 2019.'
        ),
        licence="CC BY-NC-SA 4.0",
        source="https://github.com/neheller/kits19",
        layout="data with case_00000 ... case_00209, each with imaging.nii.gz and segmentation.nii.gz",
        split_rule=(
            "by case, 168 train and 42 test as in Table 6 (A.1: 80/20): the authors' preparation scripts shuffle a "
            "list of the cases with seed 42 and take the first 80 %. The list itself is not published; that it runs "
            "from 0 to 209, as in earlier scripts of their group, is likely and not certain."
        ),
        paper=PaperCounts({"train": 168, "test": 42}, {"train": 5269, "test": 1609}),
        complete={"all": _COUNT},
        ids=tuple(f"case_{number:05d}" for number in range(_COUNT)),
        window="ct-kidney-liver-tumour",
        notes=(
            "The kidney label stays in the masks; `classes` uses the tumour only, as the paper does. Table 6 counts "
            "slices with tumour. Files from before the correction of April 2019 have wrong headers."
        ),
    ),
    _cases,
)
