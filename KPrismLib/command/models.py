"""Predictors for the command line."""

from __future__ import annotations

import dataclasses

import torch

from KPrismLib.network import KPrism, named_config
from KPrismLib.predictor import Predictor
from KPrismLib.weights import load_weights, shipped_path

SEED = 0


def load_or_random(model: str, *, attention: str, device: str, precision: str) -> tuple[Predictor, bool]:
    """A predictor for measuring, and whether its weights are random: those of a named network that is not shipped.

    Args:
        model: ``small``, ``base`` or a weights file.
        attention: ``absorbed`` or ``loop``.
        device, precision: as for :meth:`Predictor.load`.
    """
    if model.isidentifier() and not shipped_path(model).is_file():
        torch.manual_seed(SEED)
        network = KPrism(named_config(model, attention=attention))
        return Predictor(network, device=device, precision=precision, name=model), True
    weights = load_weights(model)
    weights = dataclasses.replace(weights, config=weights.config.replace(attention=attention))
    return Predictor(weights.build(), device=device, precision=precision, name=model), False
