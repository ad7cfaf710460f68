"""Validation while a run goes on: on held-out patients, of the averaged weights, at its times."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from KPrismLib.training.batches import BatchMaker
from KPrismLib.training.config import Phase
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.sampling import Sampler
from KPrismLib.training.validation import validate
from Testing.engine.training.tiny_training import rows, run, tiny_config, trainer, write_dataset


def test_validation_runs_on_held_out_patients_at_its_times(dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(dataset, holdout=0.25, phases=(Phase(size=32, steps=3, batch=1),), validate_every=2)
    training = run(trainer(config, tmp_path / "run"))
    found = rows(training.folder / "validation.csv")
    assert {int(r["step"]) for r in found} == {2, 3}
    names = {r["name"] for r in found}
    assert {"semantic", "interactive", "semantic/Tiny"} <= names
    assert all(0 <= float(r["dice"]) <= 1 for r in found)


def test_a_validation_that_was_cut_off_is_made_up_for(dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(dataset, holdout=0.25, validate_every=2, checkpoint_every=1)
    cut = trainer(config, tmp_path / "run")
    validate = cut.validate

    def killed() -> dict[str, float]:
        if cut.step == 4:
            raise KeyboardInterrupt
        return validate()

    cut.validate = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(cut)
    again = trainer(config, tmp_path / "run")
    assert again.resume()
    run(again)
    assert [r["step"] for r in rows(again.folder / "validation.csv") if r["name"] == "semantic"] == ["2", "4", "6"]


def test_a_set_of_weight_0_is_not_validated_on(dataset: Path, tmp_path: Path) -> None:
    """All held-out patients belong to it: the run goes without validation, as one of few patients does."""
    whole = write_dataset(tmp_path / "Whole", name="Whole", patients=1)
    both = (str(dataset), str(whole))
    weights = {"Tiny": 0.0}
    config = tiny_config(
        dataset, datasets=both, dataset_weights=weights, holdout=0.25, modes={TrainingMode.SEMANTIC: 1.0}
    )
    assert trainer(config, tmp_path / "run").validation_sampler is None


def test_validation_repeats_itself_and_judges_the_average(dataset: Path, tmp_path: Path) -> None:
    training = trainer(tiny_config(dataset, holdout=0.25, validation_samples=3), tmp_path / "run")
    first = training.validate()
    assert set(first) == {name for mode in TrainingMode for name in (mode.value, f"{mode.value}/Tiny")}
    assert any(first.values())
    with torch.no_grad():
        training.network.final_mask_head.logit.bias += 100
    assert training.validate() == first
    with torch.no_grad():
        training.average.final_mask_head.logit.bias -= 100  # now nothing is foreground
    assert training.validate() == dict.fromkeys(first, 0.0)


def test_in_context_is_left_out_where_no_reference_exists(tmp_path: Path) -> None:
    """One held-out patient has nobody to refer to; validation must neither fail nor seek for ever."""
    folder = write_dataset(tmp_path / "d", patients=2)
    training = trainer(tiny_config(folder, holdout=0.0), tmp_path / "run")
    one = [s for s in training.sampler._datasets[0].slices if s.patient == "Tiny-0"]
    alone = dataclasses.replace(training.sampler._datasets[0], slices=tuple(one))
    sampler = Sampler([alone], weights={}, seed=0)
    maker = BatchMaker(training.network_config.classes, None, seed=0)
    found = validate(training.objective, sampler, maker, size=32, samples=2, device=torch.device("cpu"))
    assert set(found) == {"semantic", "semantic/Tiny", "interactive", "interactive/Tiny"}


def test_where_the_share_holds_nobody_out_training_goes_on_without(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", patients=2)
    training = trainer(tiny_config(folder, holdout=1e-4), tmp_path / "run")
    assert training.validation_sampler is None
    run(training, until=1)
    assert not rows(training.folder / "validation.csv")
