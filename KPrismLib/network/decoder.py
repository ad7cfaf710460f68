"""Decoder (Figure 2 b): six layers that take the three scales in turn, each refining queries and pixels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from KPrismLib.network.config import NetworkConfig
from KPrismLib.network.decoder_layer import DecoderLayer
from KPrismLib.network.image_encoder import Pyramid
from KPrismLib.network.mask_head import MaskHead
from KPrismLib.network.masked_attention import blocked_pixels
from KPrismLib.network.query_set import QuerySet
from KPrismLib.network.residual_resampling import ResidualResampling

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
