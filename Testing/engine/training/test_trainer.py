"""The training loop end to end on a tiny set: a few steps, exact resumption, divergence, logs."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from KPrismLib.errors import InvalidConfig, InvalidDataset, TrainingDiverged
from KPrismLib.training.checkpoint import Checkpoint
from KPrismLib.training.config import Phase, TrainingConfig
from KPrismLib.training.log import STEP_FIELDS, TrainingLog
from KPrismLib.training.loop import CHECKPOINT_NAME, Trainer, make_fabric
from KPrismLib.training.modes import Mode
from Testing.engine.training.tiny_training import tiny_config, trainer, write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "Tiny")


def run(training: Trainer, *, until: int | None = None) -> Trainer:
    training.run(TrainingLog(training.folder, total=training.config.total_steps, done=training.step), until=until)
    return training


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def assert_same_state(first: Trainer, second: Trainer) -> None:
    for ours, theirs in ((first.network, second.network), (first.average, second.average)):
        for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    ours, theirs = (t.optimizer.state_dict()["state"] for t in (first, second))
    assert ours.keys() == theirs.keys()
    for number in ours:
        assert all(torch.equal(ours[number][key], theirs[number][key]) for key in ours[number])


@pytest.fixture(scope="module")
def finished(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """Six steps in one go, over both phases, with everything on."""
    torch.set_num_threads(1)
    return run(trainer(tiny_config(dataset), tmp_path_factory.mktemp("runs") / "whole"))


def test_a_run_trains_logs_and_saves(finished: Trainer) -> None:
    assert finished.step == 6
    steps = rows(finished.folder / "steps.csv")
    assert tuple(steps[0]) == STEP_FIELDS
    assert [int(r["step"]) for r in steps] == [1, 2, 3, 4, 5, 6]
    assert [int(r["size"]) for r in steps] == [32] * 4 + [48] * 2
    assert [float(r["learning_rate"]) for r in steps[:3]] == [5e-4, 1e-3, 1e-3]
    assert [r["mode"] for r in steps] == [finished.sampler.mode(step).value for step in range(6)]
    for row in steps:
        assert math.isfinite(float(row["loss"]))
        assert 0 <= float(row["dice"]) <= 1
        assert float(row["gradient_norm"]) > 0
        assert float(row["seconds"]) > 0
    saved = Checkpoint.load(finished.folder / CHECKPOINT_NAME)
    assert saved.step == 6
    assert all(torch.equal(saved.network[n], t) for n, t in finished.network.state_dict().items())
    assert all(torch.equal(saved.average[n], t) for n, t in finished.average.state_dict().items())
    assert TrainingConfig.from_dict(saved.config["training"]) == finished.config
    assert list(finished.folder.glob("events.out.tfevents*"))
    assert (finished.folder.parent / "packed").is_dir()


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_a_run_that_was_killed_ends_in_the_very_same_weights(
    finished: Trainer, dataset: Path, tmp_path: Path, cut: int
) -> None:
    config = tiny_config(dataset)
    folder = tmp_path / "resumed"
    run(trainer(config, folder), until=cut)
    again = trainer(config, folder)
    assert again.resume()
    assert again.step == cut
    run(again)
    assert_same_state(again, finished)
    assert [r["loss"] for r in rows(folder / "steps.csv")] == [r["loss"] for r in rows(finished.folder / "steps.csv")]
    assert len(list(folder.glob("events.out.tfevents*"))) == 2


def test_another_seed_is_another_run(finished: Trainer, dataset: Path, tmp_path: Path) -> None:
    other = run(trainer(tiny_config(dataset, seed=1), tmp_path / "other"), until=1)
    assert rows(other.folder / "steps.csv")[0]["loss"] != rows(finished.folder / "steps.csv")[0]["loss"]


def test_without_a_checkpoint_there_is_nothing_to_resume(dataset: Path, tmp_path: Path) -> None:
    assert not trainer(tiny_config(dataset), tmp_path / "new").resume()


def test_a_checkpoint_of_another_network_is_refused(finished: Trainer, dataset: Path) -> None:
    config = tiny_config(dataset)
    other = dataclasses.replace(config, network_settings={**config.network_settings, "num_experts": 1})
    with pytest.raises(InvalidConfig, match="another network or other classes"):
        trainer(other, finished.folder).resume()


def test_classes_of_all_sets_share_the_table_in_order_of_appearance(dataset: Path, tmp_path: Path) -> None:
    labels = {"0": "background", "1": "Spleen", "2": "aorta"}
    second = write_dataset(tmp_path / "B", name="B", patients=2, labels=labels)
    training = trainer(tiny_config(dataset, datasets=(str(dataset), str(second))), tmp_path / "run")
    assert training.network_config.classes == ("liver", "spleen", "aorta")
    assert training.network.semantic_table.table.shape[0] == 3


def test_a_warm_start_takes_given_weights_exactly_or_not_at_all(
    finished: Trainer, dataset: Path, tmp_path: Path
) -> None:
    fresh = trainer(tiny_config(dataset, seed=7), tmp_path / "warm")
    fresh.warm_start(finished.average.state_dict())
    for network in (fresh.network, fresh.average):
        assert all(torch.equal(t, finished.average.state_dict()[n]) for n, t in network.state_dict().items())
    weights = dict(finished.average.state_dict())
    del weights["semantic_table.table"]
    with pytest.raises(RuntimeError, match="semantic_table"):
        fresh.warm_start(weights)


def test_the_average_follows_slowly_and_forgets_the_start(dataset: Path, tmp_path: Path) -> None:
    training = trainer(tiny_config(dataset, average_decay=0.5), tmp_path / "run")
    start = training.network.final_mask_head.logit.weight.detach().clone()
    expected = start.clone()
    for step in (1, 2, 3):
        training.train_step()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * training.network.final_mask_head.logit.weight.detach()
    torch.testing.assert_close(training.average.final_mask_head.logit.weight.detach(), expected)
    assert not torch.allclose(expected, start, atol=1e-5)


def test_gradients_are_clipped(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = trainer(tiny_config(dataset, clip_norm=1e-3), tmp_path / "run")
    norms: list[float] = []

    def stepping(*_: Any, **__: Any) -> None:
        squares = [p.grad.square().sum() for p in training.network.parameters() if p.grad is not None]
        norms.append(math.sqrt(float(sum(squares))))

    monkeypatch.setattr(training.optimizer, "step", stepping)
    record = training.train_step()
    assert record["gradient_norm"] > 1e-2  # what is told is the norm before clipping
    assert norms == [pytest.approx(1e-3, rel=1e-3)]


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_divergence_stops_the_run_and_keeps_the_checkpoint_before(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    training = run(trainer(tiny_config(dataset), tmp_path / "run"), until=2)
    weights = {n: t.clone() for n, t in training.network.state_dict().items()}
    if broken == "loss":
        monkeypatch.setattr("KPrismLib.training.objective.dice_loss", lambda *_: torch.tensor(math.nan))
    else:
        parameter = training.network.final_mask_head.logit.bias
        parameter.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingDiverged, match="at step 2; lower learning_rate"):
        run(training)
    assert Checkpoint.load(training.folder / CHECKPOINT_NAME).step == 2
    assert all(torch.equal(t, weights[n]) for n, t in training.network.state_dict().items())
    assert len(rows(training.folder / "steps.csv")) == 2


def test_an_overflow_of_half_precision_is_left_to_the_loss_scaling(dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(dataset)
    training = trainer(config, tmp_path / "run")
    training.config = dataclasses.replace(config, precision="16-mixed")
    training.network.final_mask_head.logit.bias.register_hook(lambda gradient: gradient * math.inf)
    assert training.train_step()["gradient_norm"] == math.inf
    assert training.step == 1


def test_stopping_early_saves_there(dataset: Path, tmp_path: Path) -> None:
    training = run(trainer(tiny_config(dataset), tmp_path / "run"), until=0)
    assert training.step == 0
    assert not (training.folder / CHECKPOINT_NAME).exists()
    run(training, until=1)
    assert Checkpoint.load(training.folder / CHECKPOINT_NAME).step == 1


class TestValidation:
    def test_it_runs_on_held_out_patients_at_its_times(self, dataset: Path, tmp_path: Path) -> None:
        config = tiny_config(dataset, holdout=0.25, phases=(Phase(size=32, steps=3, batch=1),), validate_every=2)
        training = run(trainer(config, tmp_path / "run"))
        found = rows(training.folder / "validation.csv")
        assert {int(r["step"]) for r in found} == {2, 3}
        names = {r["name"] for r in found}
        assert {"semantic", "interactive", "semantic/Tiny"} <= names
        assert all(0 <= float(r["dice"]) <= 1 for r in found)

    def test_it_repeats_itself_and_judges_the_average(self, dataset: Path, tmp_path: Path) -> None:
        training = trainer(tiny_config(dataset, holdout=0.25, validation_samples=3), tmp_path / "run")
        first = training.validate()
        assert set(first) == {name for mode in Mode for name in (mode.value, f"{mode.value}/Tiny")}
        assert any(first.values())
        with torch.no_grad():
            training.network.final_mask_head.logit.bias += 100
        assert training.validate() == first
        with torch.no_grad():
            training.average.final_mask_head.logit.bias -= 100  # now nothing is foreground
        assert training.validate() == dict.fromkeys(first, 0.0)

    def test_in_context_is_left_out_where_no_reference_exists(self, tmp_path: Path) -> None:
        """One held-out patient has nobody to refer to; validation must neither fail nor seek for ever."""
        folder = write_dataset(tmp_path / "d", patients=2)
        training = trainer(tiny_config(folder, holdout=0.0), tmp_path / "run")
        from KPrismLib.training.sampling import Sampler
        from KPrismLib.training.validation import validate

        one = [s for s in training.sampler._datasets[0].slices if s.patient == "Tiny-0"]
        alone = dataclasses.replace(training.sampler._datasets[0], slices=tuple(one))
        sampler = Sampler([alone], weights={}, seed=0)
        found = validate(training.objective, sampler, training.maker, size=32, samples=2, device=torch.device("cpu"))
        assert set(found) == {"semantic", "semantic/Tiny", "interactive", "interactive/Tiny"}

    def test_where_the_share_holds_nobody_out_training_goes_on_without(self, tmp_path: Path) -> None:
        folder = write_dataset(tmp_path / "d", patients=2)
        training = trainer(tiny_config(folder, holdout=1e-4), tmp_path / "run")
        assert training.validation_sampler is None
        run(training, until=1)
        assert not rows(training.folder / "validation.csv")


def test_a_single_patient_can_be_trained_on_without_references(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", patients=1)
    modes = {Mode.SEMANTIC: 1.0, Mode.INTERACTIVE: 1.0}
    run(trainer(tiny_config(folder, modes=modes), tmp_path / "run"), until=2)
    asked = trainer(tiny_config(folder, modes={Mode.IN_CONTEXT: 1.0}), tmp_path / "other")
    with pytest.raises(InvalidDataset, match=r"\[modes\]"):
        asked.train_step()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_every_mode_trains_in_both_precisions(dataset: Path, tmp_path: Path, precision: str) -> None:
    for mode in Mode:
        training = trainer(tiny_config(dataset, modes={mode: 1.0}, precision=precision), tmp_path / mode.value)
        record = training.train_step()
        assert record["mode"] == mode.value
        assert math.isfinite(record["loss"])
        assert training.network.final_mask_head.logit.weight.dtype == torch.float32


class TestLog:
    def record(self, step: int) -> dict[str, Any]:
        return {"mode": "semantic", "size": 32, "loss": 1 / 3, "dice": 0.5, "gradient_norm": 1.0, "learning_rate": 1e-4,
                "seconds": 0.25}  # fmt: skip

    def test_rows_are_appended_under_one_header(self, tmp_path: Path) -> None:
        for first in (1, 3):
            with TrainingLog(tmp_path / "run", total=4, done=first - 1) as log:
                for step in (first, first + 1):
                    log.step(step, self.record(step))
                log.validation(first + 1, {"semantic": 0.75, "semantic/Tiny": 0.75})
        text = (tmp_path / "run" / "steps.csv").read_text().splitlines()
        assert text[0] == ",".join(STEP_FIELDS)
        assert text[1] == "1,semantic,32,0.333333,0.5,1,0.0001,0.25"
        assert [line.split(",")[0] for line in text[1:]] == ["1", "2", "3", "4"]
        validations = (tmp_path / "run" / "validation.csv").read_text().splitlines()
        assert validations == ["step,name,dice"] + [
            f"{s},{n},0.7500" for s in (2, 4) for n in ("semantic", "semantic/Tiny")
        ]

    def test_tensorboard_gets_the_same_numbers(self, tmp_path: Path) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        with TrainingLog(tmp_path, total=4) as log:
            log.step(1, self.record(1))
            log.validation(1, {"semantic": 0.75})
        board = EventAccumulator(str(tmp_path))
        board.Reload()
        assert set(board.Tags()["scalars"]) == {
            "loss/semantic", "dice/semantic", "gradient_norm", "learning_rate", "validation/semantic",
        }  # fmt: skip
        assert board.Scalars("loss/semantic")[0].value == pytest.approx(1 / 3)

    def test_every_fifty_steps_the_time_that_is_left_is_told(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with TrainingLog(tmp_path, total=290) as log:
            log.step(49, self.record(49))
            assert "step" not in capsys.readouterr().out
            log.step(50, self.record(50))
            log.validation(50, {"semantic": 0.75, "semantic/Tiny": 0.7})
            assert len((tmp_path / "steps.csv").read_text().splitlines()) == 3  # on the disk, should the power fail
        told = capsys.readouterr().out
        assert "step 50/290" in told
        assert "about 1 min left" in told
        assert "semantic 0.750" in told
        assert "Tiny" not in told

    def test_other_ranks_write_nothing(self, tmp_path: Path) -> None:
        with TrainingLog(tmp_path / "run", total=4, active=False):
            pass
        assert not (tmp_path / "run").exists()


def test_several_processes_train_with_unused_parameters_allowed() -> None:
    config = TrainingConfig(datasets=("A",), phases=(Phase(size=32, steps=1, batch=1),), precision="32-true")
    fabric = make_fabric(config, accelerator="cpu", devices=2)
    assert fabric.world_size == 2
    assert fabric.strategy._ddp_kwargs["find_unused_parameters"] is True
