"""Temporary folders for ITK, which on Windows opens no file whose path has letters outside its code page.

The usual folder for temporary files has the name of the user's account in it there, such as C:/Users/Jürgen/AppData.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from KPrismLib.errors import CannotWrite

#: Environment variables of Windows that name folders into which everybody may write.
_OF_EVERYBODY = ("PUBLIC", "ProgramData")


@contextmanager
def ascii_temporary_folder() -> Iterator[Path]:
    """A new folder, removed after the ``with`` block; on Windows its path is ASCII.

    Raises:
        CannotWrite: none can be made.
    """
    with _made() as folder:
        yield Path(folder)


def _made() -> tempfile.TemporaryDirectory[str]:
    problem: OSError | None = None
    for parent in _parents():
        try:
            # What a virus scanner still has open stays behind; the work that the folder was for is done.
            return tempfile.TemporaryDirectory(prefix="kprism-", dir=parent, ignore_cleanup_errors=True)
        except OSError as error:
            problem = error
    reason = f" ({problem.strerror or problem})" if problem else ""
    raise CannotWrite(
        f"No temporary folder can be made{reason}; free some space, or set TMPDIR to a folder whose name is ASCII."
    ) from problem


def _parents() -> Iterator[str]:
    """Folders in which to make one, the best first."""
    usual = tempfile.gettempdir()
    if sys.platform != "win32" or usual.isascii():
        yield usual
        return
    for folder in (_short_name(usual), *(os.environ.get(name, "") for name in _OF_EVERYBODY)):
        if folder and folder.isascii():
            yield folder


def _short_name(folder: str) -> str:
    """What Windows calls a folder for old programs, such as C:/Users/JRGEN~1; "" where it keeps no such names."""
    if sys.platform == "win32":
        import ctypes

        buffer = ctypes.create_unicode_buffer(1 << 15)
        ctypes.windll.kernel32.GetShortPathNameW(folder, buffer, len(buffer))
        return buffer.value
    return ""
