"""The diary of a conversion: which cases are finished, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from KPrismLib.errors import CannotWrite
from Training.convert.stamps import Stamp

NAME = "conversion.jsonl"

Stamps = dict[str, Stamp]


@dataclass(frozen=True)
class _Entry:
    """A finished case: files are named relative to the download, and to the target."""

    recipe: str
    inputs: Stamps
    outputs: Stamps
    items: list[dict[str, Any]]


class Ledger:
    """One line of JSON per finished case, appended when all its files are in place; the first line names the set.

    A line that a power cut left half written is not JSON, and its case is simply done again; so are those that earlier
    versions wrote, which had looked at both ends of the files only.
    """

    def __init__(self, target: Path, name: str) -> None:
        """Read what earlier runs into this folder finished; of a new folder it becomes the first file.

        Args:
            target: The dataset folder, made if need be.
            name: Of the set.

        Raises:
            CannotWrite: The folder or the file cannot be made.
        """
        self._target = target
        self._path = target / NAME
        self._finished: dict[str, _Entry] = {}
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"Cannot make {target}: {error.strerror or error}; choose another folder.") from error
        if not self._path.is_file():
            self._append({"set": name})
        for line in _lines(self._path):
            with contextlib.suppress(KeyError, TypeError, AttributeError):
                inputs, outputs = _stamps(line["inputs"]), _stamps(line["outputs"])
                self._finished[line["case"]] = _Entry(line["recipe"], inputs, outputs, line["items"])

    def items(self, case: str, inputs: Mapping[str, Path], recipe: str) -> list[dict[str, Any]] | None:
        """The items of a finished case; None when it must be done (again).

        It counts as finished when it was made by the same recipe from files of the same content, and what it wrote is
        still there and unchanged.

        Raises:
            OSError: A file is there and cannot be read.
            CannotWrite: Files have new times, which cannot be noted.
        """
        entry = self._finished.get(case)
        if entry is None or entry.inputs.keys() != inputs.keys() or entry.recipe != recipe:
            return None
        before = _renewed(entry.inputs, inputs)
        after = _renewed(entry.outputs, {name: self._target / name for name in entry.outputs})
        if before is None or after is None:
            return None
        if (before, after) != (entry.inputs, entry.outputs):
            self._note(case, _Entry(recipe, before, after, entry.items))  # the next run need not read them again
        return entry.items

    def finish(self, case: str, inputs: Stamps, recipe: str, items: list[dict[str, Any]]) -> None:
        """Note a case as finished.

        Args:
            case: Its id.
            inputs: Taken before the files were read.
            recipe: How it was made.
            items: What was made of it.

        Raises:
            CannotWrite: Disk full, no permission, ...
        """
        outputs = {item[key]: Stamp.of(self._target / item[key]) for item in items for key in ("image", "mask")}
        self._note(case, _Entry(recipe, inputs, outputs, items))

    def _note(self, case: str, entry: _Entry) -> None:
        self._append({"case": case, **vars(entry)})
        self._finished[case] = entry

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                # Begins with a line break: the previous line may have been cut off.
                stream.write("\n" + json.dumps(line))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise CannotWrite(f"Cannot write {self._path}: {error.strerror or error}; free some space.") from error


def begun_set(target: Path) -> str | None:
    """The set of which a conversion into this folder was begun; None where none was, or by an earlier version."""
    path = target / NAME
    return next((str(line["set"]) for line in _lines(path) if "set" in line), None) if path.is_file() else None


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict):
                lines.append(line)
    return lines


def _stamps(listed: Mapping[str, list[Any]]) -> Stamps:
    return {name: Stamp(*stamp) for name, stamp in listed.items()}


def _renewed(stamps: Mapping[str, Stamp], paths: Mapping[str, Path]) -> Stamps | None:
    """The stamps of files as they are now; None as soon as one has other content."""
    renewed = {}
    for name, stamp in stamps.items():
        now = stamp.renewed(paths[name])
        if now is None:
            return None
        renewed[name] = now
    return renewed
