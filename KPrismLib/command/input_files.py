"""Which files a command reads, so that no result takes the place of one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from KPrismLib.imaging.detached_voxels import with_voxel_files
from KPrismLib.imaging.dicom_headers import is_dicom, is_segmentation
from KPrismLib.imaging.file_identity import Identity, identities


class InputFiles:
    """The files behind inputs; ``path in files`` says whether ``path`` is one of them, by whatever name.

    The files in which a header keeps its voxels are among them. Of a folder these are its DICOM images, those of other
    series than the one that is read too. A DICOM segmentation beside them is none: it is what an earlier run wrote
    there.

    Args:
        inputs: files, and folders with DICOM series.
    """

    def __init__(self, inputs: Iterable[Path]) -> None:
        self._files: set[Identity] = set()
        self._in_folders: set[Identity] = set()
        for path in inputs:
            if _is_folder(path):
                with suppress(OSError):  # no permission: whoever reads it will say so
                    self._in_folders.update(*map(identities, path.iterdir()))
            else:
                self._files.update(*map(identities, with_voxel_files(path)))

    def __contains__(self, path: Path) -> bool:
        known = identities(path)
        if not known.isdisjoint(self._files):
            return True
        if known.isdisjoint(self._in_folders):
            return False
        # Only now looked into: a series may have a thousand files.
        file = path.resolve()
        return file.is_file() and is_dicom(file) and not is_segmentation(file)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long: whoever reads it will say so
        return False
