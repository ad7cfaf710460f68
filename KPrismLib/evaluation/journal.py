"""The diary of an evaluation: one line for each finished slice, so that an interrupted one goes on where it stopped.

Several processes share an evaluation without talking to each other: each appends to a file of its own, and whoever
comes next reads them all.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from KPrismLib.errors import CannotWrite, InvalidConfig
from KPrismLib.evaluation.measurements import SliceMeasurement
from KPrismLib.evaluation.settings import Mode
from KPrismLib.imaging.sharing_violations import remove_file
from KPrismLib.prompts import Click

Place = tuple[str, str, int]
"""Dataset, item and index of a slice."""


class Journal:
    """Finished slices of one evaluation.

    Args:
        stem: The files are ``STEM.journal-RANK.jsonl``.
        runs: What each dataset is evaluated with, as a short text; lines of another run are refused.
        rank: Which of the processes this is.

    Raises:
        InvalidConfig: A journal of another evaluation lies there.
        CannotWrite: It cannot be read or written.
    """

    def __init__(self, stem: Path, runs: dict[str, str], *, rank: int = 0) -> None:
        self._stem = stem
        self._runs = runs
        self._path = stem.with_name(f"{stem.name}.journal-{rank}.jsonl")
        self._done: dict[Place, list[SliceMeasurement]] = {}
        self.refresh()

    @property
    def done(self) -> dict[Place, list[SliceMeasurement]]:
        """The measurements of each finished slice, by whatever process."""
        return self._done

    def refresh(self) -> None:
        """Read what all processes have finished by now."""
        try:
            for path in _files(self._stem):
                with contextlib.suppress(FileNotFoundError):  # another process has just written the results
                    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                        self._take(line, path)
        except OSError as error:
            raise CannotWrite(f"The journal {self._stem} cannot be read: {error.strerror or error}.") from error

    def finish(self, place: Place, rows: Sequence[SliceMeasurement]) -> None:
        """Note a slice as finished.

        Raises:
            CannotWrite: Disk full, no permission; all slices before this one stay finished.
        """
        plain = [{**asdict(row), "mode": row.mode.value} for row in rows]
        line = json.dumps({"run": self._runs[place[0]], "slice": place, "rows": plain})
        try:
            with self._path.open("ab") as stream:
                # Begins with a line break: the previous line may have been cut off.
                stream.write(f"\n{line}\n".encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise CannotWrite(
                f"Cannot write {self._path}: {error.strerror or error}; free some space and start again: the "
                "evaluation goes on where it stopped."
            ) from error
        self._done.setdefault(place, list(rows))

    def _take(self, line: str, path: Path) -> None:
        try:
            entry = json.loads(line)
            dataset, item, index = entry["slice"]
            run, rows = entry["run"], [_row(values) for values in entry["rows"]]
        except (ValueError, KeyError, TypeError):
            return  # an empty line, or one that was cut off: its slice is done again
        if dataset in self._runs and run != self._runs[dataset]:
            raise InvalidConfig(
                f"{path} is the journal of another evaluation that was not finished: other weights, settings or data; "
                "delete it, or write to another file."
            )
        self._done.setdefault((dataset, item, index), rows)


def discard(stem: Path) -> None:
    """Delete the journals of all processes; the results are elsewhere now.

    Raises:
        CannotWrite: one stays, in the way of the next evaluation.
    """
    for path in _files(stem):
        try:
            remove_file(path)
        except OSError as error:
            if path.exists():  # else another process was quicker
                raise CannotWrite(
                    f"The journal {path} cannot be deleted ({error.strerror or error}); close the program that has it "
                    "open and delete it: the next evaluation with other weights or settings would be refused."
                ) from error


def _files(stem: Path) -> list[Path]:
    return sorted(stem.parent.glob(f"{_escaped(stem.name)}.journal-*.jsonl"))


def _row(values: dict[str, Any]) -> SliceMeasurement:
    return SliceMeasurement(
        **{
            **values,
            "mode": Mode(values["mode"]),
            "curve": tuple(values["curve"]),
            "clicks": tuple(Click(**click) for click in values["clicks"]),
            "pixels": tuple(values["pixels"]),
        }
    )


def _escaped(name: str) -> str:
    """A file name that stands for itself in a pattern."""
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in name)
