"""Tyche-TS (Rakic et al., 2024), from a local copy of its repository."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from KPrismLib.evaluation import Mode
from Training.peers.about import About, Checkout
from Training.peers.checkout import import_from
from Training.peers.grey_grid import SIZE, GridImage, Support, on_grid, support
from Training.peers.pixels import as_mask
from Training.peers.segmenter import Answer, Pair, Pixels, Segmenter
from Training.peers.setup import RANDOM_SEED, PeerSetup, reproducible
from Training.peers.tensors import fill

CANDIDATES = 8

ABOUT = About(
    name="tyche",
    title="Tyche",
    modes=(Mode.IN_CONTEXT,),
    source="repository github.com/mariannerakic/tyche (tyche.tychets)",
    packages={"einops": "einops>=0.8", "pydantic": "pydantic>=2.7,<3"},
    extra="peers-in-context",
    checkouts=(Checkout("https://github.com/mariannerakic/tyche", "tyche"),),
    licence="code Apache-2.0; the repository names no other terms for the weights",
    weights="tyche_v1_model_weights_CVPR.pt from the repository's release `weights`, or your own training",
    citation="Rakic et al. Tyche: Stochastic in-context learning for medical image segmentation. CVPR 2024.",
    input="As UniverSeg: grey, 128 x 128, 0..1; the query repeated for each candidate beside a channel of Gaussian "
    "noise (get_model_inputs of the repository).",
    notes=f"Tyche gives several candidates and its authors report the best one, which takes the truth to know. Here "
    f"the mean of {CANDIDATES} candidates' probabilities is thresholded, with noise that is the same for every image.",
)


class Tyche(Segmenter):
    """Candidates that see each other, averaged to one deterministic mask."""

    def __init__(self, setup: PeerSetup) -> None:
        package = import_from(setup.checkouts, ABOUT.checkouts[0])
        self.name = ABOUT.title
        with reproducible():
            network = package.tychets(version="v1", pretrained=False)
        if setup.weights is not None:
            fill(network, setup.weights)
        self._network = network.to(setup.device).eval()
        self._device = setup.device
        generator = torch.Generator().manual_seed(RANDOM_SEED)
        self._noise = torch.randn((1, CANDIDATES, 1, SIZE, SIZE), generator=generator).to(setup.device)

    def encode(self, pixels: Pixels) -> GridImage:
        """The image on the grid."""
        return on_grid(pixels, self._device)

    def reference(self, pairs: Sequence[Pair]) -> Support:
        """The examples on the grid."""
        return support(pairs, self._device)

    def by_example(self, image: GridImage, reference: Support) -> Answer:
        """One pass for all candidates; the mean probability decides."""
        logits = self._network(
            support_images=reference.images,
            support_labels=reference.masks,
            target_image=image.pixels[:, None].expand_as(self._noise),
            noise_image=self._noise,
        )
        mean = logits.sigmoid().mean(dim=1)
        return Answer(as_mask(image.canvas.recover(mean), 0.5))


def open_peer(setup: PeerSetup) -> Tyche:
    """Tyche with the weights of ``setup``."""
    return Tyche(setup)
