"""Systems whose public code cannot run on slices as the paper ran it: the contract of a port that a user brings.

Their repositories are 3-D, need libraries that no package index has, or are not public. Whoever has a two-dimensional
version of one, the paper's authors among them, plugs it in by a function that builds the network:

    --peer-path DIR    a folder with the module that holds the function
    --weights FILE     the state dict, with FILE.json beside it:
                       {"factory": "module:function", "classes": [...], "image_size": 512, "channels": 1, "network": {}}

``function(classes=[...], **network)`` returns a ``torch.nn.Module`` whose ``forward`` takes keyword arguments, all
float32 on one device, S = image_size:

    image                (1, channels, S, S), in the range that the system's adapter documents
    class_index          int64 (1,), the place in ``classes``                       (systems that segment by class)
    reference_images     (1, N, channels, S, S)                                     (systems that segment by example)
    reference_masks      (1, N, 1, S, S), 0 or 1
    clicks               (1, n, 3), each row, column, and 1 positive or 0 negative  (systems that take clicks)
    previous             (1, 1, S, S) logits of the answer before, or None

and returns logits (1, 1, S, S); only what applies is passed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from KPrismLib.canvas import Canvas
from KPrismLib.errors import InvalidConfig, InvalidWeights
from KPrismLib.prompts import Click
from Training.peers.about import About, Checkout
from Training.peers.checkout import import_from
from Training.peers.pixels import as_mask, channels, mask_tensor, squared
from Training.peers.segmenter import Answer, Mask, Pair, Pixels, Segmenter
from Training.peers.setup import PeerSetup
from Training.peers.tensors import fill

Normalise = Callable[[Tensor], Tensor]
"""0..255 float32 (1, channels, rows, columns) -> the range that the system was trained with, same shape."""

_IMAGE_SIZE = 512


@dataclass(frozen=True, eq=False)
class PortImage:
    """float32 (1, channels, S, S), and how the image lies on it."""

    pixels: Tensor
    canvas: Canvas


class Port(Segmenter):
    """A network that keeps the contract of this module.

    Args:
        about: which system.
        setup: weights, the folder of the port, and the JSON that names its function.
        normalise: how the system's authors scale intensities.
    """

    def __init__(self, about: About, setup: PeerSetup, normalise: Normalise) -> None:
        self.name = about.title
        network = _built(about, setup)
        self.classes = setup.known_classes() if about.modes[0].uses_class else ()
        self._size = int(setup.description.get("image_size", _IMAGE_SIZE))
        self._channels = int(setup.description.get("channels", 1))
        self._normalise = normalise
        self._network = network.to(setup.device).eval()
        self._device = setup.device
        self.remarks = (f"A port of {about.title} for slices, not its authors' own code.",)

    def encode(self, pixels: Pixels) -> PortImage:
        """uint8 (rows, columns[, 3]), normalised, the long side on S pixels, padded with zeros."""
        canvas = Canvas.fit((pixels.shape[0], pixels.shape[1]), self._size)
        placed = canvas.place(self._normalise(channels(pixels, self._channels)))
        return PortImage(squared(canvas, placed, self._size).to(self._device), canvas)

    def reference(self, pairs: Sequence[Pair]) -> dict[str, Tensor]:
        """The examples, prepared as the image is."""
        images = [self.encode(pixels) for pixels, _ in pairs]
        masks = [self._placed_mask(image.canvas, mask) for image, (_, mask) in zip(images, pairs, strict=True)]
        return {
            "reference_images": torch.stack([image.pixels for image in images], dim=1),
            "reference_masks": torch.stack(masks, dim=1),
        }

    def by_class(self, image: PortImage, cls: str) -> Answer:
        """Pass the number of the class."""
        return self._answer(image, **self._class(cls))

    def by_example(self, image: PortImage, reference: dict[str, Tensor]) -> Answer:
        """Pass the examples."""
        return self._answer(image, **reference)

    def by_clicks(
        self,
        image: PortImage,
        clicks: Sequence[Click],
        before: Answer | None,
        *,
        cls: str | None,
        reference: dict[str, Tensor] | None,
    ) -> Answer:
        """Pass all clicks so far and the previous logits, with the class or the examples that are refined."""
        guidance = {} if cls is None else self._class(cls)
        rows = [[*image.canvas.locate(click.row, click.column), int(click.positive)] for click in clicks]
        return self._answer(
            image,
            **guidance,
            **(reference or {}),
            clicks=torch.tensor([rows], dtype=torch.float32, device=self._device),
            previous=None if before is None else before.memory,
        )

    def _answer(self, image: PortImage, **knowledge: Any) -> Answer:
        logits = self._network(image=image.pixels, **knowledge)
        if not isinstance(logits, Tensor) or logits.shape != (1, 1, self._size, self._size):
            raise InvalidConfig(
                f"The port of {self.name} must return logits of 1 x 1 x {self._size} x {self._size}, and did not; see "
                "Training/peers/port.py."
            )
        return Answer(as_mask(image.canvas.recover(logits.float())), memory=logits)

    def _class(self, cls: str) -> dict[str, Tensor]:
        return {"class_index": torch.tensor([self.classes.index(cls)], device=self._device)}

    def _placed_mask(self, canvas: Canvas, mask: Mask) -> Tensor:
        placed = squared(canvas, canvas.place(mask_tensor(mask)), self._size).to(self._device)
        return (placed >= 0.5).float()


def _built(about: About, setup: PeerSetup) -> nn.Module:
    if setup.weights is None:
        raise InvalidConfig(f"There are no random weights of {about.title}: its network comes with your port only.")
    module, _, function = str(setup.description.get("factory", "")).partition(":")
    if not module or not function:
        raise InvalidWeights(
            f"{about.title} needs your port to slices: `factory` in {setup.weights.with_suffix('.json')} must be "
            '"module:function"; see Training/peers/port.py.'
        )
    package = import_from(setup.checkouts, Checkout(f"your port of {about.title}", module))
    build = getattr(package, function, None)
    if not callable(build):
        raise InvalidConfig(f"There is no function {function} in {module}.")
    classes = list(setup.description.get("classes", []))
    network = build(classes=classes, **setup.network({}))
    if not isinstance(network, nn.Module):
        raise InvalidConfig(f"{module}:{function} must return a torch.nn.Module.")
    fill(network, setup.weights)
    return network
