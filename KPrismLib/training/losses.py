"""The losses of A.2: cross-entropy and Dice, on the final mask and on those of the decoder's layers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from KPrismLib.network import MaskPrediction

#: Smoothing of the Dice loss for an empty target, as a share of the area.
EMPTY_SMOOTHING = 0.01


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice per sample, averaged; ``logits`` and ``target`` (B, 1, H, W), target in [0, 1].

    Where the target is empty the smoothing term is a share of the image's area instead of one pixel: the loss is then
    about the false area itself, and its gradient does not vanish when that is larger than a few pixels.
    """
    probability = logits.sigmoid().flatten(1)
    target = target.flatten(1)
    overlap, area = (probability * target).sum(1), target.sum(1)
    smoothing = torch.where(area > 0, 1.0, EMPTY_SMOOTHING * target.shape[1])
    return (1 - (2 * overlap + smoothing) / (probability.sum(1) + area + smoothing)).mean()


def mask_loss(logits: Tensor, target: Tensor) -> Tensor:
    """L = L_ce + L_dice (A.2) in float32; mixed precision rounds targets too, and would round their sums."""
    logits, target = logits.float(), target.float()
    return F.binary_cross_entropy_with_logits(logits, target) + dice_loss(logits, target)


def prediction_loss(
    prediction: MaskPrediction, target: Tensor, layer_weight: float, sum_layers: bool = False
) -> Tensor:
    """Loss of the final mask plus that of the decoder layers' masks, whose targets are area fractions.

    Args:
        prediction: the masks; how many layers have one depends on the mode and on whether there was a mask before.
        target: (B, 1, H, W) in [0, 1].
        layer_weight: weight of the layers' losses beside the final mask's.
        sum_layers: whether it is the weight of each of them, or else of their mean.
    """
    target = target.float()
    loss = mask_loss(prediction.logits, target)
    if prediction.layer_logits and layer_weight > 0:
        layers = torch.stack(
            [mask_loss(m, F.adaptive_avg_pool2d(target, (m.shape[-2], m.shape[-1]))) for m in prediction.layer_logits]
        )
        loss = loss + layer_weight * (layers.sum() if sum_layers else layers.mean())
    return loss


def hard_dice(logits: Tensor, target: Tensor) -> Tensor:
    """Dice of the thresholded masks, (B, 1, H, W) -> (B,); 1 where both are empty."""
    predicted = (logits >= 0).flatten(1).float()
    target = target.flatten(1).float()
    total = predicted.sum(1) + target.sum(1)
    return torch.where(total > 0, 2 * (predicted * target).sum(1) / total.clamp_min(1), 1.0)
