"""The training loop: one process or many, resumable at any moment."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch import Tensor

from KPrismLib.errors import InvalidConfig, TrainingDiverged
from KPrismLib.network import KPrism, NetworkConfig, named_config
from KPrismLib.training.batches import Batch, BatchMaker
from KPrismLib.training.checkpoint import Checkpoint, check_same_contents, check_same_run
from KPrismLib.training.config import TrainingConfig
from KPrismLib.training.divergence import LossWatch
from KPrismLib.training.loader import StepBatches, in_order
from KPrismLib.training.log import TrainingLog
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.objective import Objective
from KPrismLib.training.packing import PackedDataset, open_pack
from KPrismLib.training.sampling import Sampler, check_sets, classes_without_slices, holds_out
from KPrismLib.training.schedule import learning_rate
from KPrismLib.training.validation import validate

CHECKPOINT_NAME = "checkpoint.pt"
#: How long processes wait for each other.
_PATIENCE = timedelta(hours=6)


def network_config(config: TrainingConfig, datasets: list[PackedDataset]) -> NetworkConfig:
    """The network of a run; its semantic table has a row for every class of the sets, in order of appearance."""
    names = dict.fromkeys(name for dataset in datasets for name in dataset.classes)
    return named_config(config.network, classes=tuple(names), **config.network_settings)


class Trainer:
    """One training run in one folder.

    Args:
        config: the run.
        folder: for checkpoint, logs and packed data.
        fabric: devices and precision; launched.
        workers: processes that make batches ahead; they change nothing but the time it takes.

    Attributes:
        dataset_names: of the sets that the weights learned from, those that they started with included, as their
            ``dataset.json`` calls them.
        contents: of the sets of the run, see :class:`~KPrismLib.training.packing.PackedDataset`.
        unlearned: classes that no training slice shows.
    """

    def __init__(self, config: TrainingConfig, folder: Path, fabric: Fabric, *, workers: int = 0) -> None:
        self.config = config
        self.folder = folder
        self.fabric = fabric
        self.workers = workers
        long_side = max(phase.size for phase in config.phases)
        with fabric.rank_zero_first():
            datasets = open_pack(
                [Path(d) for d in config.datasets], folder.parent / "packed", split=config.split, long_side=long_side
            )
        check_sets(datasets, config.upside_down, "upside_down")
        self.dataset_names = [dataset.name for dataset in datasets]
        self.contents = [dataset.content for dataset in datasets]
        self.unlearned = classes_without_slices(datasets)
        self.network_config = network_config(config, datasets)
        torch.manual_seed(config.seed)
        self.network = self._new_network(torch.device("cpu"))
        self.average = self._new_network(fabric.device).eval()
        self.average.load_state_dict(self.network.state_dict())
        objective = Objective(
            self.network, config.objective, click_radius=self.network_config.click_radius, seed=config.seed
        )
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.objective, self.optimizer = fabric.setup(objective, optimizer)
        draw = partial(
            Sampler,
            datasets,
            weights=config.dataset_weights,
            seed=config.seed,
            holdout=config.holdout,
            modes=config.modes,
            exclude=config.exclude,
        )
        self.sampler = draw(absent=config.absent, same_volume=config.same_volume)
        if config.modes.get(TrainingMode.IN_CONTEXT):  # said now, not at the first step that draws the mode
            self.sampler.require_references()
        validates = holds_out(datasets, config.holdout, weights=config.dataset_weights, exclude=config.exclude)
        self.validation_sampler = draw(validation=True) if validates else None
        maker = BatchMaker(
            self.network_config.classes, config.augmentation, config.seed, upside_down=config.upside_down
        )
        self.batches = StepBatches(config, self.sampler, maker, rank=fabric.global_rank, processes=fabric.world_size)
        self.watch = LossWatch(config.divergence_factor)
        self.step = 0
        self.run_name = uuid4().hex
        self.earlier_runs: dict[str, int] = {}

    def _new_network(self, device: torch.device) -> KPrism:
        network: KPrism = KPrism(self.network_config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def resume(self) -> bool:
        """Continue from the folder's checkpoint, if there is one.

        Raises:
            InvalidConfig: the checkpoint belongs to another network or to another run.
            InvalidDataset: a set of the run has changed since.
            InvalidWeights: it cannot be read.
        """
        path = self.folder / CHECKPOINT_NAME
        if not path.exists():
            return False
        checkpoint = Checkpoint.load(path)
        if checkpoint.config["network_config"] != self.network_config.to_dict():
            raise InvalidConfig(f"{path} belongs to another network or other classes; choose another output folder.")
        check_same_run(self.config, TrainingConfig.from_dict(checkpoint.config["training"]), path)
        names = [Path(folder).name for folder in self.config.datasets]
        check_same_contents(names, self.contents, checkpoint.contents, path)
        self.network.load_state_dict(checkpoint.network)
        self.average.load_state_dict(checkpoint.average)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        if checkpoint.scaler:
            self.fabric.strategy.precision.load_state_dict(checkpoint.scaler)
        self.watch = LossWatch(self.config.divergence_factor, checkpoint.losses)
        self.step = checkpoint.step
        self.dataset_names = list(dict.fromkeys([*checkpoint.datasets, *self.dataset_names]))
        self.run_name, self.earlier_runs = checkpoint.run, checkpoint.earlier_runs
        return True

    def warm_start(
        self,
        weights: dict[str, Tensor],
        learned_from: Sequence[str] = (),
        earlier_runs: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Start from given weights instead of random ones; their names and shapes must fit exactly.

        Args:
            weights: by the names of the network's state.
            learned_from: names of the sets that they have learned from already.
            earlier_runs: steps of the runs that they come from, by what tells the runs apart.
        """
        self.network.load_state_dict(weights)
        self.average.load_state_dict(weights)
        self.dataset_names = list(dict.fromkeys([*learned_from, *self.dataset_names]))
        self.earlier_runs = dict(earlier_runs)

    def save(self) -> None:
        """Write the checkpoint (on rank 0)."""
        if self.fabric.is_global_zero:
            Checkpoint(
                step=self.step,
                network=self.network.state_dict(),
                average=self.average.state_dict(),
                optimizer=self.optimizer.state_dict(),
                config={"training": self.config.to_dict(), "network_config": self.network_config.to_dict()},
                scaler=self.fabric.strategy.precision.state_dict(),
                losses=self.watch.recent,
                datasets=self.dataset_names,
                contents=self.contents,
                run=self.run_name,
                earlier_runs=self.earlier_runs,
            ).save(self.folder / CHECKPOINT_NAME)

    def run(self, log: TrainingLog, *, until: int | None = None) -> None:
        """Train to the last step (or ``until``), with checkpoints, validation and logs on the way.

        Raises:
            TrainingDiverged: a loss or gradient that is not finite, or a loss that has exploded; the last checkpoint is
                from before.
            CannotWrite: no room for a checkpoint; the one before is intact.
        """
        last = self.config.total_steps if until is None else min(self.config.total_steps, until)
        ahead = in_order(
            self.batches,
            range(self.step, last),
            workers=self.workers,
            pinned=self.fabric.device.type == "cuda",
        )
        with log:
            while self.step < last:
                started = time.perf_counter()
                record = self.train_step(next(ahead))
                record["seconds"] = time.perf_counter() - started
                if self.fabric.is_global_zero:
                    log.step(self.step, record)
                # Before the checkpoint: what is killed on the way is validated when the run goes on.
                if self.validation_sampler and (self.step % self.config.validate_every == 0 or self.step == last):
                    if self.fabric.is_global_zero:
                        log.validation(self.step, self.validate())
                    self.fabric.barrier()
                if self.step == last or (self.step % self.config.checkpoint_every == 0 and self.watch.calm):
                    log.flush()
                    self.save()

    def train_step(self, parts: Sequence[Batch] | None = None) -> dict[str, Any]:
        """One optimiser step; advances ``self.step``.

        Args:
            parts: this process's batches of the step, as :attr:`batches` makes them; made now when not given.

        Returns:
            What the log tells of it; loss and Dice are those of the global batch, the same on all ranks.
        """
        config = self.config
        parts = self.batches[self.step] if parts is None else parts
        rate = learning_rate(
            self.step,
            total=config.total_steps,
            warm_up=config.warm_up_steps,
            peak=config.learning_rate,
            floor=config.final_learning_rate,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, dice = self._accumulate_gradients(parts)
        norm = self.fabric.clip_gradients(
            self.objective, self.optimizer, max_norm=config.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None
        # In half precision a gradient may overflow now and then; the loss scaling of Fabric then skips the step.
        overflows = config.precision == "16-mixed"
        if not (math.isfinite(loss) and (math.isfinite(float(norm)) or overflows)):
            raise TrainingDiverged(
                f"Loss or gradient is not finite at step {self.step}; lower learning_rate (now {rate:.1e}) and start "
                "again: the run continues from the last checkpoint."
            )
        mode = parts[0].mode.value
        self.watch.look_at(mode, loss, self.step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._update_average()
        return {
            "mode": mode,
            "size": parts[0].image.shape[-1],
            "loss": loss,
            "dice": dice,
            "gradient_norm": float(norm),
            "learning_rate": rate,
        }

    def _accumulate_gradients(self, parts: Sequence[Batch]) -> tuple[float, float]:
        """Gradient of the mean loss over the global batch; -> that loss, and the mean Dice.

        All parts on all ranks are equally large, so that a mean of their means is the mean over the samples.
        """
        means = torch.zeros(2, device=self.fabric.device)
        for number, part in enumerate(parts, start=1):
            with self.fabric.no_backward_sync(self.objective, enabled=number < len(parts)):
                loss, dice = self.objective(part.to(self.fabric.device))
                self.fabric.backward(loss / len(parts))
            means += torch.stack([loss.detach().float(), dice.mean()]) / len(parts)
        reduced = self.fabric.all_reduce(means, reduce_op="mean")
        assert isinstance(reduced, Tensor)
        return float(reduced[0]), float(reduced[1])

    def validate(self) -> dict[str, float]:
        """Dice by mode on held-out patients, with the averaged weights."""
        assert self.validation_sampler is not None
        plain = dataclasses.replace(
            self.config.objective, refinements=0, interactive_passes=3, warm_up_clicks=0, scribble_probability=0.0
        )
        objective = Objective(self.average, plain, click_radius=self.network_config.click_radius, seed=self.config.seed)
        with self.fabric.autocast():
            return validate(
                objective,
                self.validation_sampler,
                BatchMaker(self.network_config.classes, None, self.config.seed),
                size=self.config.phase_at(self.step).size,
                samples=self.config.validation_samples,
                device=self.fabric.device,
            )

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moving average whose memory grows with the run, so that it forgets the random start."""
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        averaged: list[Tensor] = list(self.average.parameters())
        current: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)


def make_fabric(config: TrainingConfig, *, accelerator: str = "auto", devices: int = 1, nodes: int = 1) -> Fabric:
    """Fabric for one process, several on one machine (``devices``), or whatever ``torchrun`` set up."""
    strategy: str | Strategy = "auto"
    if devices * nodes > 1:
        # Each mode leaves other parts of the network unused.
        # A set that is packed for the first time keeps the others waiting: half an hour, as usual, is not enough.
        strategy = DDPStrategy(find_unused_parameters=True, timeout=_PATIENCE)
    return Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=config.precision,  # type: ignore[arg-type]
    )
