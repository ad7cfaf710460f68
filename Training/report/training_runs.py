"""Training the ablations one after the other, and exporting their weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from KPrismLib.command.console import say
from KPrismLib.command.export import export
from KPrismLib.command.train_run import run as train
from KPrismLib.dataset import DatasetFolder
from KPrismLib.training.ablations import ablation
from KPrismLib.training.checkpoint import Checkpoint, check_same_contents, check_same_run
from KPrismLib.training.config import TrainingConfig
from KPrismLib.training.loop import CHECKPOINT_NAME
from KPrismLib.training.packing import full_content, open_pack
from Training.report.needs import FULL
from Training.report.results import WEIGHTS_NAME


@dataclass(frozen=True)
class TrainingRuns:
    """A folder of runs that differ in one thing each.

    Attributes:
        config: The TOML file of the full network.
        data: The folder of the datasets; ``None`` for that of the file.
        folder: One folder for each run.
        accelerator: As Lightning Fabric names them.
        at_once: Runs that share the processor, so that their loaders do not take each other's cores.
    """

    config: Path
    data: Path | None
    folder: Path
    accelerator: str = "cpu"
    at_once: int = 1

    def settings(self, run: str) -> TrainingConfig:
        """The configuration of a run.

        Raises:
            InvalidConfig: No such ablation, or the file cannot be read.
        """
        return TrainingConfig.read(self.config, self.data, changes=_changes(run))

    def weights(self, run: str) -> Path:
        """The weights of a run, once it is finished."""
        return self.folder / run / WEIGHTS_NAME

    def is_finished(self, run: str) -> bool:
        """Whether a run has its weights.

        Raises:
            InvalidConfig: It was made with other settings.
            InvalidDataset: A set cannot be read, or has changed since.
        """
        checkpoint = self.folder / run / CHECKPOINT_NAME
        if not checkpoint.is_file():
            return False
        stored, settings = Checkpoint.load(checkpoint), self.settings(run)
        check_same_run(settings, TrainingConfig.from_dict(stored.config["training"]), checkpoint)
        folders = [DatasetFolder.open(path) for path in settings.datasets]
        contents = [full_content(folder, settings.split) for folder in folders]
        check_same_contents([folder.path.name for folder in folders], contents, stored.contents, checkpoint)
        return stored.step >= settings.total_steps and self.weights(run).is_file()

    def pack(self) -> None:
        """Decode the datasets once, before several processes want them at the same time."""
        settings = self.settings(FULL)
        self.folder.mkdir(parents=True, exist_ok=True)
        long_side = max(phase.size for phase in settings.phases)
        open_pack(
            [Path(folder) for folder in settings.datasets],
            self.folder.resolve() / "packed",
            split=settings.split,
            long_side=long_side,
        )

    def train(self, run: str) -> Path:
        """Train a run to its end, from its checkpoint if there is one, and export the averaged weights.

        Returns:
            The weights file.

        Raises:
            InvalidConfig: An earlier run in the folder had other settings.
            InvalidDataset: A set has changed since.
            TrainingDiverged, CannotWrite: As for ``kprism train``.
        """
        if self.is_finished(run):
            say(f"{run} is trained already.")
            return self.weights(run)
        folder = self.folder / run
        train(
            self.config,
            data=self.data,
            folder=folder,
            resume=True,
            until=None,
            devices=1,
            accelerator=self.accelerator,
            weights=None,
            changes=_changes(run),
            at_once=self.at_once,
        )
        export([folder / CHECKPOINT_NAME], self.weights(run), json.dumps({"run": run}))
        return self.weights(run)


def _changes(run: str) -> Sequence[Any]:
    return [] if run == FULL else [ablation(name) for name in run.split("+")]
