"""The switches of Tables 5 and 7(b): every variant is built, trained a step in every mode, and has no idle weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from KPrismLib.network import KPrism
from KPrismLib.training.losses import prediction_loss
from Testing.engine.network.tiny_network import MODES, blob, filled, knowledge, scene, tiny_config

SIZE = (32, 32)

VARIANTS: dict[str, dict[str, Any]] = {
    **{f"{n} experts": {"num_experts": n} for n in range(1, 6)},
    "loop": {"attention": "loop"},
    "w/o MoE CA": {"moe_attention": False},
    "w/o MoE FFN": {"moe_ffn": False},
    "w/o both": {"moe_attention": False, "moe_ffn": False},
    "w/o 2-D fusion": {"dense_prompts": False},
    "w/o 1-D queries": {"sparse_prompts": False},
    "w/o any prompt": {"dense_prompts": False, "sparse_prompts": False},
    "three rounds": {"rounds": 3},
}


def cannot_learn(name: str, changes: dict[str, Any]) -> bool:
    """Parameters on which no output depends: a softmax ignores what it adds to all scores of a row."""
    if name.endswith(("read.bias_k", "write.bias_k")):
        return True
    return changes.get("num_experts") == 1 and ".gate." in name  # a softmax over one expert is 1


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_step_reaches_every_parameter_in_some_mode_and_moves_the_mask(changes: dict[str, Any]) -> None:
    network = filled(KPrism(tiny_config(**changes)))
    target = blob(2, SIZE, dtype=torch.float32)
    image = scene(2, SIZE, dtype=torch.float32)
    reached: dict[str, float] = {}
    losses = []
    for mode in MODES:
        given = knowledge(network, mode, 2, SIZE, dtype=torch.float32)
        loss = prediction_loss(network(network.encode_image(image), **given), target, 1.0)
        assert torch.isfinite(loss), mode
        network.zero_grad()
        loss.backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all(), (mode, name)
                reached[name] = max(reached.get(name, 0.0), parameter.grad.abs().max().item())
        losses.append(loss.item())
    idle = {name for name, _ in network.named_parameters() if reached.get(name, 0.0) < 1e-9}
    assert idle <= {name for name, _ in network.named_parameters() if cannot_learn(name, changes)}

    # A step down the gradient of the last mode, so short that no mask inside flips: the loss falls as it promises.
    fall = 1e-4
    with torch.no_grad():
        learned = [p for p in network.parameters() if p.grad is not None]
        square = sum(p.grad.square().sum() for p in learned)  # type: ignore[union-attr]
        for parameter in learned:
            parameter -= fall / square * parameter.grad
        after = prediction_loss(network(network.encode_image(image), **given), target, 1.0)
    assert losses[-1] - after.item() == pytest.approx(fall, rel=0.5)


def test_switched_off_prompts_are_not_built() -> None:
    names = {name.split(".")[0] for name in KPrism(tiny_config(dense_prompts=False)).state_dict()}
    assert not names & {"mask_encoder", "prompt_encoder"}
    names = {name.split(".")[0] for name in KPrism(tiny_config(sparse_prompts=False)).state_dict()}
    assert not names & {"click_queries", "reference_queries"}
    assert "plain_queries" in names


@torch.no_grad()
@pytest.mark.parametrize("mode", ["interactive", "refine in-context"])
def test_without_dense_prompts_the_maps_are_not_read(mode: str) -> None:
    network = filled(KPrism(tiny_config(dense_prompts=False))).eval()
    features = network.encode_image(scene(1, SIZE, dtype=torch.float32))
    given = knowledge(network, mode, 1, SIZE, dtype=torch.float32)
    before = network(features, **given).logits
    given["prompt"].maps.fill_(1)
    assert torch.equal(network(features, **given).logits, before)


@torch.no_grad()
def test_without_sparse_prompts_the_places_of_clicks_are_read_from_the_maps_alone() -> None:
    network = filled(KPrism(tiny_config(sparse_prompts=False))).eval()
    features = network.encode_image(scene(1, SIZE, dtype=torch.float32))
    given = knowledge(network, "interactive", 1, SIZE, dtype=torch.float32)
    before = network(features, **given).logits
    given["prompt"].clicks.row_column.zero_()
    assert torch.equal(network(features, **given).logits, before)
    given["prompt"].maps.fill_(1)
    assert not torch.allclose(network(features, **given).logits, before)
