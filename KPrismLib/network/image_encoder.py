"""Image encoder (Eq. 1): UNet-style stages of plain residual blocks."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from KPrismLib.network.residual_block import ConvNormAct, ResidualBlock


class Pyramid(NamedTuple):
    """Feature maps at three scales, coarse to fine, in the order in which the decoder visits them."""

    s16: Tensor
    s8: Tensor
    s4: Tensor


class ImageEncoder(nn.Module):
    """F = Encoder(I), Eq. 1, at 1/16, 1/8 and 1/4, and 1/2-scale detail for the final mask.

    Args:
        detail_channels: channels at 1/2.
        channels: channels at 1/4, 1/8, 1/16.
        blocks: residual blocks at 1/2, 1/4, 1/8, 1/16.
    """

    def __init__(self, *, detail_channels: int, channels: tuple[int, int, int], blocks: tuple[int, ...]) -> None:
        super().__init__()
        widths = (3, detail_channels, *channels)
        self.stages = nn.ModuleList(
            nn.Sequential(
                ConvNormAct(narrow, wide, stride=2),
                *(ResidualBlock(wide) for _ in range(count)),
            )
            for narrow, wide, count in zip(widths, widths[1:], blocks, strict=False)
        )

    def forward(self, image: Tensor) -> tuple[Pyramid, Tensor]:
        """``image`` (B, 3, H, W), H and W multiples of 16 -> the pyramid and the detail (B, C, H/2, W/2)."""
        maps = []
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        detail, s4, s8, s16 = maps
        return Pyramid(s16, s8, s4), detail
