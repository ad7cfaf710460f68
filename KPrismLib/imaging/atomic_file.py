"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
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
    # A short random name, not derived from the target's: that one may already be as long as the system allows.
    temporary = target.with_name(f".kprism-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):  # what failed first is what the user must hear
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise CannotWrite(
                f"Cannot write {target.name} into {target.parent}: {reason}; "
                "free some space, close the program that has it open, or choose another folder."
            ) from error
        raise
    return target
