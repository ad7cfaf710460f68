"""Where commands write: results to standard output, everything said on the way to standard error."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from KPrismLib.errors import CannotWrite


def say(sentence: str) -> None:
    """Tell the person something; programs that read standard output do not see it."""
    typer.echo(sentence, err=True)


def print_json(values: Mapping[str, Any]) -> None:
    """The one machine-readable result of a command."""
    typer.echo(json.dumps(values, indent=1, allow_nan=False))


def show(table: Table) -> None:
    """A table on standard output, as wide as it needs to be where nobody set a width.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    console = _Console()
    if not console.is_terminal:
        console = _Console(width=160)
    console.print(table)


class _Console(Console):
    """Leaves it to the command what to do when its reader is gone; rich would end the process, as if it had failed."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "nobody reads the table")


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error while the block runs; yields what to call after each step."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)


def check_writable(path: Path) -> None:
    """Say before long work, not after it, that its result would have no place.

    Raises:
        CannotWrite: the folder is missing or read-only, or the name is that of a folder.
    """
    check_name(path)
    if not path.absolute().parent.is_dir():
        raise CannotWrite(f"Cannot write {path.name}: the folder {path.parent} does not exist; create it first.")
    if not os.access(path.absolute().parent, os.W_OK):
        raise CannotWrite(f"Cannot write {path.name}: the folder {path.parent} is read-only; choose another folder.")
    if path.is_dir():
        raise CannotWrite(f"Cannot write {path.name}: there is a folder of that name; choose another file name.")


def check_name(path: Path) -> None:
    """Say that the system takes no file or folder of this name: it is too long, or nobody may look where it leads.

    Raises:
        CannotWrite: the name of the path, or of a folder in it, is at fault.
    """
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise CannotWrite(
                f"Cannot write {path.name}: the name is too long; choose a shorter one, in a folder of results for the "
                "image."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise CannotWrite(
                f"Cannot write {path.name}: the folder {path.parent} may not be opened; choose another folder, or get "
                "permission to open it."
            ) from error
