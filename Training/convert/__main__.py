"""The command line: ``python -m Training.convert NAME SOURCE TARGET`` and ``python -m Training.convert list``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from KPrismLib.command.failures import explained
from KPrismLib.errors import InvalidDataset, KPrismError
from KPrismLib.imaging.atomic_file import write_atomically
from Training.convert import registry
from Training.convert.conversion import Outcome, convert
from Training.convert.findings import FILE, listed

_SHOWN = 20


def main(
    name: Annotated[str, typer.Argument(help="A name that `list` shows, or `list`.")],
    source: Annotated[Path | None, typer.Argument(help="The official download, unpacked.")] = None,
    target: Annotated[Path | None, typer.Argument(help="The dataset folder to write; may be half done.")] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on without what is missing or unreadable.")
    ] = False,
    store: Annotated[
        bool, typer.Option("--store", help="Volumes as slice stores (.h5), read slice by slice, instead of NIfTI.")
    ] = False,
) -> None:
    """Turn the official download of a public dataset into a dataset folder.

    Exit status: 0 when the folder is there, 1 when files are missing, renamed, doubled or damaged, 2 for a wrong
    folder, name or option, 3 when the target cannot be written or a file not be read.
    """
    # Paths must come out whole, also into a pipe: no highlighting, no wrapping.
    out, err = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)
    with _explained(err):
        if name == "list":
            for line in _list():
                out.print(line, markup=False)
            return
        chosen = registry.converter(name)
        if source is None or target is None:
            raise InvalidDataset(f"Name the download and the dataset folder to write: {name} SOURCE TARGET.")
        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task(chosen.about.name)
            outcome = convert(
                chosen,
                source,
                target,
                allow_missing=allow_missing,
                store=store,
                progress=lambda done, total, case: bar.update(task, completed=done, total=total, description=case),
            )
        _show(outcome, target, out, err)
    if not outcome.ok:
        err.print(
            "No dataset.json was written. Fetch what is missing and run the same command again: finished cases are "
            "kept. --allow-missing goes on without it.",
            markup=False,
        )
        raise typer.Exit(1)


@contextmanager
def _explained(err: Console) -> Iterator[None]:
    """Sentences instead of tracebacks, and the exit status of :func:`main`."""
    with explained():
        try:
            yield
        except KPrismError as error:
            err.print(str(error), markup=False)
            raise typer.Exit(2 if isinstance(error, InvalidDataset) else 3) from error
        except OSError as error:
            err.print(f"{error.filename or 'A file'} cannot be read: {error.strerror or error}.", markup=False)
            raise typer.Exit(3) from error


def _show(outcome: Outcome, target: Path, out: Console, err: Console) -> None:
    kept = target / FILE if outcome.findings and target.is_dir() else None
    if kept is not None:
        everything = "\n".join(listed(outcome.findings)) + "\n"
        write_atomically(kept, everything.encode("utf-8"))
    elif target.is_dir():
        (target / FILE).unlink(missing_ok=True)  # an earlier run's, mended since
    # Without a target there is no file to hold the rest.
    for line in listed(outcome.findings, limit=_SHOWN if target.is_dir() else None):
        err.print(line, markup=False)
    if kept is not None:
        err.print(f"All findings: {kept}", markup=False)
    if outcome.counts:
        out.print(_counts(outcome))
        out.print(f"{outcome.converted} cases converted, {outcome.kept} were already there.")


def _counts(outcome: Outcome) -> Table:
    table = Table("split", "patients", "volumes", "slices", "labelled", "paper: volumes", "paper: slices")
    for count in outcome.counts:
        paper = ("-" if number is None else str(number) for number in (count.paper_volumes, count.paper_slices))
        found = (count.patients, count.volumes, count.slices, count.labelled)
        table.add_row(count.split, *map(str, found), *paper)
    return table


def _list() -> list[str]:
    lines = []
    for name in registry.names():
        about = registry.converter(name).about
        lines += [f"{name}: {about.name}, {about.modality}; {about.role}"]
        lines += [f"    {text}" for text in (about.licence, about.source, about.layout)]
    return lines


if __name__ == "__main__":
    typer.run(main)
