"""Files that are written whole or not at all, and the folders for them."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.sharing_violations import remove_file, replace_file


def write_atomically(path: str | Path, data: bytes) -> Path:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never a part.

    The bytes reach the disk in a file of the same folder that has no name (Linux) or a temporary one (elsewhere), and
    only then take theirs; when anything fails the temporary file is removed and an existing file stays as it was.
    Where files can be nameless, a process that is killed at any moment leaves nothing half-written behind.

    Raises:
        CannotWrite: no such folder, no permission, disk full, ...
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise CannotWrite(f"Cannot write {target.name}: the folder {target.parent} does not exist; create it first.")
    if target.is_dir():
        raise CannotWrite(f"Cannot write {target.name}: there is a folder of that name; choose another file name.")
    # A short random name, not derived from the target's: that one may already be as long as the system allows.
    temporary = target.with_name(f".kprism-{secrets.token_hex(8)}.tmp")
    try:
        with _named_when_complete(temporary) as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        replace_file(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):  # what failed first is what the user must hear
            remove_file(temporary)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise CannotWrite(
                f"Cannot write {target.name} into {target.parent}: {reason}; "
                "free some space, close the program that has it open, or choose another folder."
            ) from error
        raise
    return target


def made_folder(folder: Path) -> Path:
    """The folder, made if need be.

    Raises:
        CannotWrite: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(
            f"The folder {folder} cannot be made: {error.strerror or error}; choose another folder."
        ) from error
    return folder


@contextlib.contextmanager
def _named_when_complete(path: Path) -> Iterator[BinaryIO]:
    """A stream to a new file that gets the name ``path`` after the block; where files need names, before it."""
    nameless = _open_nameless(path.parent)
    if nameless is None:
        with path.open("xb") as stream:
            yield stream
        return
    with os.fdopen(nameless, "wb") as stream:
        yield stream
        # Without a directory descriptor Python calls link(2), which would link the symbolic link itself.
        os.link(f"/proc/self/fd/{stream.fileno()}", path, src_dir_fd=stream.fileno(), follow_symlinks=True)


def _open_nameless(folder: Path) -> int | None:
    """A descriptor of a file without a name in ``folder``; None where the system or the disk has no such thing."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:
        return None  # an old or networked file system; if it is for want of permission, a named file will say so
