import subprocess
import sys

import pytest
from pydicom.sr._concepts_dict import concepts

from KPrismLib.terminology import Code, plain_name, term_codes, term_for

CLASSES = """liver, lung, aorta, gallbladder, left kidney, right kidney, pancreas, spleen, stomach, right ventricle,
myocardium, left ventricle, left atrium, anterior hippocampus, posterior hippocampus, skin lesion, optic disc,
optic cup, polyp, breast lesion, kidney tumour, glomerulus, nucleus""".replace("\n", " ").split(", ")

# In SNOMED CT, but not among the concepts that pydicom takes from DICOM: myocardium structure, polyp (morphology), and
# the code that Slicer uses for anatomical structure.
NOT_IN_PYDICOM = {"74281007", "41329004", "123037004"}
NUCLEUS = "84640000"  # in DICOM, but not in pydicom before 3


def _codes(entry):
    parts = entry.split("~")
    return [tuple(part.split("^")) for part in (*parts[1:4], *parts[5:7]) if part != "^^"]


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_a_name_a_colour_and_an_entry_that_slicer_can_parse(name):
    term = term_for(name)
    assert term.name.casefold() == name
    assert all(0 <= part <= 1 for part in term.colour)
    parts = term.entry.split("~")
    assert len(parts) == 7
    assert parts[0] == "Segmentation category and type - DICOM master list"
    assert parts[4] == "Anatomic codes - DICOM master list"
    assert all(len(parts[n].split("^")) == 3 for n in (1, 2, 3, 5, 6))
    assert "|" not in term.entry


def test_the_entry_of_the_liver_is_slicers_own():
    assert term_for("liver").entry == (
        "Segmentation category and type - DICOM master list~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~"
        "Anatomic codes - DICOM master list~^^~^^"
    )


@pytest.mark.parametrize("name", CLASSES)
def test_codes_are_those_of_dicom(name):
    meanings: dict[str, set[str]] = {}
    for entries in concepts["SCT"].values():
        for code, (meaning, _) in entries.items():
            meanings.setdefault(code, set()).add(meaning.casefold())
    for scheme, code, meaning in _codes(term_for(name).entry):
        assert scheme == "SCT"
        if code not in NOT_IN_PYDICOM and (code != NUCLEUS or code in meanings):
            # Slicer writes "altered" where DICOM writes "abnormal".
            assert meaning.casefold().replace("altered", "abnormal") in meanings[code]


def test_sides_are_modifiers():
    left, right = term_for("left kidney").entry, term_for("right kidney").entry
    assert "SCT^64033007^Kidney~SCT^7771000^Left~" in left
    assert "SCT^64033007^Kidney~SCT^24028007^Right~" in right


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Left_Kidney", "left kidney"),
        ("LIVER", "liver"),
        ("liver (including tumours)", "liver"),
        ("kidney tumor", "kidney tumour"),
        ("optic disc (rim)", "optic disc"),
        ("left ventricle cavity", "left ventricle"),
    ],
)
def test_spelling_does_not_matter(written, meant):
    assert term_for(written) == term_for(meant)


def test_an_unknown_class_is_tissue_with_a_colour_of_its_own():
    term = term_for("necrosis_core")
    assert term.name == "Necrosis core"
    assert "SCT^85756007^Tissue~SCT^85756007^Tissue" in term.entry
    others = {term_for(f"class {number}").colour for number in range(50)}
    assert len(others) == 50
    assert all(max(colour) >= 0.75 for colour in others)


def test_the_colour_of_an_unknown_class_is_the_same_in_every_run():
    command = "from KPrismLib.terminology import term_for; print(term_for('oedema').colour)"
    other_run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert other_run.stdout.strip() == str(term_for("oedema").colour)


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("Left_Kidney", "left kidney"),
        ("kidney tumor", "kidney tumour"),
        ("liver (including tumours)", "liver"),
        ("  LUNGS ", "lung"),
        ("left ventricle cavity", "left ventricle"),
        ("", ""),
    ],
)
def test_one_class_has_one_plain_name(typed, plain):
    assert plain_name(typed) == plain


def test_the_codes_of_an_entry():
    codes = term_codes(term_for("left kidney").entry)
    assert codes.category == Code("SCT", "123037004", "Anatomical Structure")
    assert codes.type == Code("SCT", "64033007", "Kidney")
    assert codes.modifier == Code("SCT", "7771000", "Left")
    assert codes.region is None
    assert term_codes(term_for("polyp").entry).region == Code("SCT", "71854001", "Colon")


@pytest.mark.parametrize("entry", ["", "list~^^~^^", "nonsense~a^b~~~~~~~~"])
def test_an_entry_without_codes_means_tissue(entry):
    codes = term_codes(entry)
    assert codes.category == codes.type == Code("SCT", "85756007", "Tissue")
    assert codes.modifier is None
