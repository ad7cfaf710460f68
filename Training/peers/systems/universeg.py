"""UniverSeg (Butoi et al., 2023), from a local copy of its repository or an installation of it."""

from __future__ import annotations

from collections.abc import Sequence

from KPrismLib.evaluation import Mode
from Training.peers.about import About, Checkout
from Training.peers.checkout import import_from
from Training.peers.grey_grid import GridImage, Support, on_grid, support
from Training.peers.pixels import as_mask
from Training.peers.segmenter import Answer, Pair, Pixels, Segmenter
from Training.peers.setup import PeerSetup, reproducible
from Training.peers.tensors import fill

ABOUT = About(
    name="universeg",
    title="UniverSeg",
    modes=(Mode.IN_CONTEXT,),
    source="repository github.com/JJGO/UniverSeg (universeg.universeg)",
    packages={"einops": "einops>=0.8", "pydantic": "pydantic>=2.7,<3"},
    extra="peers-in-context",
    checkouts=(Checkout("https://github.com/JJGO/UniverSeg", "universeg"),),
    licence="code Apache-2.0; published weights OpenRAIL++-M, research only",
    weights="universeg_v1_nf64_ss64_STA.pt from the repository's release `weights`, or your own training",
    citation="Butoi et al. UniverSeg: Universal medical image segmentation. ICCV 2023.",
    input="Grey, stretched to 128 x 128, min-max to 0..1; support masks 0 or 1; one logit per pixel, above 0 "
    "(README of the repository).",
    notes="The authors use support sets of up to 64; the paper evaluates with one.",
)


class UniverSeg(Segmenter):
    """A query and its support set go through the network together."""

    def __init__(self, setup: PeerSetup) -> None:
        package = import_from(setup.checkouts, ABOUT.checkouts[0])
        self.name = ABOUT.title
        with reproducible():
            network = package.universeg(version="v1", pretrained=False)
        if setup.weights is not None:
            fill(network, setup.weights)
        self._network = network.to(setup.device).eval()
        self._device = setup.device

    def encode(self, pixels: Pixels) -> GridImage:
        """The image on the grid."""
        return on_grid(pixels, self._device)

    def reference(self, pairs: Sequence[Pair]) -> Support:
        """The examples on the grid."""
        return support(pairs, self._device)

    def by_example(self, image: GridImage, reference: Support) -> Answer:
        """One pass."""
        logits = self._network(image.pixels, reference.images, reference.masks)
        return Answer(as_mask(image.canvas.recover(logits)))


def open_peer(setup: PeerSetup) -> UniverSeg:
    """UniverSeg with the weights of ``setup``."""
    return UniverSeg(setup)
