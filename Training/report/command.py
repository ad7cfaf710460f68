"""The command line: one command per table and figure, ``replay``, ``ablations`` and ``build``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from KPrismLib.command.failures import DEBUG_VARIABLE, ExplainingGroup
from KPrismLib.command.options import DEFAULT_MODEL
from Training.report import paper_numbers
from Training.report.ablation_command import ablations
from Training.report.options import (
    RESULTS,
    ClickLimit,
    Clicks,
    Data,
    DeviceName,
    Exemplars,
    Limit,
    ModelName,
    Output,
    Redo,
    ResultsFolder,
    RunsFolder,
    Seed,
    Threads,
    Volumes,
    Workplace,
    effort,
    use_threads,
)

app = typer.Typer(
    cls=ExplainingGroup,
    help="The paper's tables and figures, measured again, each by a command of its own; `build` makes the report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def _help(item: str) -> str:
    return f"{paper_numbers.heading(item)}: {paper_numbers.caption(item)}."


def _table(item: str) -> Callable[..., None]:
    def table(
        data: Data = None,
        results: ResultsFolder = RESULTS,
        model: ModelName = DEFAULT_MODEL,
        limit: Limit = None,
        click_limit: ClickLimit = None,
        volumes: Volumes = None,
        clicks: Clicks = 10,
        exemplars: Exemplars = 10,
        seed: Seed = 0,
        device: DeviceName = "auto",
        threads: Threads = None,
        redo: Redo = False,
        output: Output = None,
    ) -> None:
        from Training.report.measuring import made_section, provide, provide_gates

        use_threads(threads)
        place = Workplace(tuple(data or ()), results, model, device, seed)
        asked = effort(
            limit=limit, click_limit=click_limit, volumes=volumes, clicks=clicks, exemplars=exemplars, seed=seed
        )
        if place.data:
            provider = provide_gates if item == "figure4" else partial(provide, item)
            if not provider(place, asked, redo=redo):
                return
        typer.echo(made_section(item, place, output).markdown())

    return table


def _ablation_table(item: str) -> Callable[..., None]:
    def table(
        data: Data = None,
        results: ResultsFolder = RESULTS,
        runs: RunsFolder = Path("runs"),
        limit: Limit = None,
        click_limit: ClickLimit = None,
        clicks: Clicks = 10,
        seed: Seed = 0,
        device: DeviceName = "auto",
        threads: Threads = None,
        redo: Redo = False,
    ) -> None:
        from Training.report.measuring import made_section, provide_ablations

        use_threads(threads)
        place = Workplace(tuple(data or ()), results, DEFAULT_MODEL, device, seed)
        asked = effort(limit=limit, click_limit=click_limit, volumes=None, clicks=clicks, exemplars=10, seed=seed)
        if place.data:
            provide_ablations(item, place, asked, runs, redo=redo)
        typer.echo(made_section(item, place).markdown())

    return table


def _panels(item: str) -> Callable[..., None]:
    def panels(
        data: Data = None,
        results: ResultsFolder = RESULTS,
        model: ModelName = DEFAULT_MODEL,
        cases: Annotated[
            list[str] | None,
            typer.Option("--case", help="best, median, worst, 2nd worst, 3rd worst, or SET:ITEM:SLICE:CLASS; repeat."),
        ] = None,
        also: Annotated[
            list[str] | None, typer.Option("--also", metavar="NAME|FILE", help="More weights, side by side; repeat.")
        ] = None,
        limit: Limit = None,
        click_limit: ClickLimit = None,
        volumes: Volumes = None,
        clicks: Clicks = 10,
        seed: Seed = 0,
        device: DeviceName = "auto",
        threads: Threads = None,
        redo: Redo = False,
        output: Output = None,
    ) -> None:
        from Training.report.measuring import draw_panels, provide

        use_threads(threads)
        place = Workplace(tuple(data or ()), results, model, device, seed)
        asked = effort(limit=limit, click_limit=click_limit, volumes=volumes, clicks=clicks, exemplars=10, seed=seed)
        if not provide(item, place, asked, redo=redo):
            return
        typer.echo(draw_panels(item, place, cases or (), also or (), output))

    return panels


def table8(
    results: ResultsFolder = RESULTS,
    network: Annotated[str, typer.Option("--network", metavar="small|base", help="Sizes of the network.")] = "base",
    experts: Annotated[str, typer.Option("--experts", help="Numbers of experts, commas between.")] = "5,4,3,2,1",
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Measurements per median.")] = 5,
    precision: Annotated[str, typer.Option("--precision", metavar="auto|float32|bfloat16")] = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
) -> None:
    """Table 8: frames per second by number of experts; needs no data."""
    from KPrismLib.errors import InvalidConfig
    from KPrismLib.imaging.atomic_file import made_folder
    from KPrismLib.network import named_config
    from Training.report.build import THROUGHPUT_NAME
    from Training.report.costs import measure_throughput
    from Training.report.tables.costs import table8 as made

    try:
        numbers = tuple(dict.fromkeys(int(text) for text in experts.split(",")))
    except ValueError as error:
        raise InvalidConfig(f"--experts is {experts!r}; give whole numbers with commas between.") from error
    use_threads(threads)
    found = measure_throughput(
        network, named_config(network), experts=numbers, device=device, precision=precision, repeats=repeats
    )
    found.save(made_folder(results) / THROUGHPUT_NAME)
    section = made(found)
    assert section is not None  # made of what has just been measured
    typer.echo(section.markdown())


def replay(
    rows: Annotated[Path, typer.Argument(metavar="ROWS.csv", help="A table of rows.")],
    row: Annotated[int, typer.Option("--row", min=1, help="Which row; 1 is the first below the header.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PNG", help="The picture.")],
    data: Data = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME|FILE", help="The weights; default, those of the table.")
    ] = None,
    clicks: Annotated[int | None, typer.Option("--clicks", min=0, help="Only the first so many clicks.")] = None,
    device: DeviceName = "auto",
    threads: Threads = None,
) -> None:
    """Do one measurement again, with its references and clicks, and draw it."""
    from Training.report.replay_command import replay_row

    use_threads(threads)
    place = Workplace(tuple(data or ()), RESULTS, model or "", device, 0)
    typer.echo(replay_row(rows, row, place, clicks=clicks, output=output))


def build(
    results: ResultsFolder = RESULTS,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME|FILE", help="Main model; needed where several were measured.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MD", help="The report.")] = Path(
        "Training/REPORT.md"
    ),
    pictures: Annotated[
        Path | None, typer.Option("--pictures", metavar="DIR", help="Default: beside the report.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Collect everything that was measured into one report."""
    from KPrismLib.command.console import check_writable, say
    from Training.report.build import PICTURES_NAME
    from Training.report.build import build as written
    from Training.report.results import Results
    from Training.report.view import View

    check_writable(output)
    found = Results(results)
    name = found.main_model(model)
    view = View(found, name, seed, found.digest_of(name, model))
    missing = written(view, output, pictures or output.parent / "report" / PICTURES_NAME)
    typer.echo(output)
    if missing:
        say(f"Not measured: {', '.join(missing)}.")


_SHARED_COMMANDS: Mapping[Callable[[str], Callable[..., None]], Sequence[str]] = {
    _table: ("table2", "table3", "table4", "table5d", "table9", "table10", "figure3", "figure4", "figure5"),
    _ablation_table: ("table5a", "table5b", "table5c", "table7a", "table7b"),
    _panels: ("figure6", "figure7", "figure8", "figure9"),
}
for _make, _items in _SHARED_COMMANDS.items():
    for _item in _items:
        app.command(_item, help=_help(_item))(_make(_item))
for _command in (table8, replay, ablations, build):
    app.command()(_command)
