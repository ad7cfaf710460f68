"""``kprism train`` at work: settings, devices, and where the run starts."""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from KPrismLib.command.console import say
from KPrismLib.devices import choose_device
from KPrismLib.errors import DeviceUnavailable, InvalidConfig, InvalidDataset, InvalidWeights
from KPrismLib.imaging.atomic_file import made_folder
from KPrismLib.training.config import TrainingConfig
from KPrismLib.training.log import TrainingLog
from KPrismLib.training.loop import CHECKPOINT_NAME, Trainer, make_fabric
from KPrismLib.training.other_processes import without_echo
from KPrismLib.training.run_folder import claimed, set_aside
from KPrismLib.training.warm_start import start_for
from KPrismLib.weights import UNKNOWN_RUNS, Weights, load_weights

ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")


def run(
    config_file: Path,
    *,
    data: Path | None,
    folder: Path,
    resume: bool,
    until: int | None,
    devices: int,
    accelerator: str,
    weights: str | None,
    changes: Sequence[Mapping[str, Any]] = (),
    workers: int | None = None,
    at_once: int = 1,
) -> None:
    """Train until the last step of the configuration, or ``until``.

    Where ``workers`` is left open, the idle cores are shared among ``at_once`` runs.
    """
    config = TrainingConfig.read(config_file, data, changes=changes)
    missing = [name for name in config.datasets if not (Path(name) / "dataset.json").is_file()]
    if missing:
        raise InvalidDataset(f"There is no dataset {missing[0]}; say with --data where the datasets of the run are.")
    start = _weights(weights) if weights else None
    # Datasets are packed beside the run; "." has no such place until it is spelled out.
    folder = made_folder(folder).resolve()
    count, nodes = processes(os.environ, devices)
    try:
        fabric = make_fabric(config, accelerator=_known(accelerator), devices=count, nodes=nodes)
    except (RuntimeError, ValueError) as error:
        raise DeviceUnavailable(f"Training cannot run on {devices} x {accelerator}: {error}") from error
    fabric.launch()
    if workers is None:
        workers = idle_cores(os.cpu_count() or 1, count * at_once) if fabric.device.type != "cpu" else 0
    with without_echo(), ExitStack() as claims:
        with fabric.rank_zero_first():
            if fabric.is_global_zero:  # its processes are one training, and it is the one that writes
                claims.enter_context(claimed(folder))
                earlier = None if resume else set_aside(folder)
                if earlier is not None:
                    say(f"The earlier run is now in {earlier}.")
        trainer = Trainer(config, folder, fabric, workers=workers)
        if start is not None and not (folder / CHECKPOINT_NAME).exists():
            _start_from(trainer, start)
        _train(trainer, until)


def _train(trainer: Trainer, until: int | None) -> None:
    total, first = trainer.config.total_steps, trainer.fabric.is_global_zero
    goes_on = trainer.resume()
    require_same_step(trainer)
    if goes_on and first:
        say(f"Going on from step {trainer.step} of {total}.")
    if trainer.unlearned and first:
        say(
            f"No training slice shows {', '.join(trainer.unlearned)}: the network will have the name, but not learn it."
        )
    trainer.run(TrainingLog(trainer.folder, total=total, done=trainer.step, active=first), until=until)
    if first:
        say(f"Step {trainer.step} of {total}; checkpoint in {trainer.folder / CHECKPOINT_NAME}.")


def processes(environment: Mapping[str, str], devices: int) -> tuple[int, int]:
    """(processes on this machine, machines): what torchrun set up, or else ``devices`` on one machine.

    Raises:
        DeviceUnavailable: several on Windows.
    """
    local = int(environment.get("LOCAL_WORLD_SIZE", 0))
    if not local:
        if devices > 1 and sys.platform == "win32":
            # Fabric starts the others by the name of the main module, which an installed program there has not.
            raise DeviceUnavailable("On Windows training runs on one device; leave --devices at 1, or use torchrun.")
        return devices, 1
    return local, max(1, int(environment.get("WORLD_SIZE", local)) // local)


def idle_cores(cores: int, processes: int) -> int:
    """Cores for each process to make batches on, where a device does the training; a dozen keeps any device busy."""
    return max(1, min(12, cores // processes - 1))


def require_same_step(trainer: Trainer) -> None:
    """Refuse to start where a machine did not find the checkpoint that another one found.

    Raises:
        InvalidConfig: the processes stand at different steps.
    """
    first = int(trainer.fabric.broadcast(trainer.step))
    if not trainer.fabric.strategy.reduce_boolean_decision(trainer.step == first):  # all must raise, or some would wait
        raise InvalidConfig(
            f"Not all machines see the checkpoint in {trainer.folder}; give an --output folder that they share."
        )


def _known(accelerator: str) -> str:
    if accelerator not in ACCELERATORS:
        raise DeviceUnavailable(f"There is no accelerator {accelerator!r}; choose one of {', '.join(ACCELERATORS)}.")
    # Fabric would take an MPS device whose PyTorch cannot train there.
    return choose_device(accelerator).type if accelerator in ("auto", "mps") else accelerator


def _weights(source: str) -> Weights:
    """The weights to start from.

    Raises:
        InvalidWeights: they cannot be read; a checkpoint is not what is asked for.
    """
    if zipfile.is_zipfile(source):  # as PyTorch writes checkpoints
        raise InvalidWeights(
            f"{source} is a checkpoint, not a weights file; make one of it with `kprism export {source} -o "
            "start.safetensors`, and start from that."
        )
    return load_weights(source)


def _start_from(trainer: Trainer, weights: Weights) -> None:
    state, new = start_for(trainer.network, weights)
    if new and trainer.fabric.is_global_zero:
        count = len(trainer.network_config.classes)
        say(f"The weights do not know {len(new)} of the {count} classes, which start afresh: {', '.join(new)}.")
    learned_from = weights.notes.get("datasets", [])
    trainer.warm_start(
        state, [str(name) for name in learned_from] if isinstance(learned_from, list) else (), _runs_of(weights)
    )


def _runs_of(weights: Weights) -> dict[str, int]:
    """Steps of the runs that weights come from; older files tell the steps of the last runs only, and not of which."""
    runs, steps = weights.notes.get("runs"), weights.notes.get("steps")
    if isinstance(runs, dict) and all(isinstance(count, int) for count in runs.values()):
        return {str(name): count for name, count in runs.items()}
    if not isinstance(steps, int):
        return {}
    return {f"{UNKNOWN_RUNS} {hashlib.sha256(weights.source.read_bytes()).hexdigest()[:32]}": steps}
