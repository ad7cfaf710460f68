"""File names that ITK can open on every system.

On Windows, ITK opens most files through the system's old 8-bit interface, which knows no letters outside its code
page; on other systems its Python layer takes no name whose bytes are not UTF-8. Such files are given an ASCII name for
as long as they are being read: a hard link where the disk allows it, else a copy. All other names pass as they are.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def itk_paths(paths: Sequence[Path]) -> Iterator[list[str]]:
    """The names under which ITK finds ``paths``, in their order, while the ``with`` block runs."""
    if not needs_alias(paths):
        yield [str(path) for path in paths]
        return
    with tempfile.TemporaryDirectory(prefix="kprism-") as folder:
        names = []
        for number, path in enumerate(paths):
            # Only the suffixes of the old name matter to ITK: they choose the reader.
            alias = Path(folder) / f"{number:06d}{''.join(filter(str.isascii, path.suffixes[-2:]))}"
            try:
                os.link(path, alias)
            except OSError:
                shutil.copyfile(path, alias)
            names.append(str(alias))
        yield names


def needs_alias(paths: Sequence[Path]) -> bool:
    """Whether ITK on this system cannot be trusted with one of these names."""
    if sys.platform == "win32":
        return not all(str(path).isascii() for path in paths)
    return not all(_is_unicode(str(path)) for path in paths)


def _is_unicode(name: str) -> bool:
    """False for a file name whose bytes are no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
