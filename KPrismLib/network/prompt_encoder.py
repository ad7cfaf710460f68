"""Mask encoder (Eq. 4) and interactive prompt encoder (Eq. 8): one light design, "identical" in the paper (A.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from KPrismLib.network.image_encoder import Pyramid
from KPrismLib.network.residual_block import ConvNormAct


class DensePromptEncoder(nn.Module):
    """Consecutive convolutions to the three scales and channel counts of the image encoder.

    Args:
        in_channels: channels of the prompt.
        stem_channels: channels at 1/2.
        channels: channels at 1/4, 1/8, 1/16.
    """

    def __init__(self, *, in_channels: int, stem_channels: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.stem = ConvNormAct(in_channels, stem_channels, stride=2)
        widths = (stem_channels, *channels)
        self.stages = nn.ModuleList(
            ConvNormAct(narrow, wide, stride=2) for narrow, wide in zip(widths, channels, strict=False)
        )
        # The last convolution, 1 x 1, has neither norm nor activation: what it returns is added to the image features
        # (Eq. 8), so it must be able to take away as well as to add.
        self.heads = nn.ModuleList(nn.Conv2d(width, width, 1) for width in channels)

    def forward(self, prompt: Tensor) -> Pyramid:
        """(B, in_channels, H, W) -> maps at 1/16, 1/8, 1/4."""
        x = self.stem(prompt)
        maps = []
        for stage, head in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            maps.append(head(x))
        return Pyramid(*reversed(maps))


class MaskEncoder(DensePromptEncoder):
    """F_v = MaskEncoder(Concat[I_ref, M_ref]), Eq. 4."""

    def __init__(self, *, stem_channels: int, channels: tuple[int, int, int]) -> None:
        super().__init__(in_channels=4, stem_channels=stem_channels, channels=channels)
        # The read-out happens at 1/16 alone (A.3), so the finer heads would never be trained.
        self.heads = nn.ModuleList(self.heads[-1:])

    def values(self, image: Tensor, mask: Tensor) -> Tensor:
        """``image`` (B, 3, H, W), ``mask`` (B, 1, H, W) in [0, 1] -> value features (B, C16, H/16, W/16)."""
        x = self.stem(torch.cat([image, mask], dim=1))
        for stage in self.stages:
            x = stage(x)
        values: Tensor = self.heads[-1](x)
        return values


class PromptEncoder(DensePromptEncoder):
    """PromptEncoder(I_click), Eq. 8: positive map, negative map and previous mask, each in [0, 1]."""

    def __init__(self, *, stem_channels: int, channels: tuple[int, int, int]) -> None:
        super().__init__(in_channels=3, stem_channels=stem_channels, channels=channels)
