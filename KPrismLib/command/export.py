"""``kprism export``: a training checkpoint becomes a weights file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from KPrismLib.command.options import named

if TYPE_CHECKING:
    from KPrismLib.training.checkpoint import Checkpoint


def export(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            parser=named, metavar="CHECKPOINT...", help="RUN/checkpoint.pt of `kprism train`; of several, their mean."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=named, metavar="FILE.safetensors", help="The weights file.")
    ],
    notes: Annotated[
        str,
        typer.Option("--notes", metavar="JSON", help="Facts to keep in the file: a JSON object, or a file with one."),
    ] = "{}",
    shares: Annotated[
        str, typer.Option("--shares", metavar="A,B,...", help="Weight of each checkpoint in the mean; default equal.")
    ] = "",
) -> None:
    """Write the averaged weights of a run, or of several that began from one another, in half precision."""
    from KPrismLib.command.console import check_writable, say
    from KPrismLib.errors import CannotWrite, InvalidWeights
    from KPrismLib.network import NetworkConfig
    from KPrismLib.training.averaging import weighted_mean
    from KPrismLib.training.checkpoint import Checkpoint
    from KPrismLib.weights import save_weights

    if output.suffix.lower() != ".safetensors":
        raise CannotWrite(f"Cannot write {output.name}: give the weights file the ending .safetensors.")
    check_writable(output)
    given = _read_notes(notes)
    runs = [Checkpoint.load(checkpoint) for checkpoint in checkpoints]
    stored = runs[-1]
    if any(run.config["network_config"] != stored.config["network_config"] for run in runs):
        raise InvalidWeights("The checkpoints belong to different networks; average those of one configuration.")
    average = weighted_mean([run.average for run in runs], _read_shares(shares) or [1.0] * len(runs))
    training = stored.config["training"]
    # A run that several of them come from counts once.
    history: dict[str, int] = {}
    for run in runs:
        for name, steps in run.runs.items():
            history[name] = max(steps, history.get(name, 0))
    facts: dict[str, Any] = {
        "steps": sum(history.values()),
        "runs": history,
        "network": training["network"],
        # Names only: the folders they lay in are nobody's business.
        "datasets": list(dict.fromkeys(name for run in runs for name in _dataset_names(run))),
    }
    config = NetworkConfig.from_dict(stored.config["network_config"])
    save_weights(output, average, config, facts | given)
    size = output.stat().st_size / 2**20
    say(f"Wrote {output} ({size:.1f} MiB, {len(config.classes)} classes, {facts['steps']} steps).")


def _dataset_names(run: Checkpoint) -> list[str]:
    """The sets that a run learned from, by the names that an evaluation knows them by."""
    return run.datasets or [_dataset_name(Path(folder)) for folder in run.config["training"]["datasets"]]


def _dataset_name(folder: Path) -> str:
    """What ``dataset.json`` says; the name of the folder where the data are gone."""
    from KPrismLib.dataset.description import DatasetDescription
    from KPrismLib.errors import InvalidDataset

    try:
        return DatasetDescription.read(folder / "dataset.json").name
    except InvalidDataset:
        return folder.name


def _read_shares(text: str) -> list[float]:
    from KPrismLib.errors import InvalidConfig

    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise InvalidConfig(f"The shares {text!r} must be numbers with commas between, such as 0.6,0.4.") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")  # which Python reads all the same, and others cannot


def _read_notes(text: str) -> dict[str, Any]:
    from KPrismLib.errors import InvalidConfig

    source = text
    try:
        if not text.lstrip().startswith("{"):
            source = Path(text).read_text(encoding="utf-8")
        notes = json.loads(source, parse_constant=_refuse)
    except (OSError, ValueError) as error:
        raise InvalidConfig(f"The notes {text!r} are neither a JSON object nor a readable file with one.") from error
    if not isinstance(notes, dict):
        raise InvalidConfig('The notes must be a JSON object, such as \'{"training": "..."}\'.')
    return notes
