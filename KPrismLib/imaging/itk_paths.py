"""File names that ITK can open on every system.

On Windows, ITK opens most files through the system's old 8-bit interface, which knows no letters outside its code
page; on other systems its Python layer takes no name whose bytes are not UTF-8. Such files are given an ASCII name for
as long as they are being read: a hard link where the disk allows it, else a copy. The files in which a header keeps its
voxels get such names, too, and the header is copied with these. All other names pass as they are.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from KPrismLib.errors import CannotWrite, InvalidImage
from KPrismLib.imaging.ascii_folder import ascii_temporary_folder
from KPrismLib.imaging.detached_voxels import DetachedHeader, detached_header


@contextmanager
def itk_paths(paths: Sequence[Path]) -> Iterator[list[str]]:
    """The names under which ITK finds ``paths``, in their order, while the ``with`` block runs.

    Raises:
        InvalidImage: they need other names, and there is no folder for these.
    """
    headers = [_detached_header(path) for path in paths]
    if not needs_alias([*paths, *(file for header in headers if header for file in header.files)]):
        yield [str(path) for path in paths]
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(ascii_temporary_folder())
        except CannotWrite as error:
            raise InvalidImage(f"{paths[0].name} cannot be read: {error}") from error
        names = []
        for number, (path, header) in enumerate(zip(paths, headers, strict=True)):
            # Only the suffixes of the old name matter to ITK: they choose the reader.
            alias = folder / f"{number:06d}{''.join(filter(str.isascii, path.suffixes[-2:]))}"
            if header is None:
                _alias(path, alias)
            else:
                alias.write_bytes(header.naming(_voxel_aliases(header, alias)))
            names.append(str(alias))
        yield names


def needs_alias(paths: Sequence[Path]) -> bool:
    """Whether ITK on this system cannot be trusted with one of these names."""
    if sys.platform == "win32":
        return not all(str(path).isascii() for path in paths)
    return not all(_is_unicode(str(path)) for path in paths)


def _detached_header(path: Path) -> DetachedHeader | None:
    try:
        return detached_header(path)
    except OSError:  # ITK will say so
        return None


def _voxel_aliases(header: DetachedHeader, alias: Path) -> list[str]:
    """The names, beside ``alias``, that the files with the voxels of a header were given."""
    names = []
    for number, (name, file) in enumerate(zip(header.names, header.files, strict=True)):
        names.append(f"{alias.stem}-{number:06d}.raw")
        with suppress(OSError, ValueError):  # ITK shall miss what is not there
            # What ITK finds by an ending that the header leaves out, .gz, it shall find so again.
            _alias(file, alias.with_name(names[-1] + file.name[len(Path(name).name) :]))
    return names


def _alias(path: Path, alias: Path) -> None:
    # Before Windows removes a link to a read-only file, that is taken away from it, under whatever name.
    if sys.platform != "win32" or path.stat().st_mode & stat.S_IWRITE:
        with suppress(OSError):
            os.link(path, alias)
            return
    shutil.copyfile(path, alias)


def _is_unicode(name: str) -> bool:
    """False for a file name whose bytes are no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
