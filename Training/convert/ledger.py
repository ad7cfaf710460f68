"""The diary of a conversion: which cases are finished, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from KPrismLib.errors import CannotWrite
from Training.convert.stamps import stamp

NAME = "conversion.jsonl"
_KEYS = ("recipe", "inputs", "outputs", "items")


class Ledger:
    """One line of JSON per finished case, appended when all its files are in place.

    A line that a power cut left half written is not JSON, and its case is simply done again.
    """

    def __init__(self, target: Path) -> None:
        """Read what earlier runs into this folder finished."""
        self._target = target
        self._path = target / NAME
        self._finished: dict[str, dict[str, Any]] = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self._finished[entry["case"]] = {key: entry[key] for key in _KEYS}

    def items(self, case: str, inputs: Mapping[str, str], recipe: str) -> list[dict[str, Any]] | None:
        """The items of a finished case; None when it must be done (again).

        It counts as finished when it was made by the same recipe from files with the same stamps, and what it wrote is
        still there and unchanged.
        """
        entry = self._finished.get(case)
        if entry is None or entry["inputs"] != dict(inputs) or entry["recipe"] != recipe:
            return None
        for name, expected in entry["outputs"].items():
            path = self._target / name
            if not path.is_file() or stamp(path) != expected:
                return None
        items: list[dict[str, Any]] = entry["items"]
        return items

    def finish(self, case: str, inputs: Mapping[str, str], recipe: str, items: list[dict[str, Any]]) -> None:
        """Note a case as finished."""
        written = [item[key] for item in items for key in ("image", "mask")]
        outputs = {name: stamp(self._target / name) for name in written}
        entry = {"case": case, "recipe": recipe, "inputs": dict(inputs), "outputs": outputs, "items": items}
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                # Begins with a line break: the previous line may have been cut off.
                stream.write("\n" + json.dumps(entry))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise CannotWrite(f"Cannot write {self._path}: {error.strerror or error}; free some space.") from error
        self._finished[case] = entry
