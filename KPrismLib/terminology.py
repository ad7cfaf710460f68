"""What a class is called: display name, colour, and the code that 3D Slicer and DICOM know it by.

Codes are SNOMED CT, as in DICOM PS3.16 (CID 7151, 7159, 7166, 4209, 8135) and in 3D Slicer's terminologies. Colours
are those of Slicer's anatomy table where it has one. Where no code is certain the entry says no more than is known:
"Tissue" of a body part.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from dataclasses import dataclass

Colour = tuple[float, float, float]

_TYPES = "Segmentation category and type - DICOM master list"
_REGIONS = "Anatomic codes - DICOM master list"
_NO_CODE = "^^"


@dataclass(frozen=True)
class Term:
    """A class as people and other programs know it.

    Attributes:
        name: display name, such as "Left kidney".
        colour: red, green, blue in 0..1.
        entry: Slicer's serialised terminology entry: list, category, type, type modifier, list, region, modifier.
    """

    name: str
    colour: Colour
    entry: str


@dataclass(frozen=True)
class Code:
    """One concept of a coding scheme, such as SCT (SNOMED CT) 10200004, "Liver"."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class TermCodes:
    """The codes of a terminology entry; ``modifier`` ("Left") and ``region`` where it has them."""

    category: Code
    type: Code
    modifier: Code | None
    region: Code | None


def term_for(class_name: str) -> Term:
    """The term of a class; capital letters, underscores and remarks in brackets do not matter.

    An unknown name gets a colour of its own, always the same, and the type "Tissue".
    """
    plain = plain_name(class_name)
    known = _TERMS.get(plain)
    if known is not None:
        return known
    name = " ".join(class_name.replace("_", " ").split())
    return Term(name[:1].upper() + name[1:], _colour_of(plain), _entry(_TISSUE, _TISSUE))


def plain_name(name: str) -> str:
    """What names of the same class have in common: lower case, no remarks, one spelling.

    >>> plain_name("Lungs (both)"), plain_name("kidney_tumor")
    ('lung', 'kidney tumour')
    """
    plain = " ".join(re.sub(r"[\W_]+", " ", shared_name(name)).split())
    return _OTHER_NAMES.get(plain, plain) or shared_name(name)


def shared_name(name: str) -> str:
    """The name of a class that people may write in several ways: as :func:`plain_name`, but with its hyphens.

    What is nothing but a remark is the name.

    >>> shared_name("Non-neoplastic_polyp (small)"), shared_name("(unnamed)")
    ('non-neoplastic polyp', '(unnamed)')
    """
    without_remarks = re.sub(r"\(.*?\)|\[.*?\]", " ", name)
    words = without_remarks.replace("_", " ").casefold().split() or name.casefold().split()
    shared = " ".join(words).replace("tumor", "tumour")
    return _OTHER_NAMES.get(shared, shared)


def term_codes(entry: str) -> TermCodes:
    """The codes of a serialised terminology entry, as DICOM wants them.

    An entry without a category or type, which other programs may write, means "Tissue".
    """
    fields = [*entry.split("~"), *[""] * 7][:7]
    _, category, type_, modifier, _, region, _ = (_code(field) for field in fields)
    tissue = Code(*_TISSUE.split("^"))
    return TermCodes(category or tissue, type_ or tissue, modifier, region)


def _code(field: str) -> Code | None:
    parts = field.split("^")
    return Code(*parts) if len(parts) == 3 and all(parts) else None


def _colour_of(plain: str) -> Colour:
    """A vivid colour from the letters of a name; ``hash()`` would differ from run to run."""
    digest = hashlib.sha256(plain.encode()).digest()
    hue = int.from_bytes(digest[:4], "big") / 2**32
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.1 * (digest[4] % 4), 0.75 + 0.1 * (digest[5] % 3))
    return round(red, 4), round(green, 4), round(blue, 4)


def _sct(code: str, meaning: str) -> str:
    return f"SCT^{code}^{meaning}"


def _entry(category: str, type_: str, modifier: str = _NO_CODE, region: str = _NO_CODE) -> str:
    return "~".join((_TYPES, category, type_, modifier, _REGIONS, region, _NO_CODE))


def _rgb(red: int, green: int, blue: int) -> Colour:
    return red / 255, green / 255, blue / 255


_TISSUE = _sct("85756007", "Tissue")
_ANATOMY = _sct("123037004", "Anatomical Structure")
_ALTERED = _sct("49755003", "Morphologically Altered Structure")

_KIDNEY = _sct("64033007", "Kidney")
_HIPPOCAMPUS = _sct("5366008", "Hippocampus")
_LESION = _sct("52988006", "Lesion")
_OPTIC_DISC = _sct("81016008", "Optic nerve head")

_TERMS: dict[str, Term] = {
    "liver": Term("Liver", _rgb(221, 130, 101), _entry(_ANATOMY, _sct("10200004", "Liver"))),
    "lung": Term("Lung", _rgb(197, 165, 145), _entry(_ANATOMY, _sct("39607008", "Lung"))),
    "aorta": Term("Aorta", _rgb(224, 97, 76), _entry(_ANATOMY, _sct("15825003", "Aorta"))),
    "gallbladder": Term("Gallbladder", _rgb(139, 150, 98), _entry(_ANATOMY, _sct("28231008", "Gallbladder"))),
    "left kidney": Term("Left kidney", _rgb(185, 102, 83), _entry(_ANATOMY, _KIDNEY, _sct("7771000", "Left"))),
    "right kidney": Term("Right kidney", _rgb(185, 102, 83), _entry(_ANATOMY, _KIDNEY, _sct("24028007", "Right"))),
    "pancreas": Term("Pancreas", _rgb(249, 180, 111), _entry(_ANATOMY, _sct("15776009", "Pancreas"))),
    "spleen": Term("Spleen", _rgb(157, 108, 162), _entry(_ANATOMY, _sct("78961009", "Spleen"))),
    "stomach": Term("Stomach", _rgb(216, 132, 105), _entry(_ANATOMY, _sct("69695003", "Stomach"))),
    "right ventricle": Term(
        "Right ventricle", _rgb(181, 85, 57), _entry(_ANATOMY, _sct("53085002", "Right ventricle"))
    ),
    "myocardium": Term("Myocardium", _rgb(206, 110, 84), _entry(_ANATOMY, _sct("74281007", "Myocardium"))),
    "left ventricle": Term("Left ventricle", _rgb(152, 55, 13), _entry(_ANATOMY, _sct("87878005", "Left ventricle"))),
    "left atrium": Term("Left atrium", _rgb(203, 108, 81), _entry(_ANATOMY, _sct("82471001", "Left atrium"))),
    "anterior hippocampus": Term(
        "Anterior hippocampus", _rgb(78, 152, 141), _entry(_ANATOMY, _HIPPOCAMPUS, _sct("255549009", "Anterior"))
    ),
    "posterior hippocampus": Term(
        "Posterior hippocampus", _rgb(230, 190, 90), _entry(_ANATOMY, _HIPPOCAMPUS, _sct("255551008", "Posterior"))
    ),
    "skin lesion": Term("Skin lesion", _rgb(240, 90, 120), _entry(_ALTERED, _LESION, region=_sct("39937001", "Skin"))),
    "optic disc": Term("Optic disc", _rgb(244, 214, 49), _entry(_ANATOMY, _OPTIC_DISC)),
    # No certain codes for the cup and the glomerulus: tissue of the part that they lie in.
    "optic cup": Term("Optic cup", _rgb(88, 186, 235), _entry(_TISSUE, _TISSUE, region=_OPTIC_DISC)),
    "glomerulus": Term("Glomerulus", _rgb(62, 188, 120), _entry(_TISSUE, _TISSUE, region=_KIDNEY)),
    "polyp": Term(
        "Polyp", _rgb(120, 220, 110), _entry(_ALTERED, _sct("41329004", "Polyp"), region=_sct("71854001", "Colon"))
    ),
    "breast lesion": Term(
        "Breast lesion", _rgb(255, 150, 60), _entry(_ALTERED, _LESION, region=_sct("76752008", "Breast"))
    ),
    "kidney tumour": Term(
        "Kidney tumour", _rgb(144, 238, 144), _entry(_ALTERED, _sct("108369006", "Neoplasm"), region=_KIDNEY)
    ),
    "nucleus": Term("Nucleus", _rgb(120, 140, 255), _entry(_ANATOMY, _sct("84640000", "Nucleus"))),
}

_OTHER_NAMES = {
    "left ventricle cavity": "left ventricle",
    "renal tumour": "kidney tumour",
    "lungs": "lung",
    "nuclei": "nucleus",
    "glomeruli": "glomerulus",
}
