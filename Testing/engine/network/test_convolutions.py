"""Encoders and mask heads: scales, independence of the batch, and what their last layers may do."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from KPrismLib.network.image_encoder import ImageEncoder
from KPrismLib.network.mask_encoder import MaskEncoder
from KPrismLib.network.mask_head import FinalMaskHead, MaskHead
from KPrismLib.network.prompt_encoder import PromptEncoder
from KPrismLib.network.residual_block import ConvNormAct, ResidualBlock, group_norm

CHANNELS = (8, 16, 32)


@pytest.mark.parametrize(("channels", "groups"), [(8, 1), (16, 1), (48, 3), (96, 6), (40, 2), (56, 2), (384, 24)])
def test_normalisation_groups_hold_about_sixteen_channels(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (16, 64)])
def test_the_image_encoder_halves_four_times(size: tuple[int, int]) -> None:
    encoder = ImageEncoder(detail_channels=4, channels=CHANNELS, blocks=(1, 0, 1, 2))
    maps, detail = encoder(torch.randn(2, 3, *size))
    height, width = size
    assert detail.shape == (2, 4, height // 2, width // 2)
    assert [tuple(m.shape) for m in maps] == [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip((32, 16, 8), (16, 8, 4), strict=True)
    ]
    assert [sum(isinstance(m, ResidualBlock) for m in stage) for stage in encoder.stages] == [1, 0, 1, 2]


def test_an_image_is_encoded_alike_alone_and_in_a_batch() -> None:
    encoder = ImageEncoder(detail_channels=4, channels=CHANNELS, blocks=(1, 1, 1, 1)).double()
    image = torch.randn(3, 3, 32, 48, dtype=torch.float64)
    for whole, alone in zip(encoder(image)[0], encoder(image[1:2])[0], strict=True):
        torch.testing.assert_close(whole[1:2], alone)


def test_a_residual_block_adds_its_input_before_the_activation() -> None:
    block = ResidualBlock(16).double()
    x = torch.randn(2, 16, 5, 4, dtype=torch.float64)

    def norm(y: torch.Tensor) -> torch.Tensor:
        return (y - y.mean((1, 2, 3), keepdim=True)) / (y.var((1, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()

    def act(y: torch.Tensor) -> torch.Tensor:
        return torch.where(y > 0, y, 0.01 * y)

    inner = act(norm(F.conv2d(x, block.first[0].weight, padding=1)))
    expected = act(norm(F.conv2d(inner, block.second.weight, padding=1)) + x)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("encoder", [PromptEncoder(stem_channels=4, channels=CHANNELS)])
def test_the_prompt_encoder_fits_the_image_encoder_and_can_add_and_take_away(encoder: PromptEncoder) -> None:
    maps = encoder(torch.rand(2, 3, 32, 48))
    assert [tuple(m.shape[1:]) for m in maps] == [(32, 2, 3), (16, 4, 6), (8, 8, 12)]
    for m in maps:
        assert (m < 0).float().mean() > 0.1
        assert (m > 0).float().mean() > 0.1


def test_the_mask_encoder_sees_image_and_mask_at_the_coarsest_scale_alone() -> None:
    encoder = MaskEncoder(stem_channels=4, channels=CHANNELS)
    image, mask = torch.randn(2, 3, 32, 48), torch.zeros(2, 1, 32, 48)
    values = encoder.values(image, mask)
    assert values.shape == (2, 32, 2, 3)
    assert not torch.allclose(encoder.values(image, mask + 1), values)
    assert not torch.allclose(encoder.values(image + 1, mask), values)
    assert len(encoder.heads) == 1


def test_the_two_dense_encoders_share_one_design() -> None:
    """A.3: "identical"; they differ in the first convolution's channels and in the heads that are never read."""
    shapes = [
        {name: tuple(p.shape) for name, p in encoder.named_parameters() if not name.startswith(("heads", "stem.0"))}
        for encoder in (
            MaskEncoder(stem_channels=4, channels=CHANNELS),
            PromptEncoder(stem_channels=4, channels=CHANNELS),
        )
    ]
    assert shapes[0] == shapes[1]


def test_the_final_head_blends_pixels_and_detail_at_half_scale() -> None:
    head = FinalMaskHead(dim=6, detail_channels=4, hidden=16)
    pixels, detail = torch.randn(2, 6, 3, 5), torch.randn(2, 4, 6, 10)

    def double(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    expected = double(head.logit(head.blend((double(head.from_pixels(pixels)) + head.from_detail(detail)).relu())))
    found = head(pixels, detail)
    assert found.shape == (2, 1, 12, 20)
    torch.testing.assert_close(found, expected)


def test_final_logits_are_single_precision_whatever_the_features_are() -> None:
    head = FinalMaskHead(dim=6, detail_channels=4, hidden=16).bfloat16()
    found = head(torch.randn(1, 6, 2, 2).bfloat16(), torch.randn(1, 4, 4, 4).bfloat16())
    assert found.dtype == torch.float32


def test_a_layer_mask_has_the_scale_of_its_pixels() -> None:
    assert MaskHead(6, 16)(torch.randn(2, 6, 3, 5)).shape == (2, 1, 3, 5)


def test_a_strided_convolution_halves_and_normalises() -> None:
    block = ConvNormAct(3, 16, stride=2)
    torch.nn.init.constant_(block[1].bias, 0.0)
    before_act = block[1](block[0](torch.randn(1, 3, 8, 12) * 50 + 7))
    assert before_act.shape == (1, 16, 4, 6)
    assert abs(before_act.mean().item()) < 1e-5
    assert abs(before_act.std(unbiased=False).item() - 1) < 1e-3
