"""A specialist: the model, tuned to one structure by a few slices of it.

The encoders stay as they are, so that images are encoded once for both; projections, decoder and final mask head are
copied, and learn to answer one row of the semantic table (Eq. 2) with the structure. References change nothing of what
the model knows; where that is not enough, for a modality that it has never seen for instance, a specialist helps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from KPrismLib.devices import memory_guard
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.errors import InvalidConfig, InvalidMask
from KPrismLib.evaluation.dice import soft_dice
from KPrismLib.image_checks import checked_mask, size_text
from KPrismLib.network import ImageFeatures, KPrism, normalise
from KPrismLib.network.parameters import build_on_meta
from KPrismLib.precision import multiplying
from KPrismLib.predictor import Predictor
from KPrismLib.training.losses import prediction_loss
from KPrismLib.variation import varied

#: Each step takes one example, as it is and changed by chance.
STEPS = 40

#: Largest rates of the row of the structure, which knows nothing yet, and of what is copied, which knows a lot.
QUERY_RATE = 0.02
COPY_RATE = 0.001

#: What is copied and tuned; anything else is shared with the model.
TUNED = ("semantic_table", "projections", "decoder", "final_mask_head")


@dataclass(frozen=True, eq=False)
class Example:
    """A slice that somebody vouches for.

    Attributes:
        image: the encoded slice.
        pixels: what it was encoded from, (rows, columns) or (rows, columns, 3).
        mask: bool or non-zero inside, (rows, columns); one without a pixel says that the structure is not there.
    """

    image: EncodedImage
    pixels: NDArray[Any]
    mask: NDArray[Any]


class Specialist:
    """Tunes a model to one structure; nothing of the model itself changes.

    The same model and the same examples in the same order give the same specialist on the same processor.

    Args:
        predictor: the model.
        examples: slices with the structure, and maybe some without it.
        name: of the structure; the only class that the tuned model knows.
        steps: each goes once over one example; the default was measured on slices of one volume.

    Raises:
        InvalidConfig: no step.
        InvalidMask: no example shows the structure, or a mask has another size than its image.

    Example:
        >>> specialist = Specialist(predictor, examples, name="cyst")  # doctest: +SKIP
        >>> for loss in specialist.learn():  # doctest: +SKIP
        ...     show(loss)
        >>> specialist.predictor.segment(image, cls="cyst").mask  # doctest: +SKIP
    """

    def __init__(
        self, predictor: Predictor, examples: Sequence[Example], *, name: str = "structure", steps: int = STEPS
    ) -> None:
        if steps < 1:
            raise InvalidConfig(f"Learning takes at least 1 step, not {steps}.")
        masks = [checked_mask(example.mask) for example in examples]
        for example, mask in zip(examples, masks, strict=True):
            if mask.shape != example.image.shape:
                raise InvalidMask(
                    f"The mask is {size_text(mask.shape)} but its slice {size_text(example.image.shape)}; "
                    "they must match."
                )
        if not any(mask.any() for mask in masks):
            raise InvalidMask("No slice shows the structure; there is nothing to learn from.")
        self._model, self._examples, self._masks, self._steps = predictor, tuple(examples), masks, steps
        self._name = name
        self._learned: Predictor | None = None

    def __len__(self) -> int:
        """The number of steps."""
        return self._steps

    @property
    def predictor(self) -> Predictor:
        """The tuned model, which knows one class; it shares encoded images with the model that it came from.

        Raises:
            InvalidConfig: :meth:`learn` has not ended yet.
        """
        if self._learned is None:
            raise InvalidConfig("Nothing was learned yet; let learn() come to its end first.")
        return self._learned

    def learn(self) -> Iterator[float]:
        """Learn; the loss of each step. Whoever stops before the end loses nothing but what was learned so far.

        Raises:
            OutOfMemory: the device is full.
        """
        device = self._model.device
        generator = np.random.default_rng(0)
        with memory_guard(device), torch.inference_mode(False):
            network = _tunable(self._model.network, self._name, self._nearest_class())
            tuned = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
            parameters, row = list(tuned.values()), list(network.semantic_table.parameters())
            copied = [parameter for name, parameter in tuned.items() if not name.startswith("semantic_table.")]
            rates = [QUERY_RATE, COPY_RATE]
            optimiser = torch.optim.AdamW([{"params": row}, {"params": copied}], lr=COPY_RATE, weight_decay=0.0)
            schedule = OneCycleLR(optimiser, rates, total_steps=self._steps, pct_start=0.1)
        order: list[int] = []
        for _ in range(self._steps):
            # Each example has its turn before one comes again.
            order = order or generator.permutation(len(self._examples)).tolist()
            number = order.pop()
            with memory_guard(device), torch.inference_mode(False), torch.enable_grad():
                loss = self._loss(network, self._examples[number], self._masks[number], generator)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                schedule.step()
            yield float(loss.detach())
        precision = "float32" if self._model.dtype is torch.float32 else "bfloat16"
        self._learned = Predictor(network, device=device, precision=precision, name=self._name)

    def _nearest_class(self) -> int:
        """The row of the class that finds most of the largest example; even the best of bad ones saves steps."""
        mask, example = max(zip(self._masks, self._examples, strict=True), key=lambda each: int(each[0].sum()))
        found = [self._model.segment(example.image, cls=cls).probability for cls in self._model.classes]
        return int(np.argmax([soft_dice(probability, mask.astype(np.float32)) for probability in found]))

    def _loss(
        self, network: KPrism, example: Example, mask: NDArray[np.bool_], generator: np.random.Generator
    ) -> Tensor:
        canvas = example.image.canvas
        with torch.no_grad():
            image = self._model.on_canvas(example.pixels, example.image.window, canvas)
            target = canvas.place_mask(mask).to(self._model.device)
            changed, its_target = varied(image, target, canvas.content, generator)
        with torch.no_grad(), multiplying(self._model.dtype, self._model.device):
            its_features = network.encode_image(normalise(changed).contiguous(memory_format=torch.channels_last))
            features = ImageFeatures.join([its_features, example.image.features])
        with multiplying(self._model.dtype, self._model.device):
            found = network(features, class_index=torch.zeros(2, dtype=torch.int64, device=self._model.device))
        return prediction_loss(found, torch.cat([its_target, target]), layer_weight=1.0)


def _tunable(network: KPrism, name: str, row: int) -> KPrism:
    """The network with one class, that of ``row``; what is tuned is copied, the rest are the same tensors."""
    tunable = build_on_meta(network.config.replace(classes=(name,)))
    state = network.state_dict()
    state["semantic_table.table"] = state["semantic_table.table"][row : row + 1]
    state = {key: tensor.clone() if key.startswith(TUNED) else tensor for key, tensor in state.items()}
    tunable.load_state_dict(state, assign=True)
    for key, parameter in tunable.named_parameters():
        parameter.requires_grad_(key.startswith(TUNED))
    return tunable.eval()
