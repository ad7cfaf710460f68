"""Results that lie on the disk: written over only where a record says that a run wrote them, of the same image.

Anything else is a correction by hand, the result for another image with an equal name, or not ours at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from KPrismLib.batch.fingerprint import file_fingerprint
from KPrismLib.batch.manifest import ENDING, NAME, Record, files_of, is_name, line_of, parsed, read_results
from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.sharing_violations import remove_file

_WAY_OUT = "move it away, give another folder for it, or add --overwrite"
_NOTE = ".kprism-"


@dataclass(frozen=True)
class KnownFiles:
    """The files that runs wrote into a folder of results, or beside it, by their names as seen from the folder.

    Attributes:
        written: the latest record in the manifests that tells of a file.
        announced: what runs noted that were killed before their records; maybe they wrote these files, maybe not.
    """

    written: dict[str, Record] = field(default_factory=dict)
    announced: Mapping[str, Sequence[Record]] = field(default_factory=dict)

    def of(self, name: str) -> list[Record]:
        """Every record that tells of a file."""
        return [*([self.written[name]] if name in self.written else ()), *self.announced.get(name, ())]

    def only(self, names: Sequence[str]) -> KnownFiles:
        """What is known of some of the files."""
        return KnownFiles(
            {name: self.written[name] for name in names if name in self.written},
            {name: self.announced[name] for name in names if name in self.announced},
        )


def known_files(folder: Path) -> KnownFiles:
    """What the manifests in a folder tell of, and the notes of runs that were killed.

    Raises:
        CannotWrite: a manifest cannot be read.
    """
    # Notes first: one that is withdrawn meanwhile has its record in the manifest.
    announced: dict[str, list[Record]] = {}
    for path in sorted(folder.glob(f"{_NOTE}*.json")):
        for noted in _noted(path):
            for name, record in files_of(noted).items():
                announced.setdefault(name, []).append(record)
    return KnownFiles(read_results(folder), announced)


def recorded_files(folder: Path) -> set[Path]:
    """Where the :func:`known_files` of a folder lie, resolved; none where it or a manifest cannot be read."""
    try:
        known = known_files(folder)
    except OSError:  # also of a folder whose name is too long to be one, which who makes it will tell
        return set()
    return {(folder / name).resolve() for name in (*known.written, *known.announced)}


def may_hold_records(names: Sequence[str]) -> bool:
    """Whether a folder with files of these names may be one of results."""
    return any(
        (name.startswith(NAME) and name.endswith(ENDING)) or (name.startswith(_NOTE) and name.endswith(".json"))
        for name in names
    )


def is_as_written(path: Path, written: Sequence[Record]) -> bool:
    """Whether one of the records that tell of a file describes it as it is now."""
    return any(_describes(record, path) for record in written)


def check_replaceable(path: Path, case: Record, written: Sequence[Record]) -> None:
    """Find whether a result of a case may be written to ``path``.

    Args:
        path: of the segmentation, or of a file beside it.
        case: what is to be the record of the case, with its image.
        written: the records that tell of a file at ``path``.

    Raises:
        CannotWrite: a file lies there that is not as it was written, or is the result of another image.
    """
    if not path.is_file():
        return
    true = [record for record in written if _describes(record, path)]
    if any(_is_same_image(record, case) for record in true):
        return
    if true:
        reason = f"it is the result of another image ({true[0]['image']})"
    elif written:
        reason = "it was changed after K-Prism wrote it"
    else:
        reason = "a file of that name lies there, and no manifest says that K-Prism wrote it"
    raise CannotWrite(f"Cannot write {path.name}: {reason}; {_WAY_OUT}.")


def is_same_place(one: Record, other: Record) -> bool:
    """Whether the images of two records are one file, or one series of one folder, whatever lies in it now."""
    place = "source" if "source" in one else "image"  # which older releases have as it was typed
    return is_name(one.get(place), other[place]) and one.get("series_uid") == other["series_uid"]


def announce(folder: Path, record: Record) -> None:
    """Note what is about to be written, for the next run if this one is killed before its manifest has the record.

    Args:
        folder: of the results.
        record: with the files as they will be, and the image.

    Raises:
        CannotWrite: no permission, disk full.
    """
    note = _note(folder, record["output"])
    # Those of runs that were killed before stay: some of their files may lie there still.
    write_atomically(note, b"".join(map(line_of, _noted(note))) + line_of(record))


def withdraw(folder: Path, output: str, recorded: Mapping[str, Record]) -> None:
    """Drop the note on ``output``, if nothing lies there that it alone tells of.

    Args:
        folder: of the results.
        output: the name of a segmentation, whose record is in the manifest by now.
        recorded: the records of its files by their names, as of :func:`~KPrismLib.batch.manifest.files_of`.
    """
    note = _note(folder, output)
    for noted in _noted(note):
        for name, record in files_of(noted).items():
            known = recorded.get(name)
            is_same = known is not None and known.get("sha256") == record.get("sha256")
            if not is_same and _lies_unrecorded(folder / name, known):
                return
    with contextlib.suppress(OSError):  # then the next run drops it, as it does for one that was killed
        remove_file(note)


def _lies_unrecorded(path: Path, known: Record | None) -> bool:
    return path.is_file() and (known is None or not _describes(known, path))


def _note(folder: Path, output: str) -> Path:
    # Hidden, and not named after the result, whose name may already be as long as the system allows.
    name = hashlib.sha256(json.dumps(output).encode()).hexdigest()[:16]
    return folder / f"{_NOTE}{name}.json"


def _noted(note: Path) -> list[Record]:
    """The records in a note; none where there is none, or it was withdrawn since it was seen."""
    try:
        lines = note.read_bytes().splitlines()
    except OSError:
        return []
    return [record for record in map(parsed, lines) if record is not None]


def _describes(record: Record, path: Path) -> bool:
    """Whether a file is as it was written; records of older releases know its size only."""
    if record.get("bytes") != path.stat().st_size:
        return False
    return "sha256" not in record or record["sha256"] == file_fingerprint(path)


def _is_same_image(one: Record, other: Record) -> bool:
    """Whether two records are of one image: of equal content, or in one place though its content has changed."""
    return one.get("content") == other["content"] or is_same_place(one, other)
