"""Write the model card that ships beside a weights file: sets, citations, terms, and the table as measured.

Run as ``python -m Training.model_card``; ``--help`` lists what it needs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from KPrismLib.command.failures import explained
from KPrismLib.errors import InvalidConfig
from KPrismLib.evaluation.bootstrap import FEWEST_PATIENTS
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.pictures import SUFFIXES
from KPrismLib.training.config import TrainingConfig
from KPrismLib.weights import load_weights
from Training.report.paper_numbers import dice_of_set
from Training.report.sets import PAPER_SETS, Group, PaperSet, StandIn, with_patients_of

#: Where the paper has the Dice of each group of its sets.
_TABLES = {Group.IN_DISTRIBUTION: "table2", Group.EXTERNAL: "table3", Group.UNSEEN: "table3_unseen"}

MODES = ("semantic", "in_context")

PATIENTS = "patients"

#: After how many clicks Dice is given.
_CLICKS = (1, 3, 5, 10)


def merge(evaluations: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """``datasets`` of several evaluation files in one; each mode of a set comes from the last file that has it."""
    merged: dict[str, dict[str, Any]] = {}
    for evaluation in evaluations:
        for name, modes in evaluation["datasets"].items():
            merged.setdefault(name, {}).update(modes)
    return merged


def dice_table(datasets: Mapping[str, Mapping[str, Any]], units: Mapping[str, str] = MappingProxyType({})) -> str:
    """Semantic and in-context Dice per set, with intervals and the paper's numbers beside them.

    Args:
        datasets: as :func:`merge` returns them.
        units: what the intervals of a set are over, where it is not patients.
    """
    lines = [
        "| set | slices x classes | over | semantic | in-context, one reference | paper: set, semantic, in-context |",
        "|---|---|---|---|---|---|",
    ]
    for name, modes in sorted(datasets.items()):
        if not any(mode in modes for mode in MODES):
            continue
        cells = [_with_interval(modes.get(mode), "mean") for mode in MODES]
        pairs = next((_total(modes[m]["pairs"]) for m in MODES if m in modes), "")
        examined = max(modes[mode]["patients"] for mode in MODES if mode in modes)
        over = f"{examined} {units.get(name, PATIENTS)}"
        lines.append(f"| {name} | {pairs} | {over} | {cells[0]} | {cells[1]} | {_beside(name, modes)} |")
    return "\n".join(lines)


def stand_ins(names: Iterable[str]) -> str:
    """Which folders stand for which sets of the paper, and how they differ."""
    found = [(name, *pair) for name in sorted(names) if name not in PAPER_SETS and (pair := _stood_for(name))]
    return ", ".join(f"{name} for {paper.name} ({stand_in.remark})" for name, paper, stand_in in found)


def _stood_for(name: str) -> tuple[PaperSet, StandIn] | None:
    pairs = ((each, stand_in) for each in PAPER_SETS.values() for stand_in in each.stand_ins)
    return next((pair for pair in pairs if pair[1].name == name), None)


def _beside(name: str, modes: Mapping[str, Any]) -> str:
    """The paper's Dice of the set that a folder is or stands for; empty where it is none."""
    classes: tuple[str, ...] = ()
    paper = PAPER_SETS.get(name)
    if paper is None:
        found = _stood_for(name)
        if found is None:
            return ""
        paper, classes = found[0], found[1].classes
    numbers = [dice_of_set(_TABLES[paper.group], paper.name, mode) for mode in MODES]
    printed = ", ".join("-" if number is None else f"{number / 100:.3f}" for number in numbers)
    group = "" if paper.group is Group.IN_DISTRIBUTION else f", {paper.group.value}"
    only = ""
    if classes:
        ours = ", ".join(f"{modes[mode]['dice'][classes[0]]:.3f}" for mode in MODES if mode in modes)
        only = f", {classes[0]} only (here {ours})"
    return f"{paper.name}{group}{only}: {printed}"


def class_table(datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """Semantic and in-context Dice per class of the sets with several classes, with intervals over patients."""
    lines = ["| set | class | patients | semantic | in-context |", "|---|---|---|---|---|"]
    for name, modes in sorted(datasets.items()):
        results = [modes.get(mode) for mode in MODES]
        classes = dict.fromkeys(label for result in results if result for label in result["dice"] if label != "mean")
        if len(classes) > 1:
            for label in classes:
                examined = max(result["class_patients"].get(label, 0) for result in results if result)
                cells = [_with_interval(result, label) or "not a class of the model" for result in results]
                lines.append(f"| {name} | {label} | {examined} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def mean_over_sets(evaluations: Iterable[Mapping[str, Any]], mode: str) -> dict[str, Any] | None:
    """The mean of a mode over all sets that :func:`merge` finds, with its interval, which takes single measurements.

    Returns:
        What the last evaluation says that measured all of them; ``None`` where none did.
    """
    given = list(evaluations)
    names = {name for name, modes in merge(given).items() if mode in modes}
    found: dict[str, Any] | None = None
    for evaluation in given:
        if names == {name for name, modes in evaluation["datasets"].items() if mode in modes}:
            found = evaluation["mean_of_datasets"].get(mode)
        elif any(mode in modes for modes in evaluation["datasets"].values()):
            found = None  # some of its sets were measured again
    return found


def click_table(
    datasets: Mapping[str, Mapping[str, Any]],
    honoured: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    units: Mapping[str, str] = MappingProxyType({}),
    mean: Mapping[str, Any] | None = None,
    honoured_mean: Mapping[str, Any] | None = None,
) -> str:
    """Interactive mode: Dice after 1, 3, 5 and 10 clicks and the number of clicks to 0.90 and 0.95.

    With fewer clicks than that there is "-".

    Args:
        datasets: as :func:`merge` returns them.
        honoured: the same sets, with masks that hold what clicks say of their pixels, as users get them; adds a row.
        units: what the intervals of a set are over, where it is not patients.
        mean: of ``datasets``, as :func:`mean_over_sets` returns it; without it their mean has no interval.
        honoured_mean: likewise.

    Raises:
        InvalidConfig: the sets are not the same.
    """
    lines = [
        "| set | slices x classes | over | Dice(1) | Dice(3) | Dice(5) | Dice(10) | NoC90 | NoC95 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    found, held = _interactive(datasets), _interactive(honoured or {})
    for name, result in found.items():
        cells = _clicked([result], _click_intervals(result, result.get("dice_interval95", {}).get("mean")))
        over = f"{result['patients']} {units.get(name, PATIENTS)}"
        lines.append(f"| {name} | {_total(result['pairs'])} | {over} | {cells} |")
    if found:
        lines.append(_click_mean("mean of sets", found, mean))
    if held:
        pairs = [{name: _total(result["pairs"]) for name, result in results.items()} for results in (found, held)]
        if pairs[0] != pairs[1]:
            raise InvalidConfig("Clicks were honoured on other slices than not; evaluate the same sets for both.")
        lines.append(_click_mean("mean of sets, clicks honoured", held, honoured_mean))
    return "\n".join(lines)


def _interactive(datasets: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {name: modes["interactive"] for name, modes in sorted(datasets.items()) if "interactive" in modes}


def _click_mean(title: str, results: Mapping[str, Mapping[str, Any]], mean: Mapping[str, Any] | None) -> str:
    """The row of the mean over sets."""
    intervals = None if mean is None else _click_intervals(mean, mean.get("dice_interval95"))
    examined = sum(result["patients"] for result in results.values())
    return f"| **{title}** | | {examined} | {_clicked(list(results.values()), intervals)} |"


def _clicked(results: Sequence[Mapping[str, Any]], intervals: Sequence[Sequence[float] | None] | None = None) -> str:
    """The cells of a row, means over ``results``, with their intervals where they are known."""
    rows = []
    for result in results:
        curve = result["dice"]["mean"]
        rows.append([*(curve[k] if k < len(curve) else None for k in _CLICKS), result["noc90"], result["noc95"]])
    cells = []
    for place, (column, spread) in enumerate(zip(zip(*rows, strict=True), intervals or [None] * 6, strict=True)):
        digits = 3 if place < len(_CLICKS) else 2
        if None in column:
            cells.append("-")
            continue
        bounds = f" [{spread[0]:.{digits}f}, {spread[1]:.{digits}f}]" if spread else ""
        cells.append(f"{sum(column) / len(rows):.{digits}f}{bounds}")
    return " | ".join(cells)


def _click_intervals(
    result: Mapping[str, Any], curves: Sequence[Sequence[float]] | None
) -> list[Sequence[float] | None]:
    """Of the cells of a row, with those of the curve; None for what has none, as of too few patients."""
    dice = [None if curves is None or k >= len(curves[0]) else (curves[0][k], curves[1][k]) for k in _CLICKS]
    return [*dice, result.get("noc90_interval95"), result.get("noc95_interval95")]


@dataclass(frozen=True)
class SetFacts:
    """What ``dataset.json`` says of a set beside its items.

    Attributes:
        name: Of the set.
        trained: How many items it has for training.
        unit: What an interval is over: ``patients``, or what each item counts as one where none has several.
        split: How the splits were made.
        notes: What else there is to know.
        citation, licence: Likewise.
    """

    name: str
    trained: int
    unit: str
    split: str
    notes: str
    citation: str
    licence: str

    @classmethod
    def read(cls, folder: Path) -> SetFacts:
        """From the folder of the set."""
        description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        items = description["items"]
        texts = {
            key: str(description.get(key, "not given")).replace("|", "/")
            for key in ("split_rule", "notes", "citation", "licence")
        }
        unit = PATIENTS
        if len({item["patient"] for item in items}) == len(items):
            unit = "images" if all(Path(item["image"]).suffix.lower() in SUFFIXES for item in items) else "scans"
        return cls(
            str(description["name"]),
            sum(item["split"] == "train" for item in items),
            unit,
            texts["split_rule"],
            texts["notes"],
            texts["citation"],
            texts["licence"],
        )


def split_table(sets: Iterable[SetFacts]) -> str:
    """What the splits of each set keep apart, and what else bears on its numbers."""
    lines = ["| set | intervals over | split | notes |", "|---|---|---|---|"]
    lines += [f"| {each.name} | {each.unit} | {each.split} | {each.notes} |" for each in sets]
    return "\n".join(lines)


def source_table(sets: Iterable[SetFacts]) -> str:
    """Each training set with its citation and terms."""
    lines = ["| set | items trained on | citation | terms |", "|---|---|---|---|"]
    lines += [f"| {each.name} | {each.trained} | {each.citation} | {each.licence} |" for each in sets]
    return "\n".join(lines)


def stage_table(stages: Mapping[str, TrainingConfig]) -> str:
    """One line for each stage: its steps and rate."""
    lines = ["| stage | steps x samples (size) | peak rate |", "|---|---|---|"]
    for name, config in stages.items():
        phases = ", ".join(f"{p.steps} x {p.batch} ({p.size} px)" for p in config.phases)
        lines.append(f"| `{name}` | {phases} | {config.learning_rate:g} |")
    return "\n".join(lines)


def training_commands(names: Iterable[str], means: Mapping[str, Mapping[int, float]] | None = None) -> str:
    """The commands that train and export every stage, each from the one before or from a mean of earlier ones.

    Args:
        names: the configuration files, in order.
        means: shares of stages, by what begins from their mean: the number of a stage, or "small" for what ships.

    Raises:
        InvalidConfig: a mean names a stage that is not there yet.
    """
    means, lines, start, number = means or {}, [], "", 0
    for number, name in enumerate(names, 1):
        if str(number) in means:
            start = f"start-{number}.safetensors"
            lines.append(_export(means[str(number)], number - 1, start))
        lines.append(f"    kprism train {name} --data DATA --output RUN{number}{f' --from {start}' if start else ''}")
        start = f"stage-{number}.safetensors"
        lines.append(_export({number: 1.0}, number, start))
    if "small" in means:
        lines.append(_export(means["small"], number, "small.safetensors"))
    return "\n".join(lines)


def _export(shares: Mapping[int, float], last: int, output: str) -> str:
    unknown = [stage for stage in shares if not 1 <= stage <= last]
    if unknown:
        raise InvalidConfig(f"There is no stage {unknown[0]} before {output}; stages are 1 to {last}.")
    runs = " ".join(f"RUN{stage}/checkpoint.pt" for stage in shares)
    weights = f" --shares {','.join(f'{share:g}' for share in shares.values())}" if len(shares) > 1 else ""
    return f"    kprism export {runs}{weights} -o {output}"


def parse_mean(text: str) -> tuple[str, dict[int, float]]:
    """``"5=3:0.6,4:0.4"`` to ("5", {3: 0.6, 4: 0.4}).

    Raises:
        InvalidConfig: the text says something else.
    """
    try:
        target, parts = text.split("=")
        pairs = [part.split(":") for part in parts.split(",")]
        return target.strip(), {int(stage): float(share) for stage, share in pairs}
    except ValueError as error:
        raise InvalidConfig(f"A mean is given as 5=3:0.6,4:0.4, not as {text!r}.") from error


def left_out(datasets: Iterable[str], trained: Collection[str]) -> str:
    """Which sets are new to the weights, and which are so in name only."""
    shared = {name: sorted(with_patients_of(name).intersection(trained)) for name in sorted(set(datasets) - {*trained})}
    unseen = ", ".join(name for name, sets in shared.items() if not sets)
    known = [
        f"{name} is no part of training, but shares patients with {', '.join(s)}." for name, s in shared.items() if s
    ]
    return " ".join([f"Not trained on at all: {unseen or '-'}.", *known])


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


def _with_interval(result: Mapping[str, Any] | None, label: str) -> str:
    """Dice of a class, or the ``mean``; empty where there is none."""
    if result is None or label not in result["dice"]:
        return ""
    interval = result["dice_interval95"][label]
    spread = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{result['dice'][label]:.3f}{spread}"


def _total(pairs: Mapping[str, int] | int) -> int:
    if isinstance(pairs, int):
        return pairs
    return pairs["mean"] if "mean" in pairs else sum(pairs.values())


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
