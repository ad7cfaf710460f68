"""What a configuration says reaches what does it: rates, decay, samples, validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from KPrismLib.training import loop
from KPrismLib.training.augmentation import AugmentationConfig
from KPrismLib.training.batches import BatchMaker
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.sampling import Sample, Sampler
from KPrismLib.training.validation import validate
from Testing.engine.training.test_batches import CLASSES
from Testing.engine.training.tiny_training import packed, run, tiny_config, trainer


def test_the_optimiser_has_the_rate_and_the_decay_that_are_asked_for(dataset: Any, tmp_path: Path) -> None:
    training = trainer(tiny_config(dataset, weight_decay=0.07), tmp_path / "run")
    for _ in range(4):
        record = training.train_step()
        assert {group["lr"] for group in training.optimizer.param_groups} == {record["learning_rate"]}
        assert {group["weight_decay"] for group in training.optimizer.param_groups} == {0.07}


def test_nobody_is_both_learned_from_and_validated_on(
    dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, Sampler]] = []
    original = loop.validate

    def spied(objective: Any, sampler: Sampler, *given: Any, **how: Any) -> Any:
        asked.append((objective, sampler))
        return original(objective, sampler, *given, **how)

    monkeypatch.setattr(loop, "validate", spied)
    training = trainer(tiny_config(dataset, holdout=0.34), tmp_path / "run")
    training.validate()
    ((objective, sampler),) = asked
    learned, judged = (
        {one.target.patient for mode in TrainingMode for one in each.batch(0, range(40), mode)}
        for each in (training.sampler, sampler)
    )
    assert judged
    assert learned
    assert not judged & learned
    how = objective.config
    assert (how.refinements, how.interactive_passes, how.warm_up_clicks, how.scribble_probability) == (0, 3, 0, 0.0)


def test_what_is_said_of_samples_reaches_the_sampler(
    dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def spied(original: Any) -> Any:
        return lambda *given, **how: told.append(how) or original(*given, **how)

    for name in ("Sampler", "BatchMaker"):
        monkeypatch.setattr(loop, name, spied(getattr(loop, name)))
    trainer(tiny_config(dataset, absent=0.2, same_volume=0.3, upside_down=("Tiny",)), tmp_path / "run")
    assert (told[0]["absent"], told[0]["same_volume"]) == (0.2, 0.3)
    assert told[-1]["upside_down"] == ("Tiny",)


def test_which_losses_are_usual_is_known_after_resuming(dataset: Any, tmp_path: Path) -> None:
    first = run(trainer(tiny_config(dataset), tmp_path / "run"), until=2)
    again = trainer(tiny_config(dataset), tmp_path / "run")
    assert again.resume()
    assert again.watch.recent == first.watch.recent
    assert again.watch.recent


def test_grey_values_of_images_change_and_those_of_references_otherwise(tmp_path: Path) -> None:
    dataset = packed(tmp_path)
    one = dataset.slices[0]
    chosen = [Sample(dataset, one, "liver", one)]  # itself as the reference
    still = AugmentationConfig(rotation=0, scale=1, shift=0, distortion=0, intensity=1, blur=0, noise=0, colour=0)
    plain, looks = (
        BatchMaker(CLASSES, how, seed=0).make(chosen, mode=TrainingMode.IN_CONTEXT, size=48, step=1, first=0)
        for how in (None, still)
    )
    assert looks.reference_image is not None
    assert (looks.image.float() - plain.image.float()).abs().mean() > 8
    assert (looks.image.float() - looks.reference_image[:, 0].float()).abs().mean() > 2


def test_as_many_samples_are_validated_on_as_are_asked_for(
    dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = trainer(tiny_config(dataset, holdout=0.34), tmp_path / "run")
    sampler: Any = training.validation_sampler
    drawn: list[int] = []
    original = sampler.batch

    def spied(step: int, positions: Any, mode: TrainingMode) -> Any:
        drawn.extend(position for position in positions if mode is TrainingMode.SEMANTIC)
        return original(step, positions, mode)

    monkeypatch.setattr(sampler, "batch", spied)
    maker = BatchMaker(training.network_config.classes, None, 0)
    validate(training.objective, sampler, maker, size=32, samples=20, device=torch.device("cpu"))
    assert sorted(drawn) == list(range(20))
