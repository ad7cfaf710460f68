"""Which file a path leads to: by links, or in letters that the disk takes for the same, two paths may lead to one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

#: The resolved path, or the number of the disk and that of the file on it.
Identity = Path | tuple[int, int]


def identities(path: Path) -> set[Identity]:
    """All that a file is known by; two paths lead to one file where they share any of it.

    A file that does not exist yet, or that may not be looked at, has its resolved path only.
    """
    known: set[Identity] = {path.resolve()}
    with suppress(OSError):
        status = path.stat()
        if status.st_ino:  # some disks number no files
            known.add((status.st_dev, status.st_ino))
    return known


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder."""
    return not identities(one).isdisjoint(identities(other))
