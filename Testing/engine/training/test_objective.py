"""The joint objective of A.2: losses against hand-computed numbers, and what a step is composed of."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from KPrismLib.network import KPrism, MaskPrediction
from KPrismLib.training import objective as module
from KPrismLib.training.batches import Batch
from KPrismLib.training.config import TrainingConfig
from KPrismLib.training.losses import dice_loss, hard_dice, mask_loss, prediction_loss
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.objective import Objective, ObjectiveConfig
from Testing.engine.network.tiny_network import blob, filled, knowledge, scene, tiny_config

CONFIGS = Path(__file__).parents[3] / "Training" / "configs"
SIZE = (32, 32)


def batch(mode: TrainingMode, *, step: int = 0, first: int = 0, samples: int = 2) -> Batch:
    references = mode is TrainingMode.IN_CONTEXT
    return Batch(
        mode,
        step,
        first,
        scene(samples, SIZE, dtype=torch.float32),
        blob(samples, SIZE, dtype=torch.float32),
        torch.arange(samples) % 2,
        scene(samples, SIZE, dtype=torch.float32).flip(-1)[:, None] if references else None,
        blob(samples, SIZE, dtype=torch.float32)[:, None] if references else None,
    )


def objective(network: KPrism | None = None, **config: Any) -> Objective:
    network = network or filled(KPrism(tiny_config()))
    return Objective(network, ObjectiveConfig(**config), click_radius=1, seed=0)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


class TestLosses:
    def test_dice_by_hand(self) -> None:
        logits = torch.tensor([[[[logit(0.75), logit(0.5)]]], [[[logit(0.2), logit(0.1)]]]])
        target = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 1.0]]]])
        first = 1 - (2 * 0.75 + 1) / (1.25 + 1 + 1)
        second = 1 - (2 * 0.1 + 1) / (0.3 + 1 + 1)
        assert dice_loss(logits, target).item() == pytest.approx((first + second) / 2, rel=1e-6)

    def test_cross_entropy_and_dice_add_up(self) -> None:
        logits = torch.tensor([[[[logit(0.75), logit(0.5)]]]])
        target = torch.tensor([[[[1.0, 0.0]]]])
        entropy = -(math.log(0.75) + math.log(0.5)) / 2
        assert mask_loss(logits, target).item() == pytest.approx(entropy + 1 - 2.5 / 3.25, rel=1e-6)

    def test_half_precision_logits_are_judged_in_single(self) -> None:
        logits = torch.tensor([[[[40.0, -40.0]]]]).bfloat16()
        loss = mask_loss(logits, torch.tensor([[[[0.0, 1.0]]]]))
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(40 + 1 - 1 / 3, rel=1e-4)

    def test_targets_of_half_precision_are_summed_in_single(self) -> None:
        target = torch.ones(1, 1, 19, 27)  # 513 pixels, which bfloat16 cannot count
        logits = torch.where(torch.arange(27) < 20, 3.0, -3.0).expand_as(target)
        half = target.bfloat16()
        prediction = MaskPrediction(logits, [logits[..., :9, :9]])
        assert hard_dice(logits, half) == hard_dice(logits, target)
        assert prediction_loss(prediction, half, 0.5) == prediction_loss(prediction, target, 0.5)

    def test_layers_are_judged_at_their_own_scale_by_area(self) -> None:
        target = torch.zeros(1, 1, 4, 4)
        target[..., :2, :3] = 1
        final, coarse = torch.randn(1, 1, 4, 4), torch.randn(1, 1, 2, 2)
        share = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]])
        prediction = MaskPrediction(final, [coarse, final])
        layers = (mask_loss(coarse, share) + mask_loss(final, target)) / 2
        assert prediction_loss(prediction, target, 0.5) == pytest.approx(mask_loss(final, target) + 0.5 * layers)
        assert prediction_loss(prediction, target, 0.0) == mask_loss(final, target)
        assert prediction_loss(MaskPrediction(final, []), target, 0.5) == mask_loss(final, target)

    @pytest.mark.parametrize(("mode", "layers"), [("semantic", 5), ("in-context", 6), ("refine in-context", 5)])
    def test_in_the_papers_recipe_every_mask_has_the_gradient_that_it_has_alone(self, mode: str, layers: int) -> None:
        """Equal weights, however many layers have a mask."""
        network = filled(KPrism(tiny_config()))
        given = knowledge(network, mode, 2, SIZE, dtype=torch.float32)
        found = network(network.encode_image(scene(2, SIZE, dtype=torch.float32)), **given)
        target = blob(2, SIZE, dtype=torch.float32)
        masks = [m.detach().requires_grad_() for m in (found.logits, *found.layer_logits)]
        assert len(masks) == 1 + layers
        for file in ("paper.toml", "paper-ablation.toml"):
            recipe = TrainingConfig.read(CONFIGS / file).objective
            prediction_loss(
                MaskPrediction(masks[0], masks[1:]), target, recipe.layer_weight, recipe.sum_layers
            ).backward()
            for mask in masks:
                alone = mask.detach().requires_grad_()
                mask_loss(alone, torch.nn.functional.adaptive_avg_pool2d(target, mask.shape[-2:])).backward()
                torch.testing.assert_close(mask.grad, alone.grad)
                mask.grad = None

    def test_an_empty_target_is_missed_by_the_share_of_the_area_that_is_marked(self) -> None:
        """With 1 % smoothing, a false 1 % of the area costs half, whatever the size of the image."""
        for side in (20, 40):
            logits = torch.full((1, 1, side, side), -50.0)
            logits.flatten()[: side * side // 100] = 50.0
            loss = dice_loss(logits, torch.zeros_like(logits))
            assert loss.item() == pytest.approx(0.5, abs=1e-6)
        assert dice_loss(torch.full((1, 1, 20, 20), -50.0), torch.zeros(1, 1, 20, 20)).item() == pytest.approx(0)

    def test_a_large_false_area_still_has_a_gradient(self) -> None:
        logits = torch.full((1, 1, 100, 100), 1.0, requires_grad=True)
        dice_loss(logits, torch.zeros(1, 1, 100, 100)).backward()
        assert logits.grad is not None
        # 1 % smoothing: s / (P + s)^2 * p (1 - p) with s = 100 and P = 7311; one pixel of it would give 3.7e-9.
        assert logits.grad.mean().item() == pytest.approx(100 / 7410.6**2 * 0.19661, rel=1e-3)

    def test_hard_dice_by_hand(self) -> None:
        logits = torch.tensor([[[[1.0, 0.0, -1.0]]], [[[-1.0, -1.0, -1.0]]], [[[-1.0, -1.0, -1.0]]]])
        target = torch.tensor([[[[1.0, 0.0, 1.0]]], [[[0.0, 1.0, 0.0]]], [[[0.0, 0.0, 0.0]]]])
        assert hard_dice(logits, target).tolist() == [0.5, 0.0, 1.0]


class Passes:
    """The loss of every pass of a step, in order, and what each pass was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, network: KPrism) -> None:
        self.losses: list[Tensor] = []
        self.given: list[dict[str, Any]] = []
        self.encoded = 0
        real = module.prediction_loss

        def loss(*arguments: Any) -> Tensor:
            self.losses.append(real(*arguments))
            return self.losses[-1]

        monkeypatch.setattr(module, "prediction_loss", loss)
        network.register_forward_pre_hook(lambda _, __, named: self.given.append(named), with_kwargs=True)
        network.image_encoder.register_forward_hook(lambda *_: setattr(self, "encoded", self.encoded + 1))


@pytest.mark.parametrize("sum_layers", [False, True])
def test_a_step_weighs_layers_as_it_is_told(sum_layers: bool) -> None:
    step = objective(sum_layers=sum_layers, layer_weight=0.5, refinements=1)
    made: list[MaskPrediction] = []
    step.network.register_forward_hook(lambda _, __, prediction: made.append(prediction))
    data = batch(TrainingMode.SEMANTIC)
    loss, _ = step(data)
    first, refined = (prediction_loss(prediction, data.mask, 0.5, sum_layers) for prediction in made)
    assert loss.item() == pytest.approx(((first + 0.8 * refined) / 2).item())


@pytest.mark.parametrize(("mode", "encodings"), [(TrainingMode.SEMANTIC, 1), (TrainingMode.IN_CONTEXT, 2)])
def test_a_first_mask_is_refined_by_two_clicks(
    monkeypatch: pytest.MonkeyPatch, mode: TrainingMode, encodings: int
) -> None:
    step = objective(refinement_weight=0.8, scribble_probability=0.0)
    passes = Passes(monkeypatch, step.network)
    loss, dice = step(batch(mode))
    first, *refined = passes.losses
    assert len(refined) == 2
    assert loss.item() == pytest.approx((first + 0.8 * sum(refined)).item() / 3, rel=1e-6)
    assert passes.encoded == encodings  # once for images, once for references, whatever follows
    assert dice.shape == (2,)
    prompts = [given.get("prompt") for given in passes.given]
    assert prompts[0] is None
    assert [p.clicks.valid.sum(1).tolist() for p in prompts[1:]] == [[1, 1], [2, 2]]
    for given in passes.given:
        assert (given["class_index"] is not None) == (mode is TrainingMode.SEMANTIC)
        assert (given["reference"] is not None) == (mode is TrainingMode.IN_CONTEXT)
    assert not prompts[1].previous_logits.requires_grad


def test_three_clicks_from_nothing_in_the_interactive_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    step = objective(scribble_probability=0.0)
    passes = Passes(monkeypatch, step.network)
    loss, _ = step(batch(TrainingMode.INTERACTIVE))
    assert len(passes.losses) == 3
    assert loss.item() == pytest.approx(sum(passes.losses).item() / 3, rel=1e-6)  # type: ignore[union-attr]
    prompts = [given["prompt"] for given in passes.given]
    assert [p.clicks.valid.sum(1).tolist() for p in prompts] == [[1, 1], [2, 2], [3, 3]]
    assert prompts[0].previous_logits is None
    assert prompts[0].clicks.positive.all()
    for given, later in itertools.pairwise(prompts):
        assert torch.equal(later.clicks.row_column[:, : given.clicks.valid.shape[1]], given.clicks.row_column)
    assert all(given["class_index"] is None and given["reference"] is None for given in passes.given)


@pytest.mark.parametrize("mode", TrainingMode)
def test_each_round_is_judged_by_itself(monkeypatch: pytest.MonkeyPatch, mode: TrainingMode) -> None:
    """What the user saw is given; no gradient reaches back into the round that made it."""
    step = objective(refinements=3, warm_up_clicks=1)
    passes = Passes(monkeypatch, step.network)
    step(batch(mode))
    shown = [given["prompt"].previous_logits for given in passes.given if given.get("prompt")]
    assert len(shown) >= 3
    assert not any(logits.requires_grad for logits in shown if logits is not None)


@torch.no_grad()
def test_refinements_are_drawn_from_none_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    step = objective(always_refine=False, refinements=2)
    passes = Passes(monkeypatch, step.network)
    counts = []
    for number in range(12):
        passes.losses.clear()
        step(batch(TrainingMode.SEMANTIC, step=number))
        counts.append(len(passes.losses) - 1)
    assert set(counts) == {0, 1, 2}


def test_clicks_answer_the_mask_that_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from KPrismLib.evaluation.simulated_click import next_click

    step = objective(scribble_probability=0.0)
    passes = Passes(monkeypatch, step.network)
    data = batch(TrainingMode.INTERACTIVE)
    step(data)
    target = data.mask[:, 0].bool().numpy()
    for number, given in enumerate(passes.given):
        prompt = given["prompt"]
        shown = np.zeros_like(target) if number == 0 else (prompt.previous_logits[:, 0] >= 0).numpy()
        for b in range(2):
            click = next_click(shown[b], target[b])
            assert click is not None
            assert prompt.clicks.row_column[b, -1].tolist() == [click.row, click.column]
            assert prompt.clicks.positive[b, -1].item() == click.positive


@torch.no_grad()
def test_warm_up_clicks_precede_those_that_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    step = objective(warm_up_clicks=2, interactive_passes=2, scribble_probability=0.0)
    passes = Passes(monkeypatch, step.network)
    counts = []
    for number in range(12):
        passes.given.clear()
        passes.losses.clear()
        step(batch(TrainingMode.INTERACTIVE, step=number))
        assert len(passes.losses) == 2
        counts.append(len(passes.given) - 2)
    assert set(counts) == {0, 1, 2}


def test_warm_up_clicks_cut_nothing_off_from_the_loss_in_mixed_precision() -> None:
    def reached(warm_up: int) -> set[str]:
        step = objective(interactive_passes=1, scribble_probability=0.0, warm_up_clicks=warm_up)
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = step(batch(TrainingMode.INTERACTIVE, step=warm))
        loss.backward()
        return {name for name, parameter in step.named_parameters() if parameter.grad is not None}

    warm = next(number for number in range(9) if np.random.default_rng((0, number, 3)).integers(3) > 0)
    assert reached(2) == reached(0)


def test_the_number_of_passes_is_the_same_on_all_ranks_and_varies_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks that disagree would wait for each other's gradients for ever."""
    step = objective(
        warm_up_clicks=2, interactive_passes=1, always_refine=False, refinements=2, scribble_probability=0.5
    )
    passes = Passes(monkeypatch, step.network)

    @torch.no_grad()
    def count(mode: TrainingMode, number: int, first: int) -> int:
        passes.given.clear()
        step(batch(mode, step=number, first=first))
        return len(passes.given)

    for mode in (TrainingMode.SEMANTIC, TrainingMode.INTERACTIVE):
        counts = [[count(mode, number, first) for number in range(5)] for first in (0, 2)]
        assert counts[0] == counts[1]
        assert len(set(counts[0])) > 1


def test_strokes_belong_to_the_position_in_the_global_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    step = objective(scribble_probability=1.0, interactive_passes=1)
    passes = Passes(monkeypatch, step.network)

    def places(first: int, samples: int = 2) -> Tensor:
        passes.given.clear()
        step(batch(TrainingMode.INTERACTIVE, first=first, samples=samples))
        found: Tensor = passes.given[0]["prompt"].maps
        return found

    assert torch.equal(places(0), places(0))
    assert torch.equal(places(0, samples=1)[0], places(0)[0])
    assert not torch.equal(places(0), places(2))


@pytest.mark.parametrize("mode", TrainingMode)
def test_the_loss_of_a_batch_is_the_mean_over_its_samples(mode: TrainingMode) -> None:
    """So that processes with equal shares of a batch average to the loss of the whole."""
    step = objective(warm_up_clicks=1)
    whole = batch(mode, samples=4)
    shares = []
    for first in (0, 2):
        parts = [None if t is None else t[first : first + 2] for t in whole[3:]]
        shares.append(step(Batch(whole.mode, whole.step, first, *parts)))
    loss, dice = step(whole)
    torch.testing.assert_close(loss, (shares[0][0] + shares[1][0]) / 2, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(dice, torch.cat([shares[0][1], shares[1][1]]))


@pytest.mark.parametrize("mode", TrainingMode)
def test_gradients_reach_the_parts_that_a_mode_uses(mode: TrainingMode) -> None:
    step = objective()
    loss, _ = step(batch(mode))
    loss.backward()
    reached = {name.split(".")[0] for name, p in step.network.named_parameters() if p.grad is not None}
    used = {"image_encoder", "projections", "decoder", "final_mask_head", "click_queries", "prompt_encoder"}
    used |= {
        TrainingMode.SEMANTIC: {"semantic_table"},
        TrainingMode.IN_CONTEXT: {"mask_encoder", "reference_queries"},
    }.get(mode, set())
    assert reached == used


def test_a_few_steps_of_descent_learn_a_mask() -> None:
    step = objective(refinements=0)
    data = batch(TrainingMode.SEMANTIC)
    optimizer = torch.optim.AdamW(step.network.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss, _ = step(data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
