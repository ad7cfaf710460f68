"""One layer of the decoder (Figure 2 b): experts between queries and pixels, in both directions."""

from __future__ import annotations

from torch import Tensor, nn

from KPrismLib.network.config import NetworkConfig
from KPrismLib.network.moe import MoECrossAttention, MoEFeedForward
from KPrismLib.network.pixel_ffn import PixelFeedForward


class DecoderLayer(nn.Module):
    """One layer, post-norm: MoE-CA queries <- pixels, self-attention, MoE-FFN, MoE-CA pixels <- queries, pixel FFN."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim, heads = config.dim, config.heads
        experts = config.num_experts if config.moe_attention else 1
        self.read = MoECrossAttention(
            dim=dim, heads=heads, experts=experts, gated=config.moe_attention, form=config.attention
        )
        self.self_attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ffn = MoEFeedForward(
            dim=dim,
            hidden=config.ffn_dim,
            experts=config.num_experts if config.moe_ffn else 1,
            gated=config.moe_ffn,
        )
        self.write = MoECrossAttention(
            dim=dim, heads=heads, experts=experts, gated=config.moe_attention, form=config.attention
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))
        self.pixel_ffn = PixelFeedForward(dim=dim, hidden=config.pixel_ffn_dim)

    def forward(
        self,
        tokens: Tensor,
        position: Tensor,
        valid: Tensor | None,
        pixels: Tensor,
        pixel_position: Tensor,
        blocked: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Update ``tokens`` (B, q, C) and ``pixels`` (B, C, h, w).

        ``position`` (B, q, C), ``pixel_position`` (h * w, C), ``valid`` (B, q) bool or None when all queries are,
        ``blocked`` (B, q, h * w) bool or None.
        """
        size = pixels.shape[-2:]
        flat = pixels.flatten(2).transpose(1, 2)
        located = flat + pixel_position
        tokens = self.norms[0](tokens + self.read.queries_from_pixels(tokens, position, flat, located, blocked))
        asking = tokens + position
        attended, _ = self.self_attention(
            asking, asking, tokens, key_padding_mask=None if valid is None else ~valid, need_weights=False
        )
        tokens = self.norms[1](tokens + attended)
        tokens = self.norms[2](tokens + self.ffn(tokens))
        flat = self.norms[3](self.write.pixels_from_queries(flat, located, tokens, position, valid).add_(flat))
        pixels = flat.transpose(1, 2).unflatten(2, size)
        return tokens, self.pixel_ffn(pixels)
