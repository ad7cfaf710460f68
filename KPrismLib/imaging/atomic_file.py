"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from KPrismLib.errors import CannotWrite


def write_atomically(path: str | Path, data: bytes) -> Path:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never a part.

    The bytes go to a temporary file in the same folder, reach the disk, and only then take the name; when anything
    fails the temporary file is removed and an existing file stays as it was.

    Raises:
        CannotWrite: no such folder, no permission, disk full, ...
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise CannotWrite(f"Cannot write {target.name}: the folder {target.parent} does not exist; create it first.")
    if target.is_dir():
        raise CannotWrite(f"Cannot write {target.name}: there is a folder of that name; choose another file name.")
    temporary: Path | None = None
    try:
        # A short random name, not derived from the target's: that one may already be as long as the system allows.
        handle, temporary_name = tempfile.mkstemp(prefix=".kprism-", suffix=".tmp", dir=target.parent)
        temporary = Path(temporary_name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        _allow_what_open_would(temporary)
        temporary.replace(target)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise CannotWrite(
                f"Cannot write {target.name} into {target.parent}: {reason}; "
                "free some space, close the program that has it open, or choose another folder."
            ) from error
        raise
    return target


def _allow_what_open_would(path: Path) -> None:
    """``mkstemp`` makes a private file; give it the permissions that a plain ``open`` gives a new one."""
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)
