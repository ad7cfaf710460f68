"""The K-Prism network (Figure 2): three kinds of knowledge in, one mask out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from KPrismLib.network.click_queries import ClickQueries, Clicks
from KPrismLib.network.config import NetworkConfig
from KPrismLib.network.decoder import Decoder
from KPrismLib.network.image_encoder import ImageEncoder, Pyramid
from KPrismLib.network.mask_encoder import MaskEncoder
from KPrismLib.network.mask_head import FinalMaskHead
from KPrismLib.network.positional import FourierPosition
from KPrismLib.network.prompt_encoder import PromptEncoder
from KPrismLib.network.query_set import PlainQueries, QuerySet
from KPrismLib.network.readout import read_out
from KPrismLib.network.reference_queries import ReferenceQueries
from KPrismLib.network.semantic_table import SemanticTable

STRIDES = (16, 8, 4)  # of the pyramid, coarse to fine
CLICK_STRIDE = STRIDES[1]


@dataclass(frozen=True)
class ImageFeatures:
    """What is kept of an encoded image; computed once per image, whatever is asked of it later.

    Attributes:
        maps: encoder features at 1/16, 1/8, 1/4.
        detail: encoder features at 1/2.
        positions: P_K of section 3.3 for each map, (h * w, C).
    """

    maps: Pyramid
    detail: Tensor
    positions: Pyramid

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of the padded network input."""
        return self.detail.shape[-2] * 2, self.detail.shape[-1] * 2

    def expand(self, batch: int) -> ImageFeatures:
        """One image's features seen ``batch`` times, without copying."""
        return ImageFeatures(
            Pyramid(*(m.expand(batch, -1, -1, -1) for m in self.maps)),
            self.detail.expand(batch, -1, -1, -1),
            self.positions,
        )

    def one(self, number: int) -> ImageFeatures:
        """One image of a batch, without copying; the batch axis stays, with length 1."""
        one = slice(number, number + 1)
        return ImageFeatures(Pyramid(*(m[one] for m in self.maps)), self.detail[one], self.positions)

    @staticmethod
    def join(images: Sequence[ImageFeatures]) -> ImageFeatures:
        """Images of one size side by side as a batch; one image that comes several times is not copied."""
        first = images[0]
        if all(image is first for image in images):
            return first.expand(len(images))
        maps = (torch.cat(scale) for scale in zip(*(image.maps for image in images), strict=True))
        return ImageFeatures(Pyramid(*maps), torch.cat([image.detail for image in images]), first.positions)


@dataclass(frozen=True)
class EncodedReference:
    """One or more encoded references of one size, before they join a support set; n = R * h * w positions at 1/16.

    Attributes:
        keys: (B, C16, n) of Eq. 5.
        values: (B, C16, n) of Eq. 5.
        pooled: (B, n, C) projected features that Eq. 7 averages.
        fraction: (B, n) share of foreground in each position.
    """

    keys: Tensor
    values: Tensor
    pooled: Tensor
    fraction: Tensor


@dataclass(frozen=True)
class ReferenceMemory:
    """Encoded references: keys (B, C16, n) and values (B, C16, n) of Eq. 5, object queries of Eq. 7."""

    keys: Tensor
    values: Tensor
    queries: QuerySet


@dataclass(frozen=True)
class ReadOut:
    """References as an image sees them: all that a mask of it needs of a :class:`ReferenceMemory`.

    Attributes:
        fused: (B, C16, h, w) F_fuse at 1/16, Eq. 15.
        queries: object queries of Eq. 7.
    """

    fused: Tensor
    queries: QuerySet

    @staticmethod
    def join(parts: Sequence[ReadOut]) -> ReadOut:
        """Those of images of one size side by side as a batch."""
        queries = [part.queries for part in parts]
        return ReadOut(
            torch.cat([part.fused for part in parts]),
            QuerySet(
                torch.cat([q.tokens for q in queries]),
                torch.cat([q.position for q in queries]),
                torch.cat([q.foreground for q in queries]),
                torch.cat([q.valid for q in queries]),
            ),
        )


@dataclass(frozen=True)
class DensePrompt:
    """2-D prompt of a click round.

    Attributes:
        clicks: 1-D counterpart, one query per click or stroke sample.
        maps: (B, 2, H, W) positive and negative disks and strokes in [0, 1].
        previous_logits: (B, 1, H, W) logits of the mask to refine, or None before the first mask.
    """

    clicks: Clicks
    maps: Tensor
    previous_logits: Tensor | None


@dataclass(frozen=True)
class MaskPrediction:
    """``logits`` (B, 1, H, W) float32; ``layer_logits`` the coarse masks of the layers, for deep supervision."""

    logits: Tensor
    layer_logits: list[Tensor]


class KPrism(nn.Module):
    """f_theta of section 3.1.

    Call :meth:`encode_image` (:meth:`encode_reference`, :meth:`remember` and, for several masks of an image,
    :meth:`read_out`) once, the module itself for each mask:

    ============================  ==================================================
    semantic (Eq. 2)              ``class_index``
    in-context (Eq. 3-7)          ``reference``
    interactive (Eq. 8-9)         ``prompt``
    refine semantic (Eq. 8-9)     ``class_index`` and ``prompt``
    refine in-context (Eq. 8-9)   ``reference`` and ``prompt``
    ============================  ==================================================
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        dim, channels = config.dim, config.encoder_channels
        self.image_encoder = ImageEncoder(
            detail_channels=config.detail_channels, channels=channels, blocks=config.encoder_blocks
        )
        self.projections = nn.ModuleList(nn.Conv2d(c, dim, 1) for c in reversed(channels))
        self.position = FourierPosition(dim)
        self.semantic_table = SemanticTable(classes=len(config.classes), queries=config.semantic_queries, dim=dim)
        if config.dense_prompts:
            self.mask_encoder = MaskEncoder(stem_channels=config.prompt_channels, channels=channels)
            self.prompt_encoder = PromptEncoder(stem_channels=config.prompt_channels, channels=channels)
        if config.sparse_prompts:
            self.reference_queries = ReferenceQueries(queries=config.reference_queries, dim=dim)
            self.click_queries = ClickQueries(dim=dim, stride=CLICK_STRIDE, position=self.position)
        else:
            self.plain_queries = PlainQueries(queries=config.reference_queries, dim=dim)
        self.decoder = Decoder(config)
        self.final_mask_head = FinalMaskHead(
            dim=dim, detail_channels=config.detail_channels, hidden=config.mask_head_dim
        )

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """F = Encoder(I), Eq. 1; ``image`` (B, 3, H, W) as :func:`normalise` returns it, multiples of 16."""
        maps, detail = self.image_encoder(image)
        positions = Pyramid(
            *(
                self.position.grid((m.shape[-2], m.shape[-1]), stride).to(m.dtype)
                for m, stride in zip(maps, STRIDES, strict=True)
            )
        )
        return ImageFeatures(maps, detail, positions)

    def encode_reference(self, features: ImageFeatures, image: Tensor, mask: Tensor) -> EncodedReference:
        """Keys, values and what the object queries pool, of R references of one size (Eq. 3-5).

        Args:
            features: encoded reference images, batch axis B * R.
            image: (B, R, 3, H, W) the reference images.
            mask: (B, R, 1, H, W) their masks in {0, 1}.
        """
        batch, count = mask.shape[:2]

        def joined(maps: Tensor) -> Tensor:
            """(B * R, C, h, w) -> (B, C, R * h * w)."""
            return maps.flatten(2).unflatten(0, (batch, count)).transpose(1, 2).flatten(2)

        coarse = features.maps.s16
        keys = joined(coarse)
        values = keys
        if self.config.dense_prompts:
            values = joined(self.mask_encoder.values(image.flatten(0, 1), mask.flatten(0, 1).to(image.dtype)))
        pooled = joined(self.projections[0](coarse)).transpose(1, 2)
        fraction = (
            F.avg_pool2d(mask.flatten(0, 1).float(), STRIDES[0]).flatten(1).unflatten(0, (batch, count)).flatten(1)
        )
        return EncodedReference(keys, values, pooled, fraction)

    def remember(self, references: Sequence[EncodedReference]) -> ReferenceMemory:
        """One support set from references of any sizes; the object queries pool over all of them (Eq. 7)."""
        keys = torch.cat([r.keys for r in references], dim=2)
        values = torch.cat([r.values for r in references], dim=2)
        if self.config.sparse_prompts:
            queries = self.reference_queries(
                torch.cat([r.pooled for r in references], dim=1), torch.cat([r.fraction for r in references], dim=1)
            )
        else:
            queries = self.plain_queries(len(keys))
        return ReferenceMemory(keys, values, queries)

    def read_out(self, features: ImageFeatures, reference: ReferenceMemory) -> ReadOut:
        """What an image sees of its references, whatever else is said of the mask (Eq. 5-7, 12-15)."""
        fused = features.maps.s16
        if self.config.dense_prompts:
            fused = read_out(reference.keys, reference.values, fused)
        return ReadOut(fused, reference.queries)

    def forward(
        self,
        features: ImageFeatures,
        *,
        class_index: Tensor | None = None,
        reference: ReferenceMemory | ReadOut | None = None,
        prompt: DensePrompt | None = None,
    ) -> MaskPrediction:
        """Predict a mask; at least one kind of knowledge is needed, class and reference exclude each other.

        Args:
            features: encoded image, batch B.
            class_index: (B,) int64 rows of the semantic table.
            reference: encoded support set, or what :meth:`read_out` made of it for these features.
            prompt: clicks and previous mask.
        """
        if class_index is not None and reference is not None:
            raise ValueError("Give either a class or references, not both.")
        if class_index is None and reference is None and prompt is None:
            raise ValueError("Give a class, references or clicks.")
        if isinstance(reference, ReferenceMemory):
            reference = self.read_out(features, reference)
        fused = self._fuse(features, reference, prompt)
        projected = Pyramid(*(p(m) for p, m in zip(self.projections, fused, strict=True)))
        queries = self._queries(projected, features.image_size, class_index, reference, prompt)
        previous = None if prompt is None else prompt.previous_logits
        decoded = self.decoder(
            projected, features.positions, queries, previous, look_first=reference is not None or prompt is not None
        )
        return MaskPrediction(self.final_mask_head(decoded.pixels, features.detail), decoded.layer_logits)

    def _fuse(self, features: ImageFeatures, reference: ReadOut | None, prompt: DensePrompt | None) -> Pyramid:
        """F_fuse: Eq. 15 for references (at 1/16 alone), Eq. 8 for clicks."""
        maps = features.maps
        if not self.config.dense_prompts:
            return maps
        if reference is not None:
            maps = maps._replace(s16=reference.fused)
        if prompt is not None:
            previous = prompt.previous_logits
            mask = torch.zeros_like(prompt.maps[:, :1]) if previous is None else previous.sigmoid()
            dense = self.prompt_encoder(torch.cat([prompt.maps, mask.to(prompt.maps.dtype)], dim=1))
            maps = Pyramid(*(m + d for m, d in zip(maps, dense, strict=True)))
        return maps

    def _queries(
        self,
        projected: Pyramid,
        image_size: tuple[int, int],
        class_index: Tensor | None,
        reference: ReadOut | None,
        prompt: DensePrompt | None,
    ) -> QuerySet:
        """The 1-D prompts side by side, Eq. 9."""
        sets = []
        if class_index is not None:
            sets.append(self.semantic_table(class_index))
        if reference is not None:
            sets.append(reference.queries)
        if prompt is not None:
            if self.config.sparse_prompts:
                sets.append(self.click_queries(projected.s8, prompt.clicks, image_size))
            elif reference is None:
                sets.append(self.plain_queries(len(projected.s8)))
        return QuerySet.concatenate(sets)


def normalise(pixels: Tensor) -> Tensor:
    """uint8 or float pixels in 0-255 -> float32 centred on 0, the network's input range."""
    return (pixels.float() - 127.5) / 64.0
