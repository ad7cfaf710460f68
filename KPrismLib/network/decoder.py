"""Decoder (Figure 2 b): six layers that take the three scales in turn, each refining queries and pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from KPrismLib.network.config import NetworkConfig
from KPrismLib.network.image_encoder import Pyramid
from KPrismLib.network.mask_head import MaskHead
from KPrismLib.network.moe import MoECrossAttention, MoEFeedForward
from KPrismLib.network.queries import QuerySet

SCALES = 3


@dataclass(frozen=True)
class Decoded:
    """What the decoder leaves behind.

    Attributes:
        pixels: (B, C, H/4, W/4) decoded features at the finest scale.
        layer_logits: mask logits predicted on the way, (B, 1, h_l, w_l) each, for attention masks and deep supervision.
    """

    pixels: Tensor
    layer_logits: list[Tensor]


class PixelFeedForward(nn.Module):
    """Residual block of two convolutions with channel attention, not a mixture; (B, C, h, w) kept."""

    def __init__(self, *, dim: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(dim, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, dim, 3, padding=1)
        # Channel attention from the global mean: five weights, slid along the channels.
        self.channel_mix = nn.Parameter(torch.empty(5).uniform_(-0.4, 0.4))

    def forward(self, x: Tensor) -> Tensor:
        update = self.second(F.relu(self.first(x), inplace=True))
        mean = F.pad(update.mean((2, 3)), (2, 2))  # (B, C + 4)
        weight = (mean.unfold(1, 5, 1) @ self.channel_mix).sigmoid()  # (B, C)
        return torch.addcmul(x, update, weight[..., None, None])


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


class ResidualResampling(nn.Module):
    """Res(Resample(F_l)) of Eq. 20-21; a 1 x 1 convolution, done at the coarser of the two scales where it is cheap."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """(B, C, h, w) -> (B, C, *size)."""
        if size[0] > x.shape[-2]:
            return F.interpolate(self.convolution(x), size=size, mode="bilinear", align_corners=False)
        return self.convolution(F.avg_pool2d(x, x.shape[-2] // size[0]))


def blocked_pixels(logits: Tensor, foreground: Tensor, size: torch.Size) -> Tensor:
    """-inf of Eq. 23 as True: background for foreground queries, foreground for background queries.

    A query whose region is empty may look everywhere; otherwise its softmax would have nothing to normalise.

    Args:
        logits: (B, 1, h', w') mask logits; probability 0.5 is logit 0.
        foreground: (B, q) bool.
        size: (h, w) of the layer.

    Returns:
        (B, q, h * w) bool.
    """
    if logits.shape[-2:] != size:
        logits = F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
    inside = (logits >= 0).flatten(2)  # (B, 1, N)
    allowed = inside == foreground[..., None]
    return ~(allowed | ~allowed.any(-1, keepdim=True))


class Decoder(nn.Module):
    """Decoder(F_fuse | Q), Eq. 2 and 9, over scales 1/16 -> 1/8 -> 1/4 and again."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        layers = SCALES * config.rounds
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(layers))
        self.resampling = nn.ModuleList(ResidualResampling(config.dim) for _ in range(layers - 1))
        self.mask_heads = nn.ModuleList(MaskHead(config.dim, config.mask_head_dim) for _ in range(SCALES))

    def forward(
        self,
        features: Pyramid,
        positions: Pyramid,
        queries: QuerySet,
        previous_logits: Tensor | None,
        look_first: bool,
    ) -> Decoded:
        """Decode.

        Args:
            features: F_fuse, projected to C channels, (B, C, h, w) per scale.
            positions: P_K, (h * w, C) per scale.
            queries: 1-D prompts.
            previous_logits: (B, 1, h', w') logits of the mask that is being refined; the first layer's attention mask.
            look_first: without a previous mask, whether the fused features already say where the target is
                (dense prompts do; the class-agnostic features of the semantic mode do not, so nothing is blocked).
        """
        maps = list(features)
        tokens = queries.tokens
        valid = None if bool(queries.valid.all()) else queries.valid
        layer_logits: list[Tensor] = []
        guide = previous_logits
        if guide is None and look_first:
            guide = self.mask_heads[0](maps[0])
            layer_logits.append(guide)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            scale = index % SCALES
            pixels = maps[scale]
            if index > 0:
                pixels = pixels + self.resampling[index - 1](maps[(index - 1) % SCALES], pixels.shape[-2:])
            size = pixels.shape[-2:]
            blocked = None if guide is None else blocked_pixels(guide.detach(), queries.foreground, size)
            tokens, maps[scale] = layer(tokens, queries.position, valid, pixels, positions[scale], blocked)
            if index < last:
                guide = self.mask_heads[scale](maps[scale])
                layer_logits.append(guide)
        return Decoded(maps[SCALES - 1], layer_logits)
