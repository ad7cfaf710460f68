"""A training run in a process of its own: ``python -m Testing.engine.training.run_apart CONFIG FOLDER PROCESSES``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from KPrismLib.training.config import TrainingConfig
from KPrismLib.training.log import TrainingLog
from KPrismLib.training.loop import Trainer, make_fabric


def main(settings: str, folder: str, processes: str) -> None:
    torch.set_num_threads(1)
    config = TrainingConfig.from_dict(json.loads(settings))
    fabric = make_fabric(config, accelerator="cpu", devices=int(processes))
    fabric.launch()
    trainer = Trainer(config, Path(folder), fabric)
    trainer.run(TrainingLog(trainer.folder, total=config.total_steps, active=fabric.is_global_zero))


if __name__ == "__main__":
    main(*sys.argv[1:])
