"""SegNext (Liu et al., 2024): a plain ViT with dense prompts, from a local copy of its repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from KPrismLib.evaluation import Mode
from KPrismLib.prompts import Click
from Training.peers.about import About, Checkout
from Training.peers.checkout import import_from
from Training.peers.pixels import as_mask, colour
from Training.peers.segmenter import Answer, Pixels, Segmenter
from Training.peers.setup import PeerSetup, reproducible
from Training.peers.tensors import fill

ABOUT = About(
    name="segnext",
    title="SegNext",
    modes=(Mode.INTERACTIVE,),
    source="repository github.com/uncbiag/SegNext (isegm.model.is_plainvit_model.PlainVitModel)",
    packages={"mmcv": "mmcv-lite>=2.2"},
    extra="peers-segnext",
    checkouts=(Checkout("https://github.com/uncbiag/SegNext", "isegm.model.is_plainvit_model", "segnext"),),
    licence="code MIT; the repository names no other terms for the weights",
    weights="vitb_sa2_cocolvis_hq44k_epoch_0.pth (vitb-sax2; the repository's README says where), or your own training "
    "of the same network; other sizes through `network` in the JSON beside the weights",
    citation="Liu et al. Rethinking interactive image segmentation with low latency, high quality, and diverse "
    "prompts. CVPR 2024.",
    input="RGB in 0..1; the network takes ImageNet's mean and deviation out and stretches to 1024 x 1024 itself. "
    "Clicks as (row, column, order) in pixels of the image, padded with -1; the previous probabilities are the mask "
    "prompt (BasePredictor of the authors); probabilities above 0.49 (their evaluate_model.py).",
    notes="Without the authors' zooming; their BasePredictor, which evaluation uses, has none either.",
)

#: vitb-sax2, from segnext/models/default of the repository.
_NETWORK: dict[str, Any] = {"img_size": 1024, "embed_dim": 768, "depth": 12, "num_heads": 12, "fusion_depth": 2}
_SMALL = {"img_size": 256, "embed_dim": 96, "depth": 3, "num_heads": 2, "fusion_depth": 1}
_NO_POINT = (-1, -1, -1)
#: Of the authors' evaluation.
_THRESHOLD = 0.49


@dataclass(frozen=True, eq=False)
class SegNextImage:
    """Features, and the (rows, columns) that they are of."""

    features: Tensor
    shape: tuple[int, int]


class SegNext(Segmenter):
    """Clicks and the previous mask become an image of three channels, fused with the image's features."""

    def __init__(self, setup: PeerSetup) -> None:
        package = import_from(setup.checkouts, ABOUT.checkouts[0])
        self.name = ABOUT.title
        with reproducible():
            network = package.PlainVitModel(**_arguments(setup.network(_NETWORK, _SMALL)))
        if setup.weights is not None:
            fill(network, setup.weights)
        self._network = network.to(setup.device).eval()
        self._device = setup.device

    def encode(self, pixels: Pixels) -> SegNextImage:
        """uint8 (rows, columns[, 3]) -> features."""
        image = (colour(pixels) / 255).to(self._device)
        return SegNextImage(self._network.get_image_feats(image), (pixels.shape[0], pixels.shape[1]))

    def by_clicks(
        self, image: SegNextImage, clicks: Sequence[Click], before: Answer | None, *, cls: Any, reference: Any
    ) -> Answer:
        """All clicks so far, and the previous probabilities at the image's resolution."""
        previous = torch.zeros((1, 1, *image.shape), device=self._device) if before is None else before.memory
        # The network remembers the size of the image it saw last; this one may be another.
        self._network.orig_size = image.shape
        size = (1, 3, *image.shape)
        prompts = {"points": point_rows(clicks).to(self._device), "prev_mask": previous}
        prompted = self._network.get_prompt_feats(size, prompts)
        probability = self._network(size, image.features, prompted)["instances"].sigmoid()
        return Answer(as_mask(probability, _THRESHOLD), memory=probability)


def point_rows(clicks: Sequence[Click]) -> Tensor:
    """Clicks as SegNext takes them: int64 (1, 2 n, 3), n rows for positive clicks, then n for negative ones.

    A row is (row, column, place in the order of all clicks), or -1 three times.
    """
    sides: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] = ([], [])
    for order, click in enumerate(clicks):
        sides[0 if click.positive else 1].append((click.row, click.column, order))
    longest = max(1, *map(len, sides))
    return torch.tensor([[row for side in sides for row in (*side, *[_NO_POINT] * (longest - len(side)))]])


def _arguments(settings: dict[str, Any]) -> dict[str, Any]:
    width, heads, size = settings["embed_dim"], settings["num_heads"], settings["img_size"]
    pyramid = [width // 6, width // 3, 2 * width // 3, 4 * width // 3]
    block = {"num_heads": heads, "mlp_ratio": 4, "qkv_bias": True}
    return {
        "backbone_params": {
            "img_size": (size, size),
            "patch_size": (16, 16),
            "in_chans": 3,
            "embed_dim": width,
            "depth": settings["depth"],
            "global_atten_freq": 3,
            **block,
        },
        "neck_params": {"in_dim": width, "out_dims": pyramid},
        "head_params": {
            "in_channels": pyramid,
            "in_select_index": [0, 1, 2, 3],
            "dropout_ratio": 0.1,
            "num_classes": 1,
            "out_channels": 256,
        },
        "fusion_params": {
            "type": "self_attention",
            "depth": settings["fusion_depth"],
            "params": {"dim": width, **block},
        },
        "use_disks": True,
        "norm_radius": 5,
    }


def open_peer(setup: PeerSetup) -> SegNext:
    """SegNext with the weights of ``setup``."""
    return SegNext(setup)
