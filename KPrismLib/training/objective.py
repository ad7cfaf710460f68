"""The joint objective of A.2: masks from each kind of knowledge, refined by simulated clicks, all layers supervised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from KPrismLib.network import DensePrompt, ImageFeatures, KPrism, MaskPrediction, ReferenceMemory
from KPrismLib.training.batches import Batch
from KPrismLib.training.losses import hard_dice, prediction_loss
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.setting_kinds import check_kinds, check_range
from KPrismLib.training.simulated_user import SimulatedUser


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """How a training step is composed.

    Attributes:
        refinements: most clicks that refine a semantic or in-context mask (A.2: two).
        always_refine: False draws the number of refinements from 0 to ``refinements``, which saves decoder passes.
        interactive_passes: click rounds with gradients in the interactive mode (A.2: three).
        warm_up_clicks: most rounds without gradients before those, so that late clicks are practised too.
        scribble_probability: how often a prompt is a stroke; never in the paper, nor in ``paper.toml``.
        refinement_weight: weight of the losses of passes that refine a semantic or in-context mask.
        layer_weight: weight of the losses of the decoder layers' masks beside the final mask's.
        sum_layers: whether each of these masks has that weight, or else their mean has it.
    """

    refinements: int = 2
    always_refine: bool = True
    interactive_passes: int = 3
    warm_up_clicks: int = 0
    scribble_probability: float = 0.15
    refinement_weight: float = 0.8
    layer_weight: float = 1.0
    sum_layers: bool = False

    def __post_init__(self) -> None:
        check_kinds(self, "objective.")
        at_least_0 = ("refinements", "warm_up_clicks", "refinement_weight", "layer_weight")
        check_range(self, *at_least_0, least=0, prefix="objective.")
        check_range(self, "interactive_passes", least=1, prefix="objective.")
        check_range(self, "scribble_probability", least=0, most=1, prefix="objective.")


class Objective(nn.Module):
    """Loss of one batch: everything that happens in a step, in one forward, so that data parallelism can wrap it.

    Args:
        network: the network to train.
        config: composition of a step.
        click_radius: of the drawn disks in pixels.
        seed: of the whole run.
    """

    def __init__(self, network: KPrism, config: ObjectiveConfig, *, click_radius: int, seed: int) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self._click_radius = click_radius
        self._seed = seed

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss, a mean over the samples, and the Dice of the last mask of each sample (B,), for the logs."""
        shared = np.random.default_rng((self._seed, batch.step, 3))  # the number of passes is the same on all ranks
        positions = range(batch.first, batch.first + len(batch.image))
        user = SimulatedUser(
            (batch.image.shape[-2], batch.image.shape[-1]),
            radius=self._click_radius,
            scribble_probability=self.config.scribble_probability,
            generators=[np.random.default_rng((self._seed, batch.step, position, 4)) for position in positions],
        )
        features = self.network.encode_image(batch.image)
        class_index, reference = self._knowledge(batch)
        losses = []
        logits: Tensor | None = None
        if batch.mode is TrainingMode.INTERACTIVE:
            logits = self._warm_up(shared, features, user, batch)
            rounds = self.config.interactive_passes
        else:
            prediction = self.network(features, class_index=class_index, reference=reference)
            losses.append(self._judged(prediction, batch.mask))
            logits = prediction.logits.detach()
            most = self.config.refinements
            rounds = most if self.config.always_refine else int(shared.integers(most + 1))
        for _ in range(rounds):
            prediction = self._refine(features, class_index, reference, user, logits, batch.mask)
            weight = 1.0 if batch.mode is TrainingMode.INTERACTIVE else self.config.refinement_weight
            losses.append(weight * self._judged(prediction, batch.mask))
            logits = prediction.logits.detach()
        assert logits is not None  # there is at least one pass in every mode
        return torch.stack(losses).mean(), hard_dice(logits, batch.mask)

    def _judged(self, prediction: MaskPrediction, mask: Tensor) -> Tensor:
        return prediction_loss(prediction, mask, self.config.layer_weight, self.config.sum_layers)

    def _knowledge(self, batch: Batch) -> tuple[Tensor | None, ReferenceMemory | None]:
        if batch.mode is TrainingMode.SEMANTIC:
            return batch.class_index, None
        if batch.reference_image is None or batch.reference_mask is None:
            return None, None
        flat = batch.reference_image.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        encoded = self.network.encode_image(flat)
        part = self.network.encode_reference(encoded, batch.reference_image, batch.reference_mask)
        return None, self.network.remember([part])

    @torch.no_grad()
    def _warm_up(
        self, shared: np.random.Generator, features: ImageFeatures, user: SimulatedUser, batch: Batch
    ) -> Tensor | None:
        logits: Tensor | None = None
        for _ in range(int(shared.integers(self.config.warm_up_clicks + 1))):
            logits = self._refine(features, None, None, user, logits, batch.mask).logits
        # PyTorch before 2.11 keeps weights that autocast rounded here, without gradients, for the passes that follow.
        torch.clear_autocast_cache()
        return logits

    def _refine(
        self,
        features: ImageFeatures,
        class_index: Tensor | None,
        reference: ReferenceMemory | None,
        user: SimulatedUser,
        logits: Tensor | None,
        mask: Tensor,
    ) -> MaskPrediction:
        target = mask[:, 0].bool().cpu().numpy()
        shown = np.zeros_like(target) if logits is None else (logits[:, 0] >= 0).cpu().numpy()
        user.react(shown, target)
        device = mask.device
        prompt = DensePrompt(user.clicks(device), user.maps(device), logits)
        prediction: MaskPrediction = self.network(features, class_index=class_index, reference=reference, prompt=prompt)
        return prediction
