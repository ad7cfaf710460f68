"""What made an image, from the code that DICOM gives or the words that people write."""

from __future__ import annotations

import re
from collections.abc import Mapping

X_RAY = "X-ray"
_DERMOSCOPY, _ENDOSCOPY, _PATHOLOGY = "dermoscopy", "endoscopy", "pathology"

#: DICOM codes that are called otherwise here.
_CODES: Mapping[str, str | None] = {
    **dict.fromkeys(("CR", "DX", "XR", "RG", "RF"), X_RAY),
    "OT": None,  # "other"
}

_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("ct", "cbct", "cect", "cta"), "CT"),
    **dict.fromkeys(("mr", "mri", "mra", "cmr", "fmri"), "MR"),
    **dict.fromkeys(("us", "ultrasound", "ultrasonography", "sonography", "echocardiography"), "US"),
    **dict.fromkeys(("xray", "radiograph", "radiographs", "radiography"), X_RAY),
    **dict.fromkeys(("pt", "pet"), "PT"),
    **dict.fromkeys(("dermoscopy", "dermatoscopy"), _DERMOSCOPY),
    **dict.fromkeys(("endoscopy", "colonoscopy"), _ENDOSCOPY),
    **dict.fromkeys(("pathology", "histopathology", "histology"), _PATHOLOGY),
}

#: What has several words, as one of :data:`_WORDS`.
_PHRASES = ((r"x[\s-]*rays?\b", "xray"), (r"\bcomputed tomograph\w*", "ct"), (r"\bmagnetic resonance\b", "mr"))

_REMARK = re.compile(r"\(.*?\)|\[.*?\]")

#: A picture of these has no left and right; in a tomogram a mirrored right kidney would be called a left one.
_WITHOUT_SIDES = frozenset({"US", _DERMOSCOPY, _ENDOSCOPY, _PATHOLOGY})


def modality_of(text: str | None) -> str | None:
    """What made an image, by one name: "CT", "MR", "US", :data:`X_RAY`, "dermoscopy" ..., or another code of DICOM.

    Args:
        text: a DICOM modality, or free text, with a remark in brackets or without. Remarks count where nothing else
            tells.

    Returns:
        None where the text does not say it, or names two ("PET/CT").

    >>> modality_of("MRI (brain, FLAIR)"), modality_of("contrast-enhanced CT"), modality_of("DX"), modality_of("fundus")
    ('MR', 'CT', 'X-ray', None)
    """
    said = text or ""
    plain = _REMARK.sub(" ", said).strip()
    if re.fullmatch(r"[A-Z]{2}", plain) and plain.lower() not in _WORDS:
        return _CODES.get(plain, plain)
    for part in (plain, said):
        named = _named(part)
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def has_free_orientation(text: str) -> bool:
    """Whether mirrored or turned images are as natural as the original; ``text`` as for :func:`modality_of`."""
    return modality_of(text) in _WITHOUT_SIDES


def _named(text: str) -> set[str]:
    words = text.lower()
    for phrase, word in _PHRASES:
        words = re.sub(phrase, word, words)
    return {_WORDS[word] for word in re.findall(r"[a-z]+", words) if word in _WORDS}
