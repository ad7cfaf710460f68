import numpy as np
import pytest
from PIL import Image

from KPrismLib.errors import CannotWrite, GeometryMismatch, InvalidConfig, InvalidImage
from KPrismLib.imaging.coverage import Sheet
from KPrismLib.imaging.overlay import render_overlay, write_overlay
from KPrismLib.prompts import Click, Scribble

BLUE = (0.0, 0.0, 1.0)
GREY = np.full((32, 64), 100, np.uint8)


def _square(top=8, left=16, size=16):
    mask = np.zeros(GREY.shape, bool)
    mask[top : top + size, left : left + size] = True
    return mask


def test_small_images_are_enlarged_and_large_ones_are_not():
    assert render_overlay(GREY, []).shape == (256, 512, 3)
    assert render_overlay(np.zeros((600, 300, 3), np.uint8), []).shape == (600, 300, 3)


def test_an_image_without_masks_is_shown_as_it_is(rng):
    pixels = rng.integers(0, 256, (512, 40, 3), dtype=np.uint8)
    assert np.array_equal(render_overlay(pixels, []), pixels)


def test_spacing_gives_true_proportions():
    assert render_overlay(GREY, [], spacing=(4.0, 1.0)).shape == (512, 256, 3)
    assert render_overlay(np.zeros((600, 600), np.uint8), [], spacing=(0.5, 1.0)).shape == (600, 1200, 3)


def test_the_inside_is_tinted_and_the_outside_is_not():
    picture = render_overlay(GREY, [(_square(), BLUE)], alpha=0.5)
    middle, outside = picture[16 * 8, 24 * 8], picture[4, 4]
    assert middle.tolist() == [50, 50, 178]
    assert outside.tolist() == [100, 100, 100]


def test_the_outline_lies_on_the_border_of_the_mask():
    picture = render_overlay(GREY, [(_square(), BLUE)], contour_width=2, alpha=0)
    row = picture[16 * 8, :, 0]  # red and green are lost where the line is
    dark = np.flatnonzero(row < 50)
    # The mask covers columns 16 to 31: output pixels 128 to 255. Two pixels of line straddle each border.
    assert dark.tolist() == [127, 128, 255, 256]
    assert np.array_equal(render_overlay(GREY, [(_square(), BLUE)], contour_width=0, alpha=0), render_overlay(GREY, []))


def test_coverage_sums_to_the_area_and_has_soft_edges():
    sheet = Sheet((512, 512), (1.0, 1.0))
    disc = np.hypot(*np.mgrid[-200:312, -250:262]) <= 80
    inside, line = sheet.region(disc, 2.0)
    assert inside.sum() == pytest.approx(disc.sum(), rel=0.002)
    square = np.zeros((512, 512), bool)
    square[100:300, 50:350] = True
    assert sheet.region(square, 2.0)[1].sum() == pytest.approx(2.0 * 2 * (200 + 300), rel=0.01)
    assert line.sum() == pytest.approx(2.0 * 2 * np.pi * 80, rel=0.15)  # a little longer, as pixels have corners
    assert ((inside > 0) & (inside < 1)).any()
    assert sheet.discs([(100, 100)], 10.0).sum() == pytest.approx(np.pi * 100, rel=0.05)
    assert sheet.strokes([[(10, 10), (10, 110)]], 4.0).sum() == pytest.approx(4 * 100 + np.pi * 4, rel=0.06)


@pytest.mark.parametrize("corner", [(0, 0), (0, 48), (16, 0), (16, 48)])
def test_masks_at_the_edge_of_the_image_are_drawn(corner):
    mask = _square(*corner)
    picture = render_overlay(GREY, [(mask, BLUE)], alpha=0.5, contour_width=0)
    tinted = picture[..., 2] > 140
    assert tinted.mean() == pytest.approx(mask.mean(), rel=0.02)
    rows, columns = np.nonzero(tinted)
    expected = (corner[0] * 8 + 64, corner[1] * 8 + 64)
    assert (rows.mean(), columns.mean()) == pytest.approx(expected, abs=2)


def test_an_empty_mask_draws_nothing():
    assert np.array_equal(render_overlay(GREY, [(np.zeros(GREY.shape), BLUE)]), render_overlay(GREY, []))


def test_clicks_are_dots_with_a_white_ring_at_the_centre_of_their_pixel():
    picture = render_overlay(GREY, [], clicks=[Click(10, 20), Click(25, 50, positive=False)]).astype(int)
    row, column = 10 * 8 + 4, 20 * 8 + 4
    red, green, blue = picture[row, column]
    assert green > red
    assert green > blue
    ring = picture[row, column - 6]
    assert ring.min() > 230
    red, green, blue = picture[25 * 8 + 4, 50 * 8 + 4]
    assert red > green
    assert red > blue


def test_scribbles_are_lines_in_the_colour_of_their_sign():
    picture = render_overlay(GREY, [], scribbles=[Scribble(((5, 5), (5, 40)), positive=False)]).astype(int)
    red, green, _ = picture[5 * 8 + 4, 20 * 8]
    assert red > 2 * green


def test_title_and_legend_are_added_above_and_below():
    plain = render_overlay(GREY, [(_square(), BLUE)])
    full = render_overlay(GREY, [(_square(), BLUE)], title="Case 7", legend=["Liver"])
    above = next(n for n in range(len(full)) if np.array_equal(full[n : n + len(plain)], plain))
    assert above > 20
    assert full[:above].max() > 200  # letters
    below = full[above + len(plain) :]
    assert (below == [0, 0, 255]).all(axis=-1).sum() > 50  # the square of the colour
    long = render_overlay(GREY, [], title="A title that is far too long for a picture of this size " * 3)
    assert long.shape[1] == plain.shape[1]
    assert (long[:above, -8:] < 60).all()  # made smaller, and cut at the end


@pytest.mark.parametrize("width", [1, 24, 29, 40])
def test_a_picture_too_narrow_for_its_title_has_none(width):
    tall = render_overlay(np.full((512, width), 128, np.uint8), [], title="Liver in axial slice 3")
    assert tall.shape[1] == width
    assert (tall[:-512] < 60).all() == (width < 40)  # nothing but the background, or what fits


def test_a_legend_of_many_names_takes_several_lines():
    masks = [(_square(), BLUE)] * 9
    one = render_overlay(GREY, masks[:1], legend=["Left kidney"])
    many = render_overlay(GREY, masks, legend=["Left kidney"] * 9)
    assert many.shape[0] > one.shape[0] + 20


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("b.JPG", "JPEG"), ("ü.jpeg", "JPEG")])
def test_overlays_are_written_as_pictures(tmp_path, name, kind):
    path = write_overlay(tmp_path / name, render_overlay(GREY, [(_square(), BLUE)], legend=["Polyp"]))
    with Image.open(path) as picture:
        assert picture.format == kind
    if kind == "PNG":
        expected = render_overlay(GREY, [(_square(), BLUE)], legend=["Polyp"])
        assert np.array_equal(np.asarray(Image.open(path)), expected)


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(CannotWrite, match=r"\.png, \.jpg, \.jpeg"):
        write_overlay(tmp_path / "a.pdf", GREY)


@pytest.mark.parametrize(
    ("pixels", "more", "error", "sentence"),
    [
        (GREY.astype(np.int16), {}, InvalidImage, "apply an intensity window"),
        (np.zeros((4, 4, 4), np.uint8), {}, InvalidImage, "rows, columns"),
        (np.zeros((0, 4), np.uint8), {}, InvalidImage, "rows, columns"),
        (GREY, {"masks": [(np.zeros((3, 3)), BLUE)]}, GeometryMismatch, r"\(3, 3\)"),
        (GREY, {"alpha": 1.5}, InvalidConfig, "alpha"),
        (GREY, {"spacing": (0.0, 1.0)}, InvalidConfig, "positive spacing"),
        (GREY, {"spacing": (1.0, float("nan"))}, InvalidConfig, "positive spacing"),
        (GREY, {"legend": ["one"]}, InvalidConfig, "1 names for 0 masks"),
    ],
)
def test_what_cannot_be_drawn_is_explained(pixels, more, error, sentence):
    with pytest.raises(error, match=sentence):
        render_overlay(pixels, more.pop("masks", []), **more)
