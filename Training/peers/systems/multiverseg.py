"""MultiverSeg (Wong et al., 2024), from local copies of its repository and those it builds on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from KPrismLib.errors import InvalidConfig, InvalidWeights
from KPrismLib.evaluation import Mode
from KPrismLib.prompts import Click
from Training.peers.about import About, Checkout
from Training.peers.checkout import import_from
from Training.peers.grey_grid import GridImage, Support, on_grid, support
from Training.peers.pixels import as_mask
from Training.peers.segmenter import Answer, Pair, Pixels, Segmenter
from Training.peers.setup import PeerSetup, reproducible
from Training.peers.tensors import fill

ABOUT = About(
    name="multiverseg",
    title="MultiverSeg",
    modes=(Mode.IN_CONTEXT, Mode.INTERACTIVE, Mode.REFINE_IN_CONTEXT),
    source="repository github.com/halleewong/MultiverSeg (multiverseg.models.network.MultiverSegNet)",
    packages={"einops": "einops>=0.8", "pydantic": "pydantic>=2.7,<3"},
    extra="peers-in-context",
    checkouts=(
        Checkout("https://github.com/halleewong/MultiverSeg", "multiverseg.models.network"),
        Checkout("https://github.com/JJGO/UniverSeg", "universeg"),
    ),
    licence="code Apache-2.0; the repository names no other terms for the weights",
    weights="MultiverSeg_v1_nf256_res128.pt (checkpoints/README.md of the repository says where), or a folder that "
    "also holds ScribblePrompt_unet_v1_nf192_res128.pt",
    citation="Wong et al. MultiverSeg: Scalable interactive segmentation of biomedical imaging datasets with "
    "in-context guidance. ICCV 2025.",
    input="Grey, stretched to 128 x 128, 0..1, in five channels: image, box (none here), positive clicks, negative "
    "clicks, previous logits (prepare_inputs of ScribblePrompt); examples as UniverSeg's.",
    notes="Without examples the authors hand over to ScribblePrompt's U-Net. It runs where its weights are in the "
    "folder and a copy of github.com/halleewong/ScribblePrompt, whose import needs torchvision, is among those of "
    "--peer-path; else MultiverSeg's own network works with the neutral example that it makes itself, and the report "
    "says so.",
)

SCRIBBLEPROMPT = Checkout("https://github.com/halleewong/ScribblePrompt", "scribbleprompt.models.network")
_WITHOUT = "Clicks without examples go to MultiverSeg's own network with a neutral example, not to ScribblePrompt."
#: MultiverSeg v1, from the authors' own class.
_NETWORK = {
    "in_channels": [5, 2],
    "encoder_blocks": [256, 256, 256, 256],
    "block_kws": {"conv_kws": {"norm": "layer"}},
    "cross_relu": True,
}
_SMALL = {"encoder_blocks": [16, 16, 16, 16]}
_SCRIBBLEPROMPT_NETWORK = {"in_channels": 5, "out_channels": 1, "features": [192, 192, 192, 192]}


class MultiverSeg(Segmenter):
    """Five channels for the query, two for each example; clicks, examples and the previous mask in any combination."""

    def __init__(self, setup: PeerSetup) -> None:
        import_from(setup.checkouts, ABOUT.checkouts[1])
        package = import_from(setup.checkouts, ABOUT.checkouts[0])
        self.name = ABOUT.title
        weights, scribbleprompt = _files(setup.weights)
        with reproducible():
            network = package.MultiverSegNet(**setup.network(_NETWORK, _SMALL))
        if weights is not None:
            fill(network, weights)
        self._network = network.to(setup.device).eval()
        self._device = setup.device
        self._without_examples, self.remarks = _scribbleprompt(setup, scribbleprompt)

    def encode(self, pixels: Pixels) -> GridImage:
        """The image on the grid."""
        return on_grid(pixels, self._device)

    def reference(self, pairs: Sequence[Pair]) -> Support:
        """The examples on the grid."""
        return support(pairs, self._device)

    def by_example(self, image: GridImage, reference: Support) -> Answer:
        """A query without clicks and without a previous mask."""
        return self._answer(image, (), None, reference)

    def by_clicks(
        self, image: GridImage, clicks: Sequence[Click], before: Answer | None, *, cls: Any, reference: Any
    ) -> Answer:
        """All clicks so far and the previous logits, beside the examples where there are any."""
        return self._answer(image, clicks, before, reference)

    def _answer(
        self, image: GridImage, clicks: Sequence[Click], before: Answer | None, reference: Support | None
    ) -> Answer:
        query = query_channels(image, clicks, None if before is None else before.memory)
        if reference is not None:
            logits = self._network(query[:, None], reference.images, reference.masks)
        elif self._without_examples is not None:
            logits = self._without_examples(query)
        else:
            logits = self._network(query[:, None])
        return Answer(as_mask(image.canvas.recover(logits)), memory=logits)


def query_channels(image: GridImage, clicks: Sequence[Click], previous: Tensor | None) -> Tensor:
    """Image, box, positive and negative clicks (1 at the clicked grid pixel), previous logits: (1, 5, 128, 128)."""
    query = torch.zeros((1, 5, *image.pixels.shape[-2:]), device=image.pixels.device)
    query[:, :1] = image.pixels
    for click in clicks:
        row, column = image.canvas.locate(click.row, click.column)
        query[0, 2 if click.positive else 3, row, column] = 1.0
    if previous is not None:
        query[:, 4:] = previous
    return query


def _files(weights: Path | None) -> tuple[Path | None, Path | None]:
    """MultiverSeg's weights and ScribblePrompt's, as far as they were given."""
    if weights is None or not weights.is_dir():
        return weights, None
    found = [
        next(iter(sorted(weights.glob(pattern))), None) for pattern in ("MultiverSeg*.pt", "ScribblePrompt_unet*.pt")
    ]
    if found[0] is None:
        raise InvalidWeights(f"There is no MultiverSeg*.pt in {weights}.")
    return found[0], found[1]


def _scribbleprompt(setup: PeerSetup, weights: Path | None) -> tuple[nn.Module | None, tuple[str, ...]]:
    """ScribblePrompt's network where both its weights and its code are there, or what the report says instead."""
    if weights is None:
        return None, (_WITHOUT,)
    try:
        package = import_from(setup.checkouts, SCRIBBLEPROMPT)
    except InvalidConfig as error:
        return None, (_WITHOUT, f"ScribblePrompt's weights are there, its code is not: {error}")
    network: nn.Module = package.UNet(**_SCRIBBLEPROMPT_NETWORK)
    fill(network, weights)
    return network.to(setup.device).eval(), ()


def open_peer(setup: PeerSetup) -> MultiverSeg:
    """MultiverSeg with the weights of ``setup``."""
    return MultiverSeg(setup)
