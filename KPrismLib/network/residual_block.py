"""Convolutional building blocks whose normalisation does not depend on the batch."""

from __future__ import annotations

from torch import Tensor, nn

GROUP_CHANNELS = 16  # channels per normalisation group


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with about 16 channels per group: the same result for an image alone and in a batch."""
    groups = max(1, channels // GROUP_CHANNELS)
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


class ConvNormAct(nn.Sequential):
    """3 x 3 convolution, group normalisation, leaky ReLU: (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            group_norm(out_channels),
            nn.LeakyReLU(0.01, inplace=True),
        )


class ResidualBlock(nn.Module):
    """Plain residual block, shape kept: x + norm(conv(act(norm(conv(x))))), then the activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormAct(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = group_norm(channels)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.second(self.first(x))) + x)
