"""``kprism export``: a training checkpoint becomes a weights file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="RUN/checkpoint.pt of `kprism train`.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.safetensors", help="The weights file.")],
    notes: Annotated[
        str,
        typer.Option("--notes", metavar="JSON", help="Facts to keep in the file: a JSON object, or a file with one."),
    ] = "{}",
) -> None:
    """Write the averaged weights of a run in half precision."""
    from KPrismLib.command.console import check_writable, say
    from KPrismLib.errors import CannotWrite
    from KPrismLib.network import NetworkConfig
    from KPrismLib.training.checkpoint import Checkpoint
    from KPrismLib.weights import save_weights

    if output.suffix.lower() != ".safetensors":
        raise CannotWrite(f"Cannot write {output.name}: give the weights file the ending .safetensors.")
    check_writable(output)
    given = _read_notes(notes)
    stored = Checkpoint.load(checkpoint)
    training = stored.config["training"]
    facts: dict[str, Any] = {
        "steps": stored.step,
        "network": training["network"],
        # Names only: the folders they lay in are nobody's business.
        "datasets": [Path(folder).name for folder in training["datasets"]],
    }
    config = NetworkConfig.from_dict(stored.config["network_config"])
    save_weights(output, stored.average, config, facts | given)
    say(
        f"Wrote {output} ({output.stat().st_size / 2**20:.1f} MiB, {len(config.classes)} classes, {stored.step} steps)."
    )


def _read_notes(text: str) -> dict[str, Any]:
    from KPrismLib.errors import InvalidConfig

    source = text
    try:
        if not text.lstrip().startswith("{"):
            source = Path(text).read_text(encoding="utf-8")
        notes = json.loads(source)
    except (OSError, ValueError) as error:
        raise InvalidConfig(f"The notes {text!r} are neither a JSON object nor a readable file with one.") from error
    if not isinstance(notes, dict):
        raise InvalidConfig('The notes must be a JSON object, such as \'{"training": "..."}\'.')
    return notes
