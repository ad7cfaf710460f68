"""A batch as people watch it: a bar for the cases, one for each process, and a line for each result."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from KPrismLib.batch.manifest import Record, Status
from KPrismLib.command.console import say


class BatchProgress:
    """Bars on a terminal, plain lines elsewhere, all on standard error; a context manager.

    Args:
        total: number of cases.
    """

    def __init__(self, total: int) -> None:
        self._total, self._ready = total, 0
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._cases = self._bar.add_task("Cases", total=total)
        self._in_hand: dict[int, TaskID] = {}

    def __enter__(self) -> BatchProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bar.stop()

    def step(self, worker: int, case: str, done: int, total: int) -> None:
        """Process ``worker`` has segmented ``done`` of ``total`` slices of a case."""
        if worker not in self._in_hand:
            self._in_hand[worker] = self._bar.add_task(case, total=total)
        self._bar.update(self._in_hand[worker], description=case, completed=done, total=total)

    def finished(self, record: Record) -> None:
        """A case is ready: its line, unless there was nothing to do nor to say."""
        self._ready += 1
        self._bar.advance(self._cases)
        if record["status"] != Status.SKIPPED.value or record.get("warning"):
            self.tell(f"[{self._ready}/{self._total}] {record['case']}: {_result(record)}")

    def tell(self, sentence: str) -> None:
        """A line that does not disturb the bars."""
        if self._bar.disable:
            say(sentence)
        else:
            self._bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _result(record: Record) -> str:
    if record["status"] == Status.FAILED.value:
        return f"FAILED. {record['sentence']}"
    if record["status"] == Status.SKIPPED.value:
        return f"skipped. {record['warning']}"
    found = ", ".join(f"{one['name']} {_amount(one)}" for one in record["segments"])
    return f"{found} ({record['seconds']:.1f} s)." + (f" {record['warning']}" if record["warning"] else "")


def _amount(segment: Record) -> str:
    """A volume, of a single slice an area; without geometry, voxels."""
    if segment["millilitres"] is not None:
        return f"{segment['millilitres']:.1f} ml"
    return f"{segment['mm2']:.1f} mm2" if "mm2" in segment else f"{segment['voxels']} voxels"
