"""Prompt encoder (Eq. 8): clicks, strokes and the previous mask, as maps."""

from __future__ import annotations

from KPrismLib.network.dense_prompt_encoder import DensePromptEncoder


class PromptEncoder(DensePromptEncoder):
    """PromptEncoder(I_click), Eq. 8: positive map, negative map and previous mask, each in [0, 1]."""

    def __init__(self, *, stem_channels: int, channels: tuple[int, int, int]) -> None:
        super().__init__(in_channels=3, stem_channels=stem_channels, channels=channels)
