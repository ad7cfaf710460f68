"""What a run tells: CSV and TensorBoard files, and a progress line with the time that is left."""

from __future__ import annotations

import contextlib
import csv
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.atomic_file import write_atomically

STEPS_NAME, VALIDATION_NAME = "steps.csv", "validation.csv"
#: What a run's logs are called; TensorBoard gives its own files their names.
LOG_NAMES = (STEPS_NAME, VALIDATION_NAME, "events.out.tfevents.*")
STEP_FIELDS = ("step", "mode", "size", "loss", "dice", "gradient_norm", "learning_rate", "seconds")


class TrainingLog:
    """Logs of a run in ``folder``; rows are appended, so that a resumed run continues its files.

    Rows of steps beyond ``done`` come from a run that was killed after its last checkpoint; those steps are done again.

    Args:
        folder: where ``steps.csv``, ``validation.csv`` and TensorBoard's files go.
        total: steps of the whole run; ``done`` of them are behind us.
        active: False on all ranks but the first, which write nothing.
    """

    def __init__(self, folder: Path, *, total: int, done: int = 0, active: bool = True) -> None:
        self._folder = folder
        self._active = active
        self._recent: deque[float] = deque(maxlen=50)
        self._console = Console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not active or not self._console.is_terminal,
        )
        self._task = self._progress.add_task("training", total=total, completed=done)
        self._total = total
        self._done = done
        self._files: list[TextIO] = []
        self._steps: Any = None
        self._validations: Any = None
        self._board: Any = None

    def __enter__(self) -> TrainingLog:
        if self._active:
            with self._writing():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._steps = self._writer(STEPS_NAME, STEP_FIELDS)
                self._validations = self._writer(VALIDATION_NAME, ("step", "name", "dice"))
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(str(self._folder))
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        for stream in (*self._files, *([] if self._board is None else [self._board])):
            # What ended the run is worth telling, not that its last lines do not fit the full disk either.
            with self._writing() if error is None else contextlib.suppress(OSError):
                stream.close()

    def step(self, step: int, record: Mapping[str, Any]) -> None:
        """Log one training step."""
        self._recent.append(record["loss"])
        mean = sum(self._recent) / len(self._recent)
        with self._writing():
            self._steps.writerow([step, *(_short(record[name]) for name in STEP_FIELDS[1:])])
            for name in ("loss", "dice", "gradient_norm", "learning_rate"):
                tag = f"{name}/{record['mode']}" if name in ("loss", "dice") else name
                self._board.add_scalar(tag, record[name], step)
        self._progress.update(self._task, completed=step, description=f"{record['size']} px, loss {mean:.3f}")
        if step % 50 == 0:
            self.flush()
            if not self._console.is_terminal:
                left = (self._total - step) * record["seconds"] / 60
                self._console.print(f"step {step}/{self._total}  loss {mean:.3f}  about {left:.0f} min left")

    def validation(self, step: int, dice: Mapping[str, float]) -> None:
        """Log a validation: ``dice`` by name."""
        with self._writing():
            for name, value in dice.items():
                self._validations.writerow([step, name, f"{value:.4f}"])
                self._board.add_scalar(f"validation/{name}", value, step)
        self.flush()
        main = "  ".join(f"{name} {value:.3f}" for name, value in dice.items() if "/" not in name)
        self._console.print(f"step {step}  validation Dice  {main}")

    def flush(self) -> None:
        """Bring what was told so far to the disk; before every checkpoint, so that no row before it can be missing."""
        with self._writing():
            for stream in self._files:
                stream.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say that the disk is full, or whatever it is.

        Raises:
            CannotWrite: the logs cannot be written.
        """
        try:
            yield
        except OSError as error:
            raise CannotWrite(
                f"The logs in {self._folder} cannot be written: {error.strerror or error}; free some disk space and "
                "start again: the run continues from the last checkpoint."
            ) from error

    def _writer(self, name: str, header: tuple[str, ...]) -> Any:
        path = self._folder / name
        fresh = not path.exists() or path.stat().st_size == 0
        if not fresh:
            self._drop_undone(path)
        stream = path.open("a", newline="", encoding="utf-8")
        self._files.append(stream)
        writer = csv.writer(stream)
        if fresh:
            writer.writerow(header)
            stream.flush()
        return writer

    def _drop_undone(self, path: Path) -> None:
        """Leave the header and the rows of steps that are done; the last line may have been cut off."""
        header, *rows = path.read_bytes().splitlines(keepends=True)
        kept = [row for row in rows if row.endswith(b"\n") and int(row.partition(b",")[0]) <= self._done]
        if len(kept) < len(rows):
            write_atomically(path, b"".join([header, *kept]))


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
