"""Mask encoder (Eq. 4): what a reference image and its mask say together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from KPrismLib.network.dense_prompt_encoder import DensePromptEncoder


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
