"""Intensities and grids: golden numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from Training.peers.grey_grid import SIZE, on_grid, support
from Training.peers.pixels import as_mask, channels, colour, grey, imagenet, min_max, squared, standardised, stretched

CPU = torch.device("cpu")
RED = np.zeros((2, 3, 3), dtype=np.uint8)
RED[0, 1] = (255, 0, 0)


def test_colour_becomes_grey_by_its_luma_and_grey_becomes_colour_by_repetition():
    assert grey(RED).shape == (1, 1, 2, 3)
    assert grey(RED)[0, 0, 0, 1].item() == pytest.approx(0.299 * 255)
    assert grey(RED).sum().item() == pytest.approx(0.299 * 255)
    plane = RED[..., 0]
    assert grey(plane)[0, 0].tolist() == plane.tolist()
    assert [channel.tolist() for channel in colour(plane)[0]] == [plane.tolist()] * 3
    assert channels(RED, 1).shape == (1, 1, 2, 3)
    assert channels(plane, 3).shape == (1, 3, 2, 3)


def test_ranges():
    image = torch.tensor([[[[10.0, 20.0, 50.0]]]])
    assert min_max(image).flatten().tolist() == [0.0, 0.25, 1.0]
    assert min_max(torch.full((1, 1, 2, 2), 7.0)).tolist() == [[[[0.0, 0.0], [0.0, 0.0]]]]
    scaled = standardised(image)
    assert scaled.mean().item() == pytest.approx(0, abs=1e-6)
    assert scaled.std().item() == pytest.approx(1)
    assert standardised(torch.full((1, 1, 2, 2), 7.0)).abs().max() == 0
    white = imagenet(torch.full((1, 3, 1, 1), 255.0)).flatten().tolist()
    assert white == pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])


def test_a_logit_of_zero_is_background():
    assert as_mask(torch.tensor([[[[0.0, 0.1, -3.0]]]])).tolist() == [[False, True, False]]
    assert as_mask(torch.tensor([[[[0.5, 0.6]]]]), 0.5).tolist() == [[False, True]]


def test_a_fixed_square_ignores_the_aspect_and_a_padded_one_does_not():
    canvas = stretched((2, 4), 32)
    placed = canvas.place(torch.ones(1, 1, 2, 4))
    assert placed.shape == (1, 1, 32, 32)
    assert placed.min() == 1
    flat = squared(stretched((2, 4), 16), torch.ones(1, 1, 16, 16), 48)
    assert flat.shape == (1, 1, 48, 48)
    assert flat[..., :16, :16].min() == 1
    assert flat.sum() == 256


def test_images_and_examples_on_the_grid(rng):
    pixels = rng.integers(40, 200, (60, 90), dtype=np.uint8)
    image = on_grid(pixels, CPU)
    assert image.pixels.shape == (1, 1, SIZE, SIZE)
    assert (image.pixels.min(), image.pixels.max()) == (0, 1)
    left = np.zeros((60, 90), dtype=bool)
    left[:, :45] = True
    examples = support([(pixels, left), (pixels, ~left)], CPU)
    assert examples.images.shape == examples.masks.shape == (1, 2, 1, SIZE, SIZE)
    assert torch.equal(examples.images[:, 0], image.pixels)
    assert set(examples.masks.unique().tolist()) == {0.0, 1.0}
    assert (examples.masks.sum(dim=1) == 1).all()
    assert examples.masks[0, 0, 0, :, : SIZE // 2].min() == 1


def test_a_structure_thinner_than_half_a_grid_pixel_does_not_vanish():
    thin = np.zeros((1024, 1024), dtype=bool)
    thin[:, 511] = True
    masks = support([(np.zeros((1024, 1024), dtype=np.uint8), thin)], CPU).masks
    assert 0 < masks.max() < 0.5
