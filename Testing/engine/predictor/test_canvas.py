"""The canvas: sizes, and that images, masks and clicks find their way there and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.canvas import Canvas, image_tensor, resample
from KPrismLib.errors import InvalidImage

SIZES = st.integers(1, 700)
SPACINGS = st.none() | st.tuples(st.floats(0.1, 8), st.floats(0.1, 8))
LONG_SIDES = st.sampled_from([64, 256, 512])


@given(rows=SIZES, columns=SIZES, spacing=SPACINGS, long_side=LONG_SIDES)
def test_the_long_side_fits_the_aspect_stays_and_the_padding_is_least(
    rows: int, columns: int, spacing: tuple[float, float] | None, long_side: int
) -> None:
    canvas = Canvas.fit((rows, columns), long_side, spacing)
    height, width = rows * (spacing or (1, 1))[0], columns * (spacing or (1, 1))[1]
    assert max(canvas.content) == long_side
    scale = long_side / max(height, width)
    for content, extent in zip(canvas.content, (height, width), strict=True):
        assert content == 1 or abs(content - extent * scale) <= 0.5 + 1e-9
    for padded, content in zip(canvas.padded, canvas.content, strict=True):
        assert padded % 16 == 0
        assert 0 <= padded - content < 16


@given(rows=SIZES, columns=SIZES, spacing=SPACINGS, long_side=LONG_SIDES, where=st.tuples(*[st.floats(0, 0.9999)] * 2))
def test_a_click_lands_inside_in_the_cell_of_its_pixel_centre(
    rows: int, columns: int, spacing: tuple[float, float] | None, long_side: int, where: tuple[float, float]
) -> None:
    canvas = Canvas.fit((rows, columns), long_side, spacing)
    pixel = (int(where[0] * rows), int(where[1] * columns))
    place = canvas.locate(*pixel)
    for index, at, image, content in zip(pixel, place, canvas.image, canvas.content, strict=True):
        assert 0 <= at < content
        centre = (index + 0.5) / image
        assert at / content <= centre + 1e-9
        assert centre <= (at + 1) / content + 1e-9
        if content >= image:  # enlarged: the way back is exact
            assert int((at + 0.5) * image / content) == index


@given(rows=SIZES, columns=SIZES, long_side=LONG_SIDES)
def test_neighbouring_pixels_keep_their_order_on_the_canvas(rows: int, columns: int, long_side: int) -> None:
    canvas = Canvas.fit((rows, columns), long_side)
    places = [canvas.locate(row, 0)[0] for row in range(rows)]
    assert places == sorted(places)
    if rows <= canvas.content[0]:
        assert len(set(places)) == rows


@pytest.mark.parametrize(
    ("image", "spacing", "content", "padded"),
    [
        ((512, 512), None, (64, 64), (64, 64)),
        ((100, 50), None, (64, 32), (64, 32)),
        ((100, 51), None, (64, 33), (64, 48)),
        ((1, 200), None, (1, 64), (16, 64)),
        ((3, 3), None, (64, 64), (64, 64)),
        ((100, 50), (1.0, 4.0), (32, 64), (32, 64)),  # thick columns: the short side in pixels is the long one in mm
        ((30, 90), (3.0, 1.0), (64, 64), (64, 64)),
    ],
)
def test_sizes_by_hand(
    image: tuple[int, int], spacing: tuple[float, float] | None, content: tuple[int, int], padded: tuple[int, int]
) -> None:
    canvas = Canvas.fit(image, 64, spacing)
    assert (canvas.content, canvas.padded) == (content, padded)


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (1.0, -2.0), (math.nan, 1.0), (1.0, math.inf)])
def test_a_spacing_that_is_no_length_is_refused(spacing: tuple[float, float]) -> None:
    with pytest.raises(InvalidImage, match="positive"):
        Canvas.fit((10, 10), 64, spacing)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 3.0), (1.0,), 1.0, ("wide", 1.0)])
def test_a_spacing_has_two_numbers(spacing: Any) -> None:
    with pytest.raises(InvalidImage, match="give two numbers, along rows and columns"):
        Canvas.fit((10, 10), 64, spacing)


def test_a_spacing_may_be_an_array() -> None:
    assert Canvas.fit((20, 40), 64, np.array([2.0, 1.0])) == Canvas.fit((20, 40), 64, (2.0, 1.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(64, 48), (90, 200), (301, 37), (17, 64), (6, 6), (1, 40)])
@pytest.mark.parametrize("spacing", [None, (1.0, 1.7)])
def test_a_placed_mask_comes_back(size: tuple[int, int], spacing: tuple[float, float] | None) -> None:
    rows, columns = size
    y, x = np.mgrid[:rows, :columns]
    mask = torch.from_numpy((abs(y + 0.5 - rows / 2) <= rows * 0.3) & (abs(x + 0.5 - columns / 2) <= columns * 0.3))
    canvas = Canvas.fit(size, 64, spacing)
    placed = canvas.place(mask.float()[None, None])
    assert placed.shape[-2:] == canvas.padded
    back = canvas.recover(placed)[0, 0] >= 0.5
    assert back.shape == mask.shape
    overlap = 2 * (back & mask).sum() / (back.sum() + mask.sum())
    assert overlap > 0.93


def test_an_image_of_the_canvas_size_passes_unchanged() -> None:
    canvas = Canvas.fit((64, 64), 64)
    pixels = torch.rand(1, 3, 64, 64)
    assert torch.equal(canvas.place(pixels), pixels)
    assert torch.equal(canvas.recover(pixels[:, :1]), pixels[:, :1])


def test_the_image_lies_top_left_and_the_padding_is_black_and_never_comes_back() -> None:
    canvas = Canvas.fit((64, 40), 64)
    placed = canvas.place(torch.full((1, 3, 64, 40), 9.0))
    assert placed.shape == (1, 3, 64, 48)
    assert (placed[..., :40] == 9).all()
    assert (placed[..., 40:] == 0).all()
    assert (canvas.recover(placed) == 9).all()


def test_reducing_averages_what_it_reduces() -> None:
    stripes = torch.zeros(1, 1, 64, 64)
    stripes[..., ::2] = 1
    assert (resample(stripes, (16, 16))[..., 2:-2] - 0.5).abs().max() < 0.05


class Elsewhere:
    """A tensor on a device that cannot antialias, as MPS before PyTorch 2.7; ``meta`` stands for it."""

    device = torch.device("meta")

    def __init__(self, content: torch.Tensor) -> None:
        self.shape, self._content = content.shape, content

    def cpu(self) -> torch.Tensor:
        return self._content


def test_a_device_without_antialiasing_is_spared_it() -> None:
    reduced = resample(Elsewhere(torch.rand(1, 1, 64, 64)), (16, 20))  # type: ignore[arg-type]
    assert reduced.shape == (1, 1, 16, 20)
    assert reduced.device == Elsewhere.device  # back where it came from


def test_pixels_become_three_channels_in_order() -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert torch.equal(image_tensor(grey)[0, 2], torch.tensor([[0.0, 1, 2], [3, 4, 5]]))
    assert image_tensor(grey).shape == (1, 3, 2, 3)
    colour = np.stack([grey, grey + 10, grey + 20], axis=-1)
    assert image_tensor(colour)[0, :, 1, 2].tolist() == [5.0, 15.0, 25.0]


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_mirrored_views_are_images_too(rows: int, colours: tuple[int, ...]) -> None:
    pixels = np.arange(rows * 5 * (3 if colours else 1), dtype=np.uint8).reshape(rows, 5, *colours)
    for view in (pixels[::-1], pixels[:, ::-1], pixels[::-1, ::-1]):
        assert torch.equal(image_tensor(view), image_tensor(np.array(view.tolist(), np.uint8)))
