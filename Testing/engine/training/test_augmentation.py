"""Augmentation: image and mask move together, orientation is kept where it means something, grey stays grey."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from KPrismLib.canvas import Canvas, image_tensor
from KPrismLib.training.augmentation import AugmentationConfig, place, random_grid, random_intensity

STILL = {"rotation": 0.0, "scale": 1.0, "shift": 0.0, "distortion": 0.0, "intensity": 0.0, "blur": 0.0, "noise": 0.0,
         "colour": 0.0}  # fmt: skip


def still(**changes: float) -> AugmentationConfig:
    return AugmentationConfig(**STILL | changes)


def disk(height: int, width: int) -> Any:
    y, x = np.mgrid[:height, :width]
    return (y - height * 0.4) ** 2 + (x - width * 0.6) ** 2 < (0.2 * min(height, width)) ** 2


class TestPlace:
    @pytest.mark.parametrize("shape", [(30, 50), (90, 40), (64, 64), (7, 3)])
    def test_the_canvas_is_the_one_of_inference(self, shape: tuple[int, int]) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        image, mask = place(pixels[..., None], disk(*shape), 64, None)
        assert image.shape == (3, 64, 64)
        assert mask.shape == (1, 64, 64)
        canvas = Canvas.fit(shape, 64)
        expected = canvas.place(image_tensor(pixels))[0]
        height, width = canvas.padded
        torch.testing.assert_close(image[:, :height, :width], expected)
        assert image[:, height:].abs().sum() == image[:, :, width:].abs().sum() == 0
        soft = canvas.place(torch.from_numpy(disk(*shape)).float()[None, None])[0]
        assert torch.equal(mask[:, :height, :width], (soft >= 0.5).float())

    def test_a_thin_structure_is_not_lost(self) -> None:
        mask = np.zeros((400, 300), dtype=bool)
        mask[199, 20:200] = True
        _, placed = place(np.zeros((400, 300, 1), np.uint8), mask, 32, None)
        rows, columns = np.nonzero(placed[0].numpy())
        assert set(rows) == {int(199.5 * 32 / 400)}
        assert (columns.min(), columns.max()) == (int(20.5 * 32 / 400), int(199.5 * 32 / 400))

    def test_an_empty_mask_stays_empty(self) -> None:
        _, placed = place(np.zeros((40, 30, 1), np.uint8), np.zeros((40, 30), bool), 32, None)
        assert placed.sum() == 0


class TestRandomGrid:
    def moved(self, mask: Any, seed: int, **how: Any) -> tuple[Tensor, Tensor]:
        config = how.pop("config", AugmentationConfig())
        grid = random_grid(np.random.default_rng(seed), config, 64, flips=how.pop("flips", False), content=mask.shape)
        return place((mask * 255).astype(np.uint8)[..., None], mask, 64, grid)

    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("flips", [False, True])
    def test_a_mask_painted_into_the_image_stays_on_the_mask(self, seed: int, flips: bool) -> None:
        image, mask = self.moved(disk(64, 48), seed, flips=flips)
        assert torch.equal((image[:1] >= 127.5).float(), mask)
        assert mask.sum() > 0

    def test_without_any_strength_only_the_aspect_changes_by_a_tenth(self) -> None:
        straight = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 1, 64, 64], align_corners=False)[0]
        factors = []
        for seed in range(20):
            grid = random_grid(np.random.default_rng(seed), still(), 64, flips=False, content=(64, 64))
            x, y = (grid / straight).flatten(0, 1).T
            assert x.std() < 1e-3
            assert y.std() < 1e-3
            assert (x * y).mean() == pytest.approx(1, abs=1e-3)
            factors.append(x.mean().item())
        assert max(factors) < 1.106
        assert min(factors) > 0.904
        assert np.std(factors) > 0.02

    def test_the_same_generator_gives_the_same_grid(self) -> None:
        first, second = (
            random_grid(np.random.default_rng(4), AugmentationConfig(), 32, flips=True, content=(32, 20))
            for _ in range(2)
        )
        assert torch.equal(first, second)

    def test_a_half_turn_turns_by_180_degrees_and_mirrors_nothing(self) -> None:
        for seed in range(60):
            grid = random_grid(
                np.random.default_rng(seed), still(rotation=20.0), 32, flips=False, half_turn=True, content=(32, 32)
            )
            across, down = grid[16, 20] - grid[16, 12], grid[20, 16] - grid[12, 16]
            assert across[0] * down[1] - across[1] * down[0] > 0
            assert abs(math.degrees(math.atan2(down[0], down[1]))) > 155

    def corner_turns(self, flips: bool) -> set[tuple[bool, bool]]:
        """What happens over many draws: (mirrored, turned by a quarter or three)."""
        found = set()
        for seed in range(60):
            grid = random_grid(np.random.default_rng(seed), still(rotation=20.0), 32, flips=flips, content=(32, 32))
            across, down = grid[16, 20] - grid[16, 12], grid[20, 16] - grid[12, 16]  # of x and y on the canvas
            mirrored = bool(across[0] * down[1] - across[1] * down[0] < 0)
            found.add((mirrored, bool(abs(math.degrees(math.atan2(down[0], down[1]))) > 45)))
        return found

    def test_sides_are_kept_where_they_mean_something(self) -> None:
        assert self.corner_turns(flips=False) == {(False, False)}
        assert self.corner_turns(flips=True) == {(False, False), (False, True), (True, False), (True, True)}

    def test_turning_is_around_the_centre_of_the_content(self) -> None:
        for content in ((64, 64), (20, 64), (64, 30)):
            for seed in range(5):
                grid = random_grid(np.random.default_rng(seed), still(rotation=90.0), 64, flips=False, content=content)
                stays = torch.tensor([content[1] / 64 - 1, content[0] / 64 - 1])  # x, y
                place_ = torch.nn.functional.grid_sample(
                    grid.permute(2, 0, 1)[None], stays[None, None, None], align_corners=False
                )[0, :, 0, 0]
                torch.testing.assert_close(place_, stays, atol=1e-4, rtol=0)

    @pytest.mark.parametrize("scale", [1.0, 1.35])
    def test_zooming_stays_within_its_bounds(self, scale: float) -> None:
        factors = []
        for seed in range(80):
            grid = random_grid(np.random.default_rng(seed), still(scale=scale), 32, flips=False, content=(32, 32))
            across, down = (grid[16, 24] - grid[16, 8])[0], (grid[24, 16] - grid[8, 16])[1]
            factors.append(float((across * down).sqrt()))  # 1 is no zoom: half the canvas over 16 of 32 pixels
        assert max(factors) <= scale * 1.0001
        assert min(factors) >= 0.9999 / scale
        if scale > 1:
            assert max(factors) > 1.15
            assert min(factors) < 0.9

    def test_shifts_and_distortions_are_fractions_of_the_image(self) -> None:
        for seed in range(40):
            straight = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 1, 32, 32], align_corners=False)[0]
            shifted = random_grid(np.random.default_rng(seed), still(shift=0.1), 32, flips=False, content=(32, 32))
            stretch = (shifted - shifted.mean((0, 1))).abs().amax() / straight.abs().amax()
            assert 0.89 < stretch < 1.12  # the anisotropic stretch of up to 10 %
            assert (shifted.mean((0, 1)).abs() <= 0.2 + 1e-5).all()
            bent = random_grid(np.random.default_rng(seed), still(distortion=0.05), 32, flips=False, content=(32, 32))
            plain = random_grid(np.random.default_rng(seed), still(), 32, flips=False, content=(32, 32))
            assert (bent - plain).abs().max() <= 0.1 * 1.6  # bicubic curves overshoot their nodes


class TestRandomIntensity:
    @pytest.mark.parametrize("seed", range(15))
    def test_values_stay_in_range_and_grey_stays_grey(self, seed: int) -> None:
        config = AugmentationConfig(intensity=1.0, blur=1.0, noise=1.0, colour=1.0)
        grey = torch.rand(1, 20, 24).expand(3, -1, -1) * 255
        kept = grey.clone()
        found = random_intensity(grey, np.random.default_rng(seed), config)
        assert found.shape == grey.shape
        assert found.min() >= 0
        assert found.max() <= 255
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])
        assert not torch.allclose(found, grey, atol=1.0)
        assert torch.equal(grey, kept)

    def test_colours_change_independently(self) -> None:
        colour = torch.stack([torch.full((8, 8), value) for value in (60.0, 90.0, 120.0)])
        found = random_intensity(colour, np.random.default_rng(1), still(colour=1.0))
        gains = (found / colour).mean((1, 2))
        assert len({round(float(g), 4) for g in gains}) == 3
        assert (gains.log().abs() <= 0.12 + 1e-4).all()

    def test_nothing_happens_at_probability_0(self) -> None:
        image = torch.rand(3, 8, 8) * 255
        assert torch.equal(random_intensity(image, np.random.default_rng(0), still()), image)

    def test_blurring_averages_and_keeps_the_mean(self) -> None:
        dot = torch.zeros(3, 21, 21)
        dot[:, 10, 8] = 255
        found = random_intensity(dot, np.random.default_rng(0), still(blur=1.0))
        assert found.sum() == pytest.approx(3 * 255, rel=1e-4)
        assert found[0].argmax() == 10 * 21 + 8
        assert 100 < found[0, 10, 8] < 230
        torch.testing.assert_close(found[0, 10, 7], found[0, 9, 8])
        flat = torch.full((3, 9, 9), 77.0)
        torch.testing.assert_close(random_intensity(flat, np.random.default_rng(0), still(blur=1.0)), flat)

    def test_order_of_grey_values_survives_brightness_contrast_and_gamma(self) -> None:
        ramp = torch.arange(0, 256, 5.0).expand(3, 4, -1)
        for seed in range(8):
            found = random_intensity(ramp, np.random.default_rng(seed), still(intensity=1.0))
            assert (found.diff(dim=-1) >= 0).all()
