"""The training loop end to end on a tiny set: a few steps, exact resumption, divergence, logs."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision

from KPrismLib.errors import CannotWrite, InvalidConfig, InvalidDataset, TrainingDiverged
from KPrismLib.training.checkpoint import Checkpoint
from KPrismLib.training.config import Phase, TrainingConfig
from KPrismLib.training.log import STEP_FIELDS
from KPrismLib.training.loop import CHECKPOINT_NAME, Trainer, make_fabric
from KPrismLib.training.modes import TrainingMode
from Testing.engine.training.tiny_training import (
    assert_same_state,
    cpu,
    rows,
    run,
    tiny_config,
    trainer,
    write_dataset,
)


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


def test_worker_processes_change_nothing(finished: Trainer, dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(dataset)
    ahead = Trainer(config, tmp_path / "ahead", cpu(config), workers=1)
    assert_same_state(run(ahead), finished)


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


def test_a_checkpoint_of_another_configuration_is_refused(finished: Trainer, dataset: Path, tmp_path: Path) -> None:
    for name, value in (("seed", 9), ("modes", {TrainingMode.SEMANTIC: 1.0}), ("weight_decay", 0.1)):
        other = trainer(tiny_config(dataset, **{name: value}), finished.folder)
        with pytest.raises(InvalidConfig, match=rf"other settings \({name}\); choose another output folder") as caught:
            other.resume()
        assert "\n" not in str(caught.value)
        assert other.step == 0


def test_what_rescues_a_run_may_change_and_datasets_may_move(finished: Trainer, dataset: Path, tmp_path: Path) -> None:
    moved = tmp_path / dataset.name
    shutil.copytree(dataset, moved)
    again = trainer(tiny_config(moved, learning_rate=1e-5, checkpoint_every=1), finished.folder)
    assert again.resume()
    assert again.step == 6


def test_a_run_goes_on_only_with_the_training_items_that_it_began_with(dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(shutil.copytree(dataset, tmp_path / "Tiny"))
    begun = run(trainer(config, tmp_path / "run"), until=1)
    description = tmp_path / "Tiny" / "dataset.json"
    whole = description.read_text(encoding="utf-8")

    def write(**changes: Any) -> None:
        description.write_text(json.dumps(json.loads(whole) | changes), encoding="utf-8")

    items = json.loads(whole)["items"]
    for item in items[:2]:  # of one patient
        item["split"] = "test"
    for changes in (
        {"items": items},
        {"items": json.loads(whole)["items"][1:]},
        {"window": "min-max"},
        {"modality": "dermoscopy"},
    ):
        write(**changes)
        with pytest.raises(InvalidDataset, match=r"belongs to a run on Tiny as it was before its dataset\.json or its"):
            trainer(config, begun.folder).resume()
    # What else the file says decides nothing.
    more = [{"id": "t", "image": items[0]["image"], "mask": items[0]["mask"], "patient": "t", "split": "test"}]
    write(notes="Mended.", items=json.loads(whole)["items"] + more)
    assert trainer(config, begun.folder).resume()
    with (tmp_path / "Tiny" / items[3]["mask"]).open("ab") as mask:
        mask.write(b"more")
    with pytest.raises(InvalidDataset, match="or its files changed; put back what it was, or choose another output"):
        trainer(config, begun.folder).resume()
    older = Checkpoint.load(begun.folder / CHECKPOINT_NAME)
    dataclasses.replace(older, contents=[]).save(begun.folder / CHECKPOINT_NAME)
    assert trainer(config, begun.folder).resume()


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


@pytest.mark.parametrize("mode", TrainingMode)
def test_accumulated_parts_are_the_step_of_the_whole_batch(dataset: Path, tmp_path: Path, mode: TrainingMode) -> None:
    changes: dict[str, Any] = {"phases": (Phase(size=32, steps=2, batch=4),), "modes": {mode: 1.0}}
    whole, parts = (
        trainer(tiny_config(dataset, accumulate=n, **changes), tmp_path / f"{mode.value}{n}") for n in (1, 4)
    )
    for _ in range(2):
        ours, theirs = parts.train_step(), whole.train_step()
        for name in ("loss", "dice", "gradient_norm"):
            assert ours[name] == pytest.approx(theirs[name], rel=2e-4), name
    for (name, a), b in zip(whole.network.named_parameters(), parts.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=3e-4, rtol=0, msg=name)  # Adam makes much of the last bit of a gradient


def test_a_loss_that_explodes_ends_the_run_and_keeps_the_checkpoint_before(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(dataset, phases=(Phase(size=32, steps=40, batch=1),), checkpoint_every=11)
    training = trainer(config, tmp_path / "run")
    losses = iter([0.5] * 22 + [50.0] * 20)

    def instead(parts: Any) -> tuple[float, float]:
        for parameter in training.network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return next(losses), 0.5

    training.config = dataclasses.replace(config, modes={TrainingMode.SEMANTIC: 1.0})
    monkeypatch.setattr(training.sampler, "mode", lambda step: TrainingMode.SEMANTIC)
    monkeypatch.setattr(training, "_accumulate_gradients", instead)
    with pytest.raises(TrainingDiverged, match="exploded"):
        run(training)
    saved = Checkpoint.load(training.folder / CHECKPOINT_NAME)
    assert saved.step == 22
    assert saved.losses == {"semantic": [0.5] * 22}


def test_a_full_disk_ends_the_run_and_keeps_the_checkpoint_before(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = run(trainer(tiny_config(dataset), tmp_path / "run"), until=2)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CannotWrite, match="No space left on device"):
        run(training)
    assert Checkpoint.load(training.folder / CHECKPOINT_NAME).step == 2


@pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="PyTorch before 2.3 scales losses on GPUs only")
def test_loss_scaling_of_half_precision_goes_on_where_it_was(dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(dataset, precision="16-mixed", phases=(Phase(size=32, steps=3, batch=1),))

    def scaling() -> Trainer:
        """On a processor Fabric takes bfloat16 instead, unless the scaling is given to it."""
        plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
        return Trainer(config, tmp_path / "run", Fabric(accelerator="cpu", devices=1, plugins=[plugin]))

    training = scaling()
    precision = training.fabric.strategy.precision
    precision.load_state_dict(precision.state_dict() | {"scale": 128.0, "_growth_tracker": 7})
    run(training, until=1)
    state = precision.state_dict()
    assert state["_growth_tracker"] == 8  # one more step without overflow
    again = scaling()
    assert again.fabric.strategy.precision.state_dict()["scale"] == 65536.0
    assert again.resume()
    assert again.fabric.strategy.precision.state_dict() == state


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_divergence_stops_the_run_and_keeps_the_checkpoint_before(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    training = run(trainer(tiny_config(dataset), tmp_path / "run"), until=2)
    weights = {n: t.clone() for n, t in training.network.state_dict().items()}
    if broken == "loss":
        monkeypatch.setattr("KPrismLib.training.losses.dice_loss", lambda *_: torch.tensor(math.nan))
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


def test_a_single_patient_can_be_trained_on_without_references(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", patients=1)
    modes = {TrainingMode.SEMANTIC: 1.0, TrainingMode.INTERACTIVE: 1.0}
    run(trainer(tiny_config(folder, modes=modes), tmp_path / "run"), until=2)
    with pytest.raises(InvalidDataset, match=r"two patients .* --no-resume --set modes\.in-context=0"):
        trainer(tiny_config(folder, modes={**modes, TrainingMode.IN_CONTEXT: 0.01}), tmp_path / "other")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_every_mode_trains_in_both_precisions(dataset: Path, tmp_path: Path, precision: str) -> None:
    for mode in TrainingMode:
        training = trainer(tiny_config(dataset, modes={mode: 1.0}, precision=precision), tmp_path / mode.value)
        record = training.train_step()
        assert record["mode"] == mode.value
        assert math.isfinite(record["loss"])
        assert training.network.final_mask_head.logit.weight.dtype == torch.float32


def test_several_processes_train_with_unused_parameters_allowed() -> None:
    config = TrainingConfig(datasets=("A",), phases=(Phase(size=32, steps=1, batch=1),), precision="32-true")
    fabric = make_fabric(config, accelerator="cpu", devices=2)
    assert fabric.world_size == 2
    assert fabric.strategy._ddp_kwargs["find_unused_parameters"] is True
