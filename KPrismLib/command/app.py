"""``kprism``: all commands, and what happens when one of them fails."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from KPrismLib import __version__
from KPrismLib.command.bench import bench
from KPrismLib.command.classes import classes
from KPrismLib.command.code_pages import tolerate_code_pages
from KPrismLib.command.demo import demo
from KPrismLib.command.evaluate import evaluate
from KPrismLib.command.export import export
from KPrismLib.command.failures import DEBUG_VARIABLE, ExplainingGroup
from KPrismLib.command.info import info
from KPrismLib.command.segment import SegmentCommand, segment
from KPrismLib.command.train import train


def _flowing(command: Callable[..., None]) -> str:
    """What a command says of itself, each paragraph in one line: the terminal breaks it where it ends."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


app = typer.Typer(
    name="kprism",
    cls=ExplainingGroup,
    help="Segment medical images by class, by example and by click, with one model.",
    epilog="Research use only; not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=SegmentCommand, help=_flowing(segment))(segment)
for _command in (classes, info, bench, evaluate, train, export, demo):
    app.command(help=_flowing(_command))(_command)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kprism {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; -> the exit status (0 done, 1 failed with a sentence, 2 wrong usage, 130 cancelled)."""
    tolerate_code_pages()
    try:
        app(args=sys.argv[1:] if arguments is None else list(arguments), prog_name="kprism")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
