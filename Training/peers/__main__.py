"""The command line: ``python -m Training.peers list``, ``about NAME`` and ``evaluate NAME DIR...``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from KPrismLib.command.evaluation_options import (
    Absent,
    Clicks,
    Folders,
    Limit,
    Output,
    References,
    Rows,
    Seed,
    Split,
)
from KPrismLib.command.failures import ExplainingGroup
from KPrismLib.command.options import Device

if TYPE_CHECKING:
    from KPrismLib.dataset import DatasetFolder
    from KPrismLib.evaluation import EvaluationReport
    from Training.peers.setup import PeerSetup

app = typer.Typer(
    cls=ExplainingGroup,
    help="The systems that the paper compares with, on the same slices, references and clicks as K-Prism.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_systems() -> None:
    """Every system: what it knows, where it comes from, what is missing here and the command that brings it."""
    from rich.table import Table

    from KPrismLib.command.console import show
    from Training.peers import missing, registry

    table = Table(show_lines=True)
    for heading in ("Name", "Knowledge", "Source", "Licence", "Missing here", "Get it with"):
        table.add_column(heading, overflow="fold")
    for name in registry.names():
        about = registry.system(name).ABOUT
        knowledge = ", ".join(mode.value for mode in about.knowledge)
        needs = "\n".join(missing.needs(about))
        # Brackets of an extra are no markup.
        table.add_row(name, knowledge, about.source, about.licence, needs, missing.command(about).replace("[", r"\["))
    show(table)


@app.command()
def about(name: Annotated[str, typer.Argument(help="A name that `list` shows.")]) -> None:
    """Everything known of a system: weights, input, licence, citation, and where its numbers may differ."""
    from Training.peers import missing, registry

    facts = registry.system(name).ABOUT
    for heading, text in (
        (facts.title, ", ".join(mode.value for mode in facts.modes)),
        ("Source", facts.source),
        ("Weights", facts.weights),
        ("Input", facts.input),
        ("Licence", facts.licence),
        ("Cite", facts.citation),
        ("Notes", facts.notes),
        ("Missing here", ", ".join(missing.needs(facts))),
        ("Get it with", missing.command(facts)),
    ):
        if text:
            typer.echo(f"{heading}: {text}")


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="A name that `list` shows.")],
    folders: Folders,
    weights: Annotated[Path | None, typer.Option("--weights", help="The system's weights: file or folder.")] = None,
    path: Annotated[
        list[Path] | None, typer.Option("--peer-path", help="Local copy of a repository; once for each that is needed.")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Try the machinery out; the numbers mean nothing.")
    ] = False,
    split: Split = "test",
    modes: Annotated[str, typer.Option("--modes", help="Commas between; default: all that the system has.")] = "",
    limit: Limit = None,
    clicks: Clicks = 10,
    references: References = 1,
    seed: Seed = 0,
    absent: Absent = True,
    device: Device = "auto",
    rows: Rows = None,
    output: Output = None,
) -> None:
    """Measure a system as `kprism evaluate` measures K-Prism: resumable, and shared by processes, in the same way."""
    from KPrismLib.command.console import say
    from KPrismLib.command.evaluate import find_datasets, share
    from KPrismLib.command.evaluation_outputs import EvaluationOutputs
    from KPrismLib.evaluation.journal import discard
    from KPrismLib.evaluation.progress import progress_bar
    from Training.peers import missing, registry
    from Training.peers.evaluation import evaluate_peer, write_report

    outputs = EvaluationOutputs(output, rows)
    datasets = find_datasets(folders)
    outputs.check(datasets)
    chosen = registry.system(name)
    part = share(os.environ)
    missing.require(chosen.ABOUT, path or [])
    missing.require_weights(chosen.ABOUT, weights, random=random_weights)
    setup = _setup(weights, path or [], random_weights, part.device(device), datasets)
    segmenter = chosen.open_peer(setup)
    for remark in segmenter.remarks:
        say(remark)
    with progress_bar() as progress:
        report, provenance = evaluate_peer(
            chosen.ABOUT,
            setup,
            segmenter,
            datasets,
            split=split,
            modes=[mode.strip() for mode in modes.split(",") if mode.strip()],
            limit=limit,
            clicks=clicks,
            references=references,
            seed=seed,
            absent_classes=absent,
            progress=progress,
            journal=outputs.journal,
            rank=part.rank,
            processes=part.processes,
        )
    if report.missing:
        say(f"This process is done; others still have {report.missing} slices, and the last one writes the results.")
        return
    # Written before it is shown: whoever reads the table may be gone.
    write_report(report, provenance, output, rows)
    if outputs.journal is not None:
        discard(outputs.journal)
    _show(report, random_weights)


def _setup(
    weights: Path | None, checkouts: list[Path], random: bool, device: str, datasets: list[DatasetFolder]
) -> PeerSetup:
    from KPrismLib.dataset import classes_of
    from KPrismLib.devices import choose_device
    from Training.peers.setup import PeerSetup, describe

    return PeerSetup(
        device=choose_device(device),
        weights=weights,
        checkouts=tuple(checkouts),
        random=random,
        # Random weights claim to know whatever is asked.
        classes=tuple(dict.fromkeys(cls for folder in datasets for cls in classes_of(folder))),
        description=describe(weights),
    )


def _show(report: EvaluationReport, random: bool) -> None:
    from KPrismLib.command.console import say, show
    from KPrismLib.evaluation.table import report_table

    show(report_table(report))
    if random:
        say("RANDOM WEIGHTS: these numbers show that the machinery works, and nothing else.")
    for skipped in report.skipped:
        what = (skipped.dataset, skipped.cls, skipped.mode and skipped.mode.value)
        say(f"Skipped {' '.join(str(part) for part in what if part)}: {skipped.reason}.")


if __name__ == "__main__":
    app(prog_name="python -m Training.peers")
