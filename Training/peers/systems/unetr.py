"""UNETR (Hatamizadeh et al., 2022), the implementation in MONAI by its authors, built for two dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from KPrismLib.canvas import Canvas
from KPrismLib.evaluation import Mode
from Training.peers.about import About
from Training.peers.label_maps import LabelMapSegmenter
from Training.peers.pixels import channels, squared
from Training.peers.segmenter import Pixels
from Training.peers.setup import PeerSetup, reproducible
from Training.peers.tensors import fill

ABOUT = About(
    name="unetr",
    title="UNETR",
    modes=(Mode.SEMANTIC,),
    source="package monai (monai.networks.nets.UNETR)",
    packages={"monai": "monai>=1.6", "einops": "einops>=0.8"},
    extra="peers-unetr",
    licence="code Apache-2.0; no two-dimensional weights are published",
    weights="state dict of UNETR(spatial_dims=2) trained on dataset folders (.safetensors or .pt), with a JSON of the "
    'same name beside it: {"classes": [in order of the channels after background], "image_size": 512, "network": {}}',
    citation="Hatamizadeh et al. UNETR: Transformers for 3D medical image segmentation. WACV 2022.",
    input="Intensities scaled to 0..1 and clipped (ScaleIntensityRanged of the authors' BTCV recipe); the long side "
    "resized to image_size, aspect kept, padded with black, as the paper's protocol has it for all models.",
    notes="The published network is 3-D; the paper trains it on slices.",
)

#: Of the authors: feature size 16, and a ViT-B with 12 heads over patches of 16.
_NETWORK = {"in_channels": 3, "feature_size": 16, "hidden_size": 768, "mlp_dim": 3072, "num_heads": 12}
_SMALL = {"hidden_size": 96, "mlp_dim": 192, "num_heads": 2}
_IMAGE_SIZE = 512


class Unetr(LabelMapSegmenter):
    """Background and one channel per class, the largest wins."""

    def __init__(self, setup: PeerSetup) -> None:
        from monai.networks.nets import UNETR

        self.name = ABOUT.title
        self.classes = setup.known_classes()
        self._size = int(setup.description.get("image_size", _IMAGE_SIZE))
        settings = setup.network(_NETWORK, _SMALL)
        self._channels = int(settings["in_channels"])
        with reproducible():
            network = UNETR(
                out_channels=len(self.classes) + 1, img_size=(self._size, self._size), spatial_dims=2, **settings
            )
        if setup.weights is not None:
            fill(network, setup.weights)
        self._network = network.to(setup.device).eval()
        self._device = setup.device

    def label_map(self, pixels: Pixels) -> NDArray[np.integer]:
        """uint8 (rows, columns[, 3]) -> int64 (rows, columns)."""
        canvas = Canvas.fit((pixels.shape[0], pixels.shape[1]), self._size)
        image = squared(canvas, canvas.place(channels(pixels, self._channels)) / 255, self._size)
        logits = canvas.recover(self._network(image.to(self._device)).float())
        labels: NDArray[np.integer] = logits.argmax(dim=1)[0].cpu().numpy()
        return labels


def open_peer(setup: PeerSetup) -> Unetr:
    """UNETR with the weights of ``setup``."""
    return Unetr(setup)
