"""Write the model card that ships beside a weights file: sets, citations, terms, and the table as measured.

Run as ``python -m Training.model_card``; ``--help`` lists what it needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from KPrismLib.command.failures import explained
from KPrismLib.evaluation.bootstrap import FEWEST_PATIENTS
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.training.config import TrainingConfig
from KPrismLib.weights import load_weights
from Training.card_tables import class_table, click_table, dice_table, mean_over_sets, merge, stand_ins
from Training.set_facts import SetFacts, left_out, source_table, split_table
from Training.training_recipe import parse_mean, stage_table, training_commands


def card(
    *,
    stages: Mapping[str, TrainingConfig],
    means: Mapping[str, Mapping[int, float]],
    notes: Mapping[str, Any],
    parameters: int,
    classes: Iterable[str],
    data: Path,
    evaluations: Sequence[Mapping[str, Any]],
) -> str:
    """The card's text; ``stages`` are the configurations by the names of their files, in the order they were run."""
    folders = [Path(d) for d in dict.fromkeys(d for config in stages.values() for d in config.datasets)]
    plain, held = (
        [each for each in evaluations if each["settings"].get("honour_clicks", False) == honour]
        for honour in (False, True)
    )
    datasets = merge(plain)
    measured = [SetFacts.read(data / name) for name in sorted(datasets)]
    units = {each.name: each.unit for each in measured}
    clicks = click_table(
        datasets,
        merge(held),
        units=units,
        mean=mean_over_sets(plain, "interactive"),
        honoured_mean=mean_over_sets(held, "interactive"),
    )
    new = left_out(datasets, {folder.name for folder in folders})
    return f"""# K-Prism `{next(iter(stages.values())).network}`

**Research use only.** Not a medical device; not for diagnosis or treatment. Several of the sets below allow research
or non-commercial use only, and the weights inherit that.

One 2-D network for semantic, in-context and interactive segmentation after *K-Prism* (Guo et al., ICLR 2026),
{parameters:,} parameters, stored in half precision. Trained from random initialisation; no pretrained weights.

Classes: {", ".join(classes)}.

## How it was trained

{stage_table(stages)}

{notes.get("training", "")}

It learned from the `train` splits only, never from test or external items. {new}

To train it again, with the sets below in one folder:

{training_commands(stages, means)}

## What it reaches

Dice per (slice, class present in the slice) at the original resolution, averaged over all pairs (the paper's
protocol); in brackets 95 % bootstrap intervals over patients, expanded for their number, of at least
{FEWEST_PATIENTS}. Where each image or scan counts as a patient, it may be that no split keeps patients apart: see
[the sets](#what-the-splits-keep-apart). {notes.get("evaluation", "")}

{dice_table(datasets, units)}

The paper's numbers are for other, larger sets and a network of 43 M parameters trained on eight GPUs; they are the
goal, not a comparison on equal terms. Stand-ins: {stand_ins(datasets)}.

{class_table(datasets)}

Interactive mode, simulated clicks, nothing else given; the network alone, as in the paper, and in the last row as users
get it, where masks hold what clicks say of their pixels (`--honour-clicks`):

{clicks}

## What the splits keep apart

What each set says of itself:

{split_table(measured)}

## What it learned from

{source_table(map(SetFacts.read, folders))}
"""


def main(
    config: Annotated[list[Path], typer.Option(help="The training configurations, in the order they were run.")],
    data: Annotated[Path, typer.Option(help="The folder of dataset folders.")],
    weights: Annotated[Path, typer.Option(help="The weights file.")],
    evaluation: Annotated[list[Path], typer.Option(help="Results of `kprism evaluate`; later ones take precedence.")],
    output: Annotated[Path, typer.Option(help="The card.")],
    mean: Annotated[
        list[str] | None, typer.Option(help="A stage, or small, that begins from a mean of stages: 5=3:0.6,4:0.4.")
    ] = None,
) -> None:
    """Write the card."""
    with explained():
        loaded = load_weights(weights)
        evaluations = [json.loads(path.read_text(encoding="utf-8")) for path in evaluation]
        text = card(
            stages={path.as_posix(): TrainingConfig.read(path, data) for path in config},
            means=dict(parse_mean(text) for text in mean or []),
            notes=loaded.notes,
            parameters=sum(t.numel() for name, t in loaded.tensors.items() if name != "position.matrix"),
            classes=loaded.config.classes,
            data=data,
            evaluations=evaluations,
        )
        write_atomically(output, text.encode("utf-8"))


if __name__ == "__main__":
    typer.run(main)
