"""The one light design of mask encoder and prompt encoder, "identical" in the paper (A.3)."""

from __future__ import annotations

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
