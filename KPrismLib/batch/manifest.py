"""What became of every case: one JSON object a line, appended, never rewritten.

A folder of results may hold several manifests, one for each shard; together they are read as one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

from KPrismLib.errors import CannotWrite

Record = dict[str, Any]

#: What may be written beside a segmentation.
SIDE_FILES = ("overlay", "probability")
#: What a record says of a file: its name, as seen from the folder, its size and its SHA-256.
_OF_A_FILE = ("output", "bytes", "sha256")

NAME = "manifest"
ENDING = ".jsonl"


class Status(str, Enum):
    """What became of a case; the value is its name in the manifest."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class Manifest:
    """The manifest of one run, open for appending; a context manager.

    Each record is on the disk before :meth:`append` returns, so a process that is killed loses the one in hand.

    Raises:
        CannotWrite: no permission, read-only or full disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._stream: BinaryIO = path.open("ab", buffering=0)
            if _ends_within_a_line(path):  # a run was killed while it wrote; what it left is not part of our line
                self._write(b"\n")
        except OSError as error:
            raise CannotWrite(
                f"Cannot write into {path.parent}: {error.strerror or error}; choose another folder."
            ) from (error)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record, with the time.

        Raises:
            CannotWrite: the disk is full, or gone.
        """
        try:
            self._write(line_of(record))
        except OSError as error:
            raise CannotWrite(
                f"Cannot write {self.path.name} into {self.path.parent}: {error.strerror or error}; free some "
                "space and run the command again: it goes on where it stopped."
            ) from error

    def _write(self, data: bytes) -> None:
        written = self._stream.write(data)  # in one call, so that lines of several processes do not mix
        while written < len(data):
            data = data[written:]
            written = self._stream.write(data)
        os.fsync(self._stream.fileno())

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def line_of(record: Mapping[str, Any]) -> bytes:
    """The line of a record, with the time."""
    finished = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    line = json.dumps({**record, "finished": finished}, ensure_ascii=False, allow_nan=False)
    # A file name that is no UTF-8 reaches us as half a pair; escaped, it is JSON that reads as the same name.
    return f"{line}\n".encode(errors="backslashreplace")


def read_manifest(folder: Path) -> dict[str, Record]:
    """The latest record of every case in the manifests of a folder, by its name.

    A case that was skipped keeps the record that tells why: that of when it was done. Lines that a killed run left
    unfinished are passed over.

    Raises:
        CannotWrite: a manifest cannot be read.
    """
    return {record["case"]: record for record in _records(folder)}


def read_results(folder: Path) -> dict[str, Record]:
    """The latest record of every file that was written, by its name as seen from the folder (``output``).

    Raises:
        CannotWrite: a manifest cannot be read.
    """
    found = [(name, record) for one in _records(folder) for name, record in files_of(one).items()]
    # A name that stands there itself counts more than one that a backslash may mean.
    return dict(sorted(found, key=lambda file: file[0] == file[1]["output"]))


def files_of(record: Record) -> dict[str, Record]:
    """The files that a record tells of, by their names: each as the record of that file, with its size and hash.

    One with a backslash in its name has two names, see :func:`is_name`.
    """
    about = {name: value for name, value in record.items() if name not in _OF_A_FILE}
    segmentation = {name: record[name] for name in _OF_A_FILE if name in record}
    sides = (record.get(name) for name in SIDE_FILES)
    files = [one for one in (segmentation, *sides) if isinstance(one, dict) and isinstance(one.get("output"), str)]
    written = {one["output"]: {**about, **one} for one in files}
    return {_with_slashes(name): facts for name, facts in written.items()} | written


def file_record(name: str, content: bytes) -> Record:
    """What a record says of a file that is written; :func:`files_of` finds it."""
    return {"output": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def name_from(folder: Path, path: Path) -> str:
    """A path as records have it: as seen from the folder of results, whichever links led there; on Windows with ``/``.

    So that a folder that several systems share has one name for each file.
    """
    try:
        name = os.path.relpath(path.parent.resolve() / path.name, folder.resolve())
    except ValueError:  # on another drive of Windows
        name = str(path.absolute())
    if sys.platform == "win32":
        name = _with_slashes(name)
    return name


def is_name(written: object, name: str) -> bool:
    """Whether what a record has for a name means ``name``, as :func:`name_from` has it.

    Older releases wrote backslashes on Windows. Elsewhere a name may have one of its own, and is then itself, too.
    """
    return isinstance(written, str) and name in (written, _with_slashes(written))


def _with_slashes(name: str) -> str:
    return name.replace("\\", "/")


def _records(folder: Path) -> list[Record]:
    """All records of cases that were not skipped, the latest last."""
    found = []
    for path in sorted(folder.glob(f"{NAME}*{ENDING}")):
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise CannotWrite(f"{path} cannot be read: {error.strerror or error}.") from error
        records = (parsed(line) for line in lines)
        found += [record for record in records if record is not None and record["status"] != Status.SKIPPED.value]
    return sorted(found, key=lambda record: record["finished"])


def parsed(line: bytes) -> Record | None:
    """The record in a line; None where it is none, or only a part."""
    try:
        record = json.loads(line)
    except ValueError:  # also bytes that are no UTF-8
        return None
    complete = isinstance(record, dict) and all(isinstance(record.get(k), str) for k in ("case", "status", "finished"))
    return record if complete else None


def _ends_within_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        if not stream.seek(0, os.SEEK_END):
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"
