"""How a specialist takes its steps: bounded, without decay, in the precision of its predictor."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from KPrismLib.network import KPrism
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import Example, Specialist
from Testing.engine.network.tiny_network import filled, tiny_config
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor


def _example(predictor: Predictor) -> Example:
    return Example(predictor.encode(picture()), picture(), disk())


def test_it_computes_in_the_precision_of_its_predictor() -> None:
    predictor = Predictor(filled(KPrism(tiny_config())), precision="bfloat16", name="tiny")
    specialist = Specialist(predictor, [_example(predictor)], steps=1)
    list(specialist.learn())
    assert specialist.predictor.dtype is torch.bfloat16


def test_no_gradient_is_larger_than_1_and_no_weight_decays(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, norms, decays = tiny_predictor(), [], set()
    step = torch.optim.AdamW.step

    def spied(optimiser: torch.optim.AdamW, *given: Any, **how: Any) -> Any:
        groups = optimiser.param_groups
        gradients = [p.grad.flatten() for group in groups for p in group["params"] if p.grad is not None]
        norms.append(float(torch.linalg.vector_norm(torch.cat(gradients))))
        decays.update(group["weight_decay"] for group in groups)
        return step(optimiser, *given, **how)

    def steep(_: Specialist, network: KPrism, *__: Any) -> Any:
        return 1e6 * sum(p.sum() for p in network.parameters() if p.requires_grad)

    monkeypatch.setattr(torch.optim.AdamW, "step", spied)
    monkeypatch.setattr(Specialist, "_loss", steep)
    list(Specialist(predictor, [_example(predictor)], steps=2).learn())
    assert len(norms) == 2
    assert max(norms) < 1.01
    assert decays == {0.0}
