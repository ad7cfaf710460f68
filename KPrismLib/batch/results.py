"""Results that lie on the disk: written over only where a record says that a run wrote them, of the same image.

Anything else is a correction by hand, the result for another image with an equal name, or not ours at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from KPrismLib.batch.fingerprint import file_fingerprint
from KPrismLib.batch.manifest import Record, line_of, parsed
from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.atomic_file import write_atomically

_WAY_OUT = "move it away, give another folder as -o, or add --overwrite"


def check_replaceable(path: Path, case: Record, written: Sequence[Record]) -> None:
    """Find whether the result of a case may be written to ``path``.

    Args:
        path: of the segmentation.
        case: what is to be the record of the case, with its image.
        written: the records that tell of a segmentation at ``path``.

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
    return one.get(place) == other[place] and one.get("series_uid") == other["series_uid"]


def announce(folder: Path, record: Record) -> None:
    """Note what is about to be written, for the next run if this one is killed before its manifest has the record.

    Args:
        folder: of the results.
        record: with ``output``, ``sha256`` and the image.

    Raises:
        CannotWrite: no permission, disk full.
    """
    write_atomically(_note(folder, record["output"]), line_of(record))


def announced(folder: Path, output: str) -> Record | None:
    """What a run noted that was killed while it wrote ``output``."""
    try:
        return parsed(_note(folder, output).read_bytes())
    except OSError:
        return None


def withdraw(folder: Path, output: str) -> None:
    """The record of ``output`` is in the manifest; the note is needed no longer."""
    _note(folder, output).unlink(missing_ok=True)


def _note(folder: Path, output: str) -> Path:
    # Hidden, and not named after the result, whose name may already be as long as the system allows.
    name = hashlib.sha256(json.dumps(output).encode()).hexdigest()[:16]
    return folder / f".kprism-{name}.json"


def _describes(record: Record, path: Path) -> bool:
    """Whether a file is as it was written; records of older releases know its size only."""
    if record.get("bytes") != path.stat().st_size:
        return False
    return "sha256" not in record or record["sha256"] == file_fingerprint(path)


def _is_same_image(one: Record, other: Record) -> bool:
    """Whether two records are of one image: of equal content, or in one place though its content has changed."""
    return one.get("content") == other["content"] or is_same_place(one, other)
