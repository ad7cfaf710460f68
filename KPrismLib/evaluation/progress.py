"""A progress bar for evaluations that are watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on standard error while the block runs.

    Args:
        console: Where to draw it.

    Yields:
        What :func:`~KPrismLib.evaluation.evaluate.evaluate` takes as ``progress``.

    Example:
        >>> with progress_bar() as progress:  # doctest: +SKIP
        ...     report = evaluate(predictor, folders, progress=progress)
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = console or Console(stderr=True)
    # In a log file a bar is lines of litter.
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Evaluating", total=None)

        def show(done: int, total: int, dataset: str) -> None:
            bar.update(task, completed=done, total=total, description=dataset)

        yield show
