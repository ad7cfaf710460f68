"""What the commands do: measure what is missing, then make the table or figure."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from KPrismLib.command.console import say
from KPrismLib.command.evaluate import share
from KPrismLib.errors import InvalidDataset
from KPrismLib.evaluation.progress import progress_bar
from KPrismLib.imaging.atomic_file import made_folder, write_atomically
from KPrismLib.imaging.overlay import write_overlay
from KPrismLib.predictor import Predictor
from Training.report.build import PICTURES_NAME, section
from Training.report.document import Section
from Training.report.gates import gates_csv, measure_gates
from Training.report.needs import (
    ABLATION_SETS,
    ABLATION_TABLES,
    Effort,
    Need,
    ablation_protocols,
    ablation_runs,
    gates,
    needs,
)
from Training.report.options import Workplace
from Training.report.panel_figures import PANEL_FIGURES, choose, draw, save_figure
from Training.report.results import WEIGHTS_NAME, Results, ablation_model
from Training.report.runner import Model, Runner, facts_of
from Training.report.sets import find_sets


@contextmanager
def runner(place: Workplace, *, redo: bool) -> Iterator[Runner]:
    """Evaluates into the results, with a progress bar where somebody watches."""
    folders, results = place.folders(), Results(place.results)
    if not sys.stderr.isatty():
        yield Runner(results, folders, redo)
        return
    with progress_bar() as progress:
        yield Runner(results, folders, redo, progress)


def provide(item: str, place: Workplace, effort: Effort, *, redo: bool) -> bool:
    """Measure what a table or figure of the main model needs and nobody has measured yet.

    Returns:
        Whether all is there; False where other processes are still at it.
    """
    with runner(place, redo=redo) as run:
        return run.provide(place.main_model(), needs(item, effort))


def provide_ablations(item: str, place: Workplace, effort: Effort, runs: Path, *, redo: bool) -> None:
    """The same for the trained ablations that a table compares."""
    trained = {name: runs / name / WEIGHTS_NAME for name in ablation_runs(item)}
    with runner(place, redo=redo) as run:
        for name, weights in trained.items():
            if weights.is_file():
                run.check(*_ablation(name, weights, place.device, effort))
        for name, weights in trained.items():
            if weights.is_file():
                evaluate_ablation(run, name, weights, place.device, effort)
            else:
                say(f"{name} is not trained; `python -m Training.report ablations` trains it.")


def evaluate_ablation(run: Runner, name: str, weights: Path, device: str, effort: Effort) -> None:
    """Evaluate one trained ablation in the modes that it was trained for."""
    run.provide(*_ablation(name, weights, device, effort))


def _ablation(name: str, weights: Path, device: str, effort: Effort) -> tuple[Model, list[Need]]:
    model = Model(ablation_model(name), str(weights), device)
    return model, [Need(ABLATION_SETS, protocol, name) for protocol in ablation_protocols(name, effort)]


def provide_gates(place: Workplace, effort: Effort, *, redo: bool) -> bool:
    """Read the gates on ACDC, as Figure 4 does; the first of several processes does it.

    Returns:
        Whether this is that process.
    """
    if share(os.environ).rank > 0:
        return False
    protocol, model = gates(effort), place.main_model()
    with runner(place, redo=redo) as run:
        run.check(model, [Need(("ACDC",), protocol)])
        for found in find_sets(["ACDC"], run.folders):
            if not run.is_done(model, found.folder, protocol):
                started = time.perf_counter()
                weights = measure_gates(model.predictor, found.folder, protocol, progress=run.progress)
                facts = facts_of(model, found.folder, protocol, seconds=time.perf_counter() - started)
                run.results.save(model.name, protocol.name, facts, gates_csv(weights))
    return True


def made_section(item: str, place: Workplace, output: Path | None = None) -> Section:
    """A table or figure from the results.

    Args:
        item: Its name.
        place: Where the results are.
        output: Where to put a figure's picture besides.

    Raises:
        InvalidDataset: Nothing has been measured for it.
    """
    view = place.view()
    if item not in ABLATION_TABLES:
        _tell(view.left_out())
    pictures = made_folder(place.results / view.model) / PICTURES_NAME
    made = section(item, view, pictures)
    if made is None:
        raise InvalidDataset(
            f"Nothing has been measured for {item} in {place.results}; say with --data where its datasets are."
        )
    if output is not None:
        for picture in made.pictures:
            write_atomically(output, (pictures / picture.file).read_bytes())
    return made


def draw_panels(item: str, place: Workplace, cases: Sequence[str], also: Sequence[str], output: Path | None) -> Path:
    """Segment the cases of Figure 6, 7, 8 or 9 again and draw them.

    Returns:
        The picture, among the results.

    Raises:
        InvalidDataset: No set of the figure has been measured.
    """
    figure, view, model, folders = PANEL_FIGURES[item], place.view(), place.main_model(), place.folders()
    _tell(view.left_out())
    chosen = choose(figure, view, folders, cases)
    if not chosen:
        raise InvalidDataset(f"None of the sets of {item} has been measured; say with --data where they are.")
    others = {Model.named(source).name: Predictor.load(source, device=place.device) for source in also}
    picture = draw(figure, chosen, model.predictor, folders, others)
    path = save_figure(made_folder(place.results / view.model / PICTURES_NAME), item, picture, chosen)
    if output is not None:
        write_overlay(output, picture)
    return path


def _tell(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        say(sentence)
