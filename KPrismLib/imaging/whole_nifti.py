"""NIfTI files with a look at their checksum, which nibabel does not reach: it comes after the last voxel."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel

_PIECE = 1 << 20


@contextmanager
def whole_nifti(path: Path) -> Iterator[Any]:
    """The file as nibabel loads it, whose voxels are to be read within the block.

    When the block ends, what follows the voxels is read, too; in a ``.nii.gz`` that is the checksum of everything
    before it. So the file is decompressed once, and no byte of it is kept that was not kept without the check.

    Raises:
        BadGzipFile: at the end of the block; the voxels are not those that were compressed.
        EOFError: likewise; the file is cut off.
        ImageFileError, OSError, ValueError, ...: whatever nibabel says of a file that it cannot read.
    """
    loaded: Any = nibabel.load(path)
    if not path.name.lower().endswith(".gz"):
        yield loaded
        return
    with gzip.open(path) as stream:
        yield type(loaded).from_stream(stream)
        while stream.read(_PIECE):
            pass
