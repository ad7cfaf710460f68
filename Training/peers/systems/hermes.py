"""Hermes (Gao, 2024), from a local copy of its repository, with kernels that do not reach across slices."""

from __future__ import annotations

import torch
from torch import Tensor

from KPrismLib.canvas import Canvas
from KPrismLib.evaluation import Mode
from Training.peers.about import About, Checkout
from Training.peers.checkout import import_from
from Training.peers.pixels import as_mask, grey, squared, standardised
from Training.peers.segmenter import Answer, Pixels, Segmenter
from Training.peers.setup import PeerSetup, reproducible
from Training.peers.tensors import fill

ABOUT = About(
    name="hermes",
    title="Hermes",
    modes=(Mode.SEMANTIC,),
    source="repository github.com/yhygao/universal-medical-image-segmentation (model.dim3.hermes_unet.Hermes_UNet)",
    packages={"einops": "einops>=0.8"},
    extra="peers-in-context",
    checkouts=(Checkout("https://github.com/yhygao/universal-medical-image-segmentation", "model.dim3.hermes_unet"),),
    licence="the repository carries no licence file: ask its author before more than trying it out",
    weights="state dict of Hermes_UNet trained on slices with in-plane kernels ([1, 3, 3] and strides [1, 2, 2]), "
    'with a JSON of the same name beside it: {"classes": [in order of the task priors], "image_size": 512, '
    '"modality": 0, "network": {}}; of a checkpoint with both, the moving average, as the authors evaluate',
    citation="Gao. Training like a medical resident: Context-prior learning toward universal medical image "
    "segmentation. CVPR 2024.",
    input="One grey channel, z-score; the long side resized to image_size, aspect kept, padded; tasks and modality by "
    "number, a logit per task, above 0. A null task (-1) goes with every task: the authors' data loader pads the tasks "
    "of each image with one at least.",
    notes="The published Hermes-R is 3-D with kernels of 3 x 3 x 3 and does not fit; the paper retrained Hermes on "
    "slices. Tasks are asked one at a time, beside one null task. The authors' z-score is of the whole volume after "
    "clipping (CT to -991..500 HU, MRI and PET to the 2nd and 98th percentile; dataset_conversion/nii2npy.py); here it "
    "is of the slice, to which the dataset folder's window is already applied.",
)

_NETWORK = {
    "in_ch": 1,
    "base_ch": 32,
    "scale": [[1, 2, 2]] * 4,
    "kernel_size": [[1, 3, 3]] * 5,
    "block": "BasicBlock",
    "num_block": [2, 2, 2, 2],
    "norm": "in",
    "mn": 6,
}
_SMALL = {"base_ch": 8, "num_block": [1, 1, 1, 1]}
_IMAGE_SIZE = 512
#: What the authors' data loader gives where the modality is not known.
_NO_MODALITY = -1
#: What it pads tasks with; training never sees an image without one.
_NULL_TASK = -1


class Hermes(Segmenter):
    """A slice is a volume of depth one."""

    def __init__(self, setup: PeerSetup) -> None:
        package = import_from(setup.checkouts, ABOUT.checkouts[0])
        self.name = ABOUT.title
        self.classes = setup.known_classes()
        self._size = int(setup.description.get("image_size", _IMAGE_SIZE))
        self._modality = int(setup.description.get("modality", _NO_MODALITY))
        with reproducible():
            # One prior more than there are tasks: the null task of the authors.
            network = package.Hermes_UNet(**setup.network({**_NETWORK, "tn": len(self.classes) + 1}, _SMALL))
        if setup.weights is not None:
            fill(network, setup.weights)
        self._network = network.to(setup.device).eval()
        self._device = setup.device

    def encode(self, pixels: Pixels) -> tuple[Tensor, Canvas]:
        """float32 (1, 1, 1, size, size), and the canvas."""
        canvas = Canvas.fit((pixels.shape[0], pixels.shape[1]), self._size)
        image = squared(canvas, canvas.place(standardised(grey(pixels))), self._size)
        return image[:, :, None].to(self._device), canvas

    def by_class(self, image: tuple[Tensor, Canvas], cls: str) -> Answer:
        """One task, beside the null task."""
        volume, canvas = image
        tasks = torch.tensor([[self.classes.index(cls), _NULL_TASK]], device=self._device)
        modality = torch.tensor([[self._modality]], device=self._device)
        logits, _ = self._network(volume, tasks, modality)
        return Answer(as_mask(canvas.recover(logits[:, :1, 0].float())))


def open_peer(setup: PeerSetup) -> Hermes:
    """Hermes with the weights of ``setup``."""
    return Hermes(setup)
