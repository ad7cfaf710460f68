"""Augmentation: image and mask move together, orientation is kept where it means something, grey stays grey."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from KPrismLib.canvas import Canvas, image_tensor
from KPrismLib.training.augmentation import AugmentationConfig, Scratch, place, random_intensity, random_sampling
from KPrismLib.training.sampling_map import SamplingMap

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
        assert image.shape == (64, 64, 1)
        assert mask.shape == (64, 64)
        assert (image.dtype, mask.dtype) == (np.uint8, np.bool_)
        canvas = Canvas.fit(shape, 64)
        expected = canvas.place(image_tensor(pixels))[0, 0].numpy()
        height, width = canvas.padded
        assert np.abs(image[:height, :width, 0] - expected).max() <= 0.5
        assert not image[height:].any()
        assert not image[:, width:].any()
        soft = canvas.place(torch.from_numpy(disk(*shape)).float()[None, None])[0, 0].numpy()
        assert (mask[:height, :width] == (soft >= 0.5)).mean() > 0.999  # a byte rounds what lies at the very half

    def test_without_turning_anything_a_grid_changes_nothing(self) -> None:
        """At the slice's own size, and enlarged."""
        grid = SamplingMap.affine(np.eye(2), np.zeros(2), 64)
        for shape in ((64, 64, 3), (64, 40, 1), (24, 32, 3), (100, 90, 1)):
            smooth = np.random.default_rng(0).integers(0, 256, (4, 4, shape[2])).astype(np.float32)
            pixels = cv2.resize(smooth, shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(shape).astype(np.uint8)
            plain, mask = place(pixels, disk(*shape[:2]), 64, None)
            found, placed = place(pixels, disk(*shape[:2]), 64, grid)
            # At the border half a pixel of the slice fades into what is black outside.
            inner = (slice(2, Canvas.fit(shape[:2], 64).content[0] - 2), slice(2, 30))
            # Sampling positions are rounded to 1/32 of a pixel.
            assert np.abs(found[inner].astype(int) - plain[inner]).max() <= 4
            assert (placed == mask).mean() > 0.99

    def test_a_thin_structure_is_not_lost(self) -> None:
        mask = np.zeros((400, 300), dtype=bool)
        mask[199, 20:200] = True
        _, placed = place(np.zeros((400, 300, 1), np.uint8), mask, 32, None)
        rows, columns = np.nonzero(placed)
        assert set(rows) == {int(199.5 * 32 / 400)}
        assert (columns.min(), columns.max()) == (int(20.5 * 32 / 400), int(199.5 * 32 / 400))

    def test_an_empty_mask_stays_empty(self) -> None:
        _, placed = place(np.zeros((40, 30, 1), np.uint8), np.zeros((40, 30), bool), 32, None)
        assert placed.sum() == 0

    @pytest.mark.parametrize("channels", [1, 3])
    def test_memory_that_is_used_again_changes_nothing(self, channels: int) -> None:
        scratch = Scratch(32)
        draw = np.random.default_rng(0)
        slices = [draw.integers(0, 256, (30, 28, channels), dtype=np.uint8) for _ in range(3)]
        grids = [SamplingMap.affine(np.eye(2) * zoom, np.zeros(2), 32) for zoom in (0.8, 1.0, 1.2)]
        pairs = [(pixels, pixels[..., 0] > 99) for pixels in slices]
        again = [place(*pair, 32, grid, scratch) for pair, grid in zip(pairs, grids, strict=True)]
        alone = [place(*pair, 32, grid) for pair, grid in zip(pairs, grids, strict=True)]
        for (image, mask), (expected, outline) in zip(again, alone, strict=True):
            assert np.array_equal(image, expected)
            assert np.array_equal(mask, outline)

    def test_what_lies_outside_the_slice_is_black(self) -> None:
        aside = SamplingMap.affine(np.diag([0.9, 1.0]), np.array([2.1, 0.0]), 32)
        image, mask = place(np.full((32, 32, 3), 200, np.uint8), np.ones((32, 32), bool), 32, aside)
        assert not image.any()
        assert not mask.any()


def drawn(
    seed: int,
    config: AugmentationConfig,
    size: int,
    *,
    flips: bool = False,
    half_turn: bool = False,
    content: tuple[int, int] | None = None,
) -> Tensor:
    """A random grid in torch's layout: (size, size, 2)."""
    grid = random_sampling(
        np.random.default_rng(seed),
        config,
        size,
        flips=flips,
        half_turn=half_turn,
        content=content or (size, size),
    )
    return torch.from_numpy(np.stack(grid.positions(), axis=-1))


class TestSamplingMap:
    def test_an_affine_map_is_torchs(self) -> None:
        linear, offset = np.array([[0.8, -0.3], [0.4, 1.1]]), np.array([0.2, -0.1])
        theta = torch.from_numpy(np.concatenate([linear, offset[:, None]], axis=1))[None].float()
        expected = torch.nn.functional.affine_grid(theta, [1, 1, 24, 24], align_corners=False)[0]
        found = SamplingMap.affine(linear, offset, 24).positions()
        torch.testing.assert_close(torch.from_numpy(np.stack(found, axis=-1)), expected, atol=1e-6, rtol=0)

    def test_pixels_are_positions_over_the_length_of_the_slice(self) -> None:
        weights = np.random.default_rng(0).random((24, 5)).astype(np.float32)
        nodes = np.random.default_rng(1).normal(size=(2, 5, 5)).astype(np.float32)
        sampling = SamplingMap.affine(np.array([[0.8, -0.3], [0.4, 1.1]]), np.array([0.2, -0.1]), 24)
        bent = sampling.displaced(nodes, weights)
        places = (bent.positions(), sampling.positions(), bent.pixels(80, 25))
        for axis, length in ((0, 80), (1, 25)):
            found, straight, pixels = (place[axis] for place in places)
            np.testing.assert_allclose(found, straight + weights @ nodes[axis] @ weights.T, atol=1e-5, rtol=0)
            # -1 is the edge of the first pixel, whose centre is 0.
            np.testing.assert_allclose(pixels, (found + 1) * length / 2 - 0.5, atol=1e-3, rtol=0)


class TestRandomSampling:
    def test_the_displacement_is_the_bicubic_surface_through_its_nodes(self) -> None:
        bent, plain = (drawn(3, still(distortion=d), 41) for d in (0.05, 1e-12))
        field = (bent - plain).permute(2, 0, 1)[None]
        nodes = torch.nn.functional.interpolate(field, size=(5, 5), mode="bilinear", align_corners=True)
        assert field.abs().max() > 0.01
        again = torch.nn.functional.interpolate(nodes, size=(41, 41), mode="bicubic", align_corners=True)
        torch.testing.assert_close(field, again, atol=1e-5, rtol=0)

    def moved(self, mask: Any, seed: int, **how: Any) -> tuple[Any, Any]:
        config = how.pop("config", AugmentationConfig())
        grid = random_sampling(
            np.random.default_rng(seed), config, 64, flips=how.pop("flips", False), content=mask.shape
        )
        painted = np.repeat((mask * 255).astype(np.uint8)[..., None], how.get("channels", 1), axis=2)
        return place(painted, mask, 64, grid)

    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("flips", [False, True])
    def test_a_mask_painted_into_the_image_stays_on_the_mask(self, seed: int, flips: bool) -> None:
        image, mask = self.moved(disk(64, 48), seed, flips=flips, channels=1 + 2 * (seed % 2))
        assert image.shape[2] == 1 + 2 * (seed % 2)
        assert all(np.array_equal(image[..., channel] >= 128, mask) for channel in range(image.shape[2]))
        assert mask.any()

    def test_without_any_strength_only_the_aspect_changes_by_a_tenth(self) -> None:
        straight = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 1, 64, 64], align_corners=False)[0]
        factors = []
        for seed in range(20):
            grid = drawn(seed, still(), 64)
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
            random_sampling(np.random.default_rng(4), AugmentationConfig(), 32, flips=True, content=(32, 20))
            for _ in range(2)
        )
        assert np.array_equal(first.positions(), second.positions())

    def test_a_half_turn_turns_by_180_degrees_and_mirrors_nothing(self) -> None:
        for seed in range(60):
            grid = drawn(seed, still(rotation=20.0), 32, half_turn=True)
            across, down = grid[16, 20] - grid[16, 12], grid[20, 16] - grid[12, 16]
            assert across[0] * down[1] - across[1] * down[0] > 0
            assert abs(math.degrees(math.atan2(down[0], down[1]))) > 155

    def corner_turns(self, flips: bool) -> set[tuple[bool, bool]]:
        """What happens over many draws: (mirrored, turned by a quarter or three)."""
        found = set()
        for seed in range(60):
            grid = drawn(seed, still(rotation=20.0), 32, flips=flips)
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
                grid = drawn(seed, still(rotation=90.0), 64, content=content)
                stays = torch.tensor([content[1] / 64 - 1, content[0] / 64 - 1])  # x, y
                place_ = torch.nn.functional.grid_sample(
                    grid.permute(2, 0, 1)[None], stays[None, None, None], align_corners=False
                )[0, :, 0, 0]
                torch.testing.assert_close(place_, stays, atol=1e-4, rtol=0)

    @pytest.mark.parametrize("scale", [1.0, 1.35])
    def test_zooming_stays_within_its_bounds(self, scale: float) -> None:
        factors = []
        for seed in range(80):
            grid = drawn(seed, still(scale=scale), 32)
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
            shifted = drawn(seed, still(shift=0.1), 32)
            stretch = (shifted - shifted.mean((0, 1))).abs().amax() / straight.abs().amax()
            assert 0.89 < stretch < 1.12  # the anisotropic stretch of up to 10 %
            assert (shifted.mean((0, 1)).abs() <= 0.2 + 1e-5).all()
            bent = drawn(seed, still(distortion=0.05), 32)
            plain = drawn(seed, still(), 32)
            assert (bent - plain).abs().max() <= 0.1 * 1.6  # bicubic curves overshoot their nodes


class TestRandomIntensity:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_shape_stays_and_the_image_that_was_given_too(self, channels: int) -> None:
        config = AugmentationConfig(intensity=1.0, blur=1.0, noise=1.0, colour=1.0)
        image = np.random.default_rng(0).integers(0, 256, (20, 24, channels), dtype=np.uint8)
        kept = image.copy()
        for seed in range(10):
            found = random_intensity(image, np.random.default_rng(seed), config)
            assert (found.shape, found.dtype) == (image.shape, np.uint8)
            assert np.abs(found.astype(int) - image).max() > 1
        assert np.array_equal(image, kept)

    def test_noise_is_grey_and_as_strong_as_drawn(self) -> None:
        image = np.full((200, 200, 3), 120, dtype=np.uint8)
        spreads = []
        for seed in range(10):
            noise = random_intensity(image, np.random.default_rng(seed), still(noise=1.0)).astype(int) - 120
            assert np.array_equal(noise[..., 0], noise[..., 2])
            assert abs(noise.mean()) < 0.3
            spreads.append(noise.std())
        assert 1.9 < min(spreads) < 6
        assert 9 < max(spreads) < 14.2

    def test_noise_stops_at_black_and_white(self) -> None:
        for value in (0, 255):
            image = np.full((50, 50, 1), value, dtype=np.uint8)
            found = random_intensity(image, np.random.default_rng(0), still(noise=1.0)).astype(int)
            assert np.abs(found - value).max() < 80

    def test_colours_change_independently(self) -> None:
        colour = np.tile(np.array([100, 150, 200], dtype=np.uint8), (8, 8, 1))
        found = random_intensity(colour, np.random.default_rng(1), still(colour=1.0))
        gains = (found / colour).mean((0, 1))
        assert len({round(float(g), 3) for g in gains}) == 3
        assert (np.abs(np.log(gains)) <= 0.12 + 0.005).all()

    def test_nothing_happens_at_probability_0(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        assert np.array_equal(random_intensity(image, np.random.default_rng(0), still()), image)

    def test_blurring_averages_and_keeps_the_mean(self) -> None:
        dot = np.zeros((21, 21, 3), dtype=np.uint8)
        dot[10, 8] = 255
        found = random_intensity(dot, np.random.default_rng(0), still(blur=1.0)).astype(int)
        assert found.sum() == pytest.approx(3 * 255, rel=0.03)  # bytes round
        assert found[..., 0].argmax() == 10 * 21 + 8
        assert 50 < found[10, 8, 0] < 230
        assert np.array_equal(found[10, 7], found[9, 8])
        flat = np.full((9, 9, 1), 77, dtype=np.uint8)
        assert np.array_equal(random_intensity(flat, np.random.default_rng(0), still(blur=1.0)), flat)

    def test_grey_values_change_as_the_formula_says(self) -> None:
        ramp = np.arange(256, dtype=np.uint8)[None, :, None]
        for seed in range(8):
            draw = np.random.default_rng(seed)
            draw.random()
            gamma, contrast = math.exp(draw.uniform(-0.35, 0.35)), math.exp(draw.uniform(-0.3, 0.3))
            brightness = draw.uniform(-30, 30)
            expected = (255 * (np.arange(256) / 255) ** gamma - 127.5) * contrast + 127.5 + brightness
            found = random_intensity(ramp, np.random.default_rng(seed), still(intensity=1.0))
            assert np.abs(found[0, :, 0] - expected.clip(0, 255)).max() <= 0.5 + 1e-9
