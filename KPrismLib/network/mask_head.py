"""Mask heads: a light one per scale for attention masks and deep supervision, and the final one at 1/2 scale."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from KPrismLib.network.residual_block import ConvNormAct


class MaskHead(nn.Sequential):
    """Pixel features (B, C, h, w) -> mask logits (B, 1, h, w); shared by all layers of a scale."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(ConvNormAct(dim, hidden), nn.Conv2d(hidden, 1, 1))


class FinalMaskHead(nn.Module):
    """Projection "back to the spatial resolution of the input" (A.3), sharpened by the encoder's 1/2-scale detail.

    Args:
        dim: channels of the decoded features at 1/4.
        detail_channels: channels of the encoder's features at 1/2.
        hidden: channels at 1/2.
    """

    def __init__(self, *, dim: int, detail_channels: int, hidden: int) -> None:
        super().__init__()
        self.from_pixels = nn.Conv2d(dim, hidden, 1)
        self.from_detail = nn.Conv2d(detail_channels, hidden, 1)
        self.blend = ConvNormAct(hidden, hidden)
        self.logit = nn.Conv2d(hidden, 1, 3, padding=1)

    def forward(self, pixels: Tensor, detail: Tensor) -> Tensor:
        """``pixels`` (B, C, H/4, W/4), ``detail`` (B, C', H/2, W/2) -> logits (B, 1, H, W)."""
        fine = F.interpolate(self.from_pixels(pixels), scale_factor=2.0, mode="bilinear", align_corners=False)
        fine = fine.to(detail.dtype).add_(self.from_detail(detail)).relu_()
        logits = self.logit(self.blend(fine))
        return F.interpolate(logits.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
