"""The segmentations of a batch in their folder: recorded, and written over only where a record says that it may be.

The records are those of ``kprism segment``, so that both know what the other wrote.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from KPrismLib.batch.cases import Case
from KPrismLib.batch.fingerprint import content_fingerprint
from KPrismLib.batch.manifest import Manifest, Record, Status, file_record, files_of, name_from
from KPrismLib.batch.results import announce, check_replaceable, known_files, withdraw
from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.atomic_file import made_folder, write_atomically

ENDING = ".seg.nrrd"


class BatchResults:
    """What a run writes beside its table: ``<case>.seg.nrrd`` for each case.

    Args:
        folder: of the results.
        manifest: open, in this folder.
        overwrite: write over whatever lies where results go.

    Raises:
        CannotWrite: a manifest in the folder cannot be read.
    """

    def __init__(self, folder: Path, manifest: Manifest, *, overwrite: bool) -> None:
        self._folder, self._manifest, self._overwrite = folder, manifest, overwrite
        self._known = known_files(folder)

    def begin(self, case: Case) -> Record:
        """See to it that the result of a case can be written, before it is computed; -> its record so far.

        Raises:
            InvalidImage: the image has a problem, or cannot be read.
            CannotWrite: a file lies there that is not as a run wrote it, or is the result of another image; or there
                is no place for one.
        """
        case.check()
        path = self._path(case)
        about = {**case.about(self._folder), "content": content_fingerprint(case.all_files())}
        made_folder(path.parent)
        try:
            is_folder = path.is_dir()
        except OSError as error:
            raise CannotWrite(f"Cannot write {path.name}: {error.strerror}; rename the image.") from error
        if is_folder:
            raise CannotWrite(f"Cannot write {path}: there is a folder of that name; give another one for results.")
        if not self._overwrite:
            check_replaceable(path, about, self._known.of(name_from(self._folder, path)))
        return about

    def write(self, case: Case, about: Record, content: bytes) -> None:
        """Write the result of a case, whole or not at all, with its record.

        Args:
            case: the case.
            about: its record so far.
            content: of the file.

        Raises:
            CannotWrite: no permission, disk full.
        """
        path = self._path(case)
        name = name_from(self._folder, path)
        record = {**about, **file_record(name, content), "status": Status.DONE.value}
        announce(self._folder, record)
        write_atomically(path, content)
        self._manifest.append(record)
        withdraw(self._folder, name, {**self._known.written, **files_of(record)})

    def failed(self, case: Case, sentence: str) -> None:
        """Record that a case failed, where that can be written; it was told anyway."""
        with contextlib.suppress(CannotWrite):
            self._manifest.append(
                {**case.about(self._folder), "status": Status.FAILED.value, "sentence": sentence},
            )

    def _path(self, case: Case) -> Path:
        return self._folder / f"{case.name}{ENDING}"
