"""Random changes of a slice: equal to a slow reference, and the same for image and mask."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from KPrismLib import variation
from KPrismLib.variation import varied

SIZE, CONTENT = (48, 80), (40, 66)


class Drawn:
    """Gives what a test wrote down, from -1 to 1, instead of chance."""

    def __init__(self, *shares: float) -> None:
        self.shares = list(shares)

    def uniform(self, low: float, high: float, size: int | None = None) -> object:
        found = [low + (self.shares.pop(0) + 1) / 2 * (high - low) for _ in range(size or 1)]
        return np.array(found) if size else found[0]


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = (y < CONTENT[0]) & (x < CONTENT[1])
    image = np.where(inside, 120 + 60 * np.sin(y * 0.21) + 60 * np.cos(x * 0.13), 0)
    target = ((y - 15) ** 2 + (x - 30) ** 2 < 9**2) & inside
    return (
        torch.tensor(image, dtype=torch.float32).expand(1, 3, *SIZE),
        torch.tensor(target, dtype=torch.float32)[None, None],
    )


def test_without_any_change_everything_stays() -> None:
    image, target = scene()
    changed, its_target = varied(image, target, CONTENT, Drawn(0, 0, 0, 0, 0))  # type: ignore[arg-type]
    torch.testing.assert_close(changed, image, rtol=0, atol=0.01)
    torch.testing.assert_close(its_target, target, rtol=0, atol=0)


@pytest.mark.parametrize("draw", [(1, 0, 0, 0, 0), (0, 1, 0, 0, 0), (0, 0, 0, 1, -0.5), (-0.7, 0.6, 0.8, -1, 0.9)])
def test_it_equals_a_slow_reference(draw: tuple[float, ...]) -> None:
    image, target = scene()
    turn, zoom, gamma, right, down = draw
    angle, scale = turn * variation.TURN, variation.ZOOM**zoom
    # Row and column of the source, about the middle of the content; pixel centres lie half a pixel in.
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / scale
    centre = np.array(CONTENT) / 2 - 0.5
    moved = np.array([down * variation.SHIFT * SIZE[0], right * variation.SHIFT * SIZE[1]])
    offset = centre + moved - matrix @ centre
    expected = ndimage.affine_transform(image[0, 0].numpy(), matrix, offset, order=1, mode="grid-constant")
    expected = 255 * (expected / 255) ** (variation.GAMMA**gamma)
    mask = ndimage.affine_transform(target[0, 0].numpy(), matrix, offset, order=1, mode="grid-constant")
    changed, its_target = varied(image, target, CONTENT, Drawn(*draw))  # type: ignore[arg-type]
    np.testing.assert_allclose(changed[0, 0].numpy(), expected, atol=0.05)
    clear = np.abs(mask - 0.5) > 1e-3
    np.testing.assert_array_equal(its_target[0, 0].numpy()[clear] > 0, mask[clear] > 0.5)
    assert not torch.equal(its_target, target)


def test_chance_stays_mild_and_changes_each_time() -> None:
    image, target = scene()
    generator = np.random.default_rng(3)
    seen = [varied(image, target, CONTENT, generator) for _ in range(20)]
    areas = [float(its_target.sum() / target.sum()) for _, its_target in seen]
    assert 0.7 < min(areas) < max(areas) < 1.4
    assert len({changed.sum().item() for changed, _ in seen}) == 20
    assert all(changed.min() >= 0 and changed.max() <= 255 for changed, _ in seen)
