"""What made an image and how it was cut, as far as anything says so, and whether that of a reference is another."""

from __future__ import annotations

from collections.abc import Iterable

from KPrismLib.imaging.modality import modality_of
from KPrismLib.imaging.planes import Plane
from KPrismLib.intensity import IntensityWindow

COLOUR = "a colour picture"


def kind_of(modality: str | None, window: IntensityWindow, *, colour: bool) -> str | None:
    """Modality, as :func:`~KPrismLib.imaging.modality.modality_of` names it, or :data:`COLOUR`; None when nothing says.

    Args:
        modality: as in DICOM, or in words; None when unknown.
        window: of the image; that of CT says what NIfTI files do not.
        colour: whether the image has colours.
    """
    if colour:
        return COLOUR
    return modality_of(modality) or ("CT" if window.rule.startswith("ct-") else None)


def foreign_reference(image: str | None, references: Iterable[str | None]) -> str:
    """One sentence when a reference is of another kind than the image; "" when none is, or nobody knows."""
    other = sorted({kind for kind in references if kind is not None} - {image})
    if image is None or not other:
        return ""
    return _with_care(image, other, "kind")


def other_plane(image: Plane | None, references: Iterable[Plane]) -> str:
    """One sentence when a reference shows another plane than the image; "" when none does, or nobody knows."""
    other = sorted({plane.value for plane in references if plane is not image})
    if image is None or not other:
        return ""
    return _with_care(image.value, other, "plane")


def _with_care(image: str, references: Iterable[str], same: str) -> str:
    return (
        f"The image is {image} but a reference is {' and '.join(references)}, so look at the result with care; "
        f"references of the same {same} are safer."
    )
