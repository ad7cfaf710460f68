"""Images and references of different kinds are told apart, and nothing is said where nobody knows."""

import pytest

from KPrismLib.imaging.kinds import COLOUR, foreign_reference, kind_of
from KPrismLib.intensity import IntensityWindow

CT_WINDOW, OTHER = IntensityWindow(-160, 240, "ct-abdomen"), IntensityWindow(0, 900, "min-max")


@pytest.mark.parametrize(
    ("modality", "window", "colour", "kind"),
    [
        ("CT", CT_WINDOW, False, "CT"),
        ("CT (abdomen)", CT_WINDOW, False, "CT"),
        ("mr", OTHER, False, "MR"),
        ("MR", CT_WINDOW, False, "MR"),
        ("CR", OTHER, False, "X-ray"),
        ("DX", OTHER, False, "X-ray"),
        (None, CT_WINDOW, False, "CT"),
        (None, OTHER, False, None),
        ("", OTHER, False, None),
        ("US", OTHER, True, COLOUR),
    ],
)
def test_the_kind_of_an_image(modality, window, colour, kind):
    assert kind_of(modality, window, colour=colour) == kind


def test_only_what_is_known_to_differ_is_told():
    assert foreign_reference("CT", {"CT", None}) == ""
    assert foreign_reference(None, {"MR"}) == ""
    assert foreign_reference("CT", ()) == ""
    assert foreign_reference("CT", {"MR", "CT", None}).startswith("The image is CT but a reference is MR, so look")
    assert "is MR and a colour picture" not in foreign_reference("CT", {"MR"})
    assert "a reference is MR and a colour picture" in foreign_reference("CT", {COLOUR, "MR"})
