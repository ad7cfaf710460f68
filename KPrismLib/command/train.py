"""``kprism train``: a run from a TOML file, resumable at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from KPrismLib.command.options import named


def train(
    config: Annotated[
        Path, typer.Argument(parser=named, metavar="CONFIG.toml", help="The run: network, datasets, phases, rates.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=named, metavar="PATH", help="Folder of the run: checkpoint, logs.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", parser=named, metavar="PATH", help="Folder of the datasets; default, that of CONFIG.toml."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from the checkpoint in the folder, if there is one.")
    ] = True,
    until: Annotated[int | None, typer.Option("--until", min=1, help="Stop after this step.")] = None,
    devices: Annotated[int, typer.Option("--devices", min=1, help="Processes on this machine, one per device.")] = 1,
    accelerator: Annotated[str, typer.Option("--accelerator", help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads per process.")] = None,
    weights: Annotated[
        str | None, typer.Option("--from", metavar="NAME|FILE", help="Weights to start from instead of random ones.")
    ] = None,
    ablations: Annotated[
        list[str] | None,
        typer.Option("--ablation", metavar="NAME", help="An ablation of the paper, such as no-moe; repeat to combine."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting, such as network_settings.num_experts=2."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=0, help="Processes that make batches ahead; default, the cores that are idle."),
    ] = None,
) -> None:
    """Train a network; stop and start it as you like.

    On several machines start it with torchrun, which sets the number of processes.
    """
    try:
        import lightning_fabric  # noqa: F401 - only to know whether it is there
    except ImportError as error:
        from KPrismLib.errors import InvalidConfig

        raise InvalidConfig(
            "Training needs the `train` extra; install it with: pip install 'kprism[train]'."
        ) from error
    import torch

    from KPrismLib.command.train_run import run
    from KPrismLib.training.ablations import ablation
    from KPrismLib.training.config import parse_setting

    if threads is not None:
        torch.set_num_threads(threads)
    run(
        config,
        data=data,
        folder=output,
        resume=resume,
        until=until,
        devices=devices,
        accelerator=accelerator,
        weights=weights,
        changes=[*(ablation(name) for name in ablations or ()), *(parse_setting(text) for text in changes or ())],
        workers=workers,
    )
