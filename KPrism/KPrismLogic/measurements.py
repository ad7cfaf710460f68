"""The table of a batch: what was measured of every structure of every case."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.atomic_file import write_atomically

_COLUMNS = ("case", "class", "status", "slices", "voxels", "millilitres", "dice", "seconds")


@dataclass(frozen=True)
class Measurement:
    """One row: a class of a case, or why the case failed.

    Attributes:
        case: the image file as seen from the folder of images, or the name of a DICOM series of several files.
        cls: the class, "" of a case that failed.
        status: "done", or a sentence on what is wrong.
        slices: slices in which something was found.
        voxels: how many voxels were found.
        millilitres: their volume, None in a picture, which knows no millimetres, and in a case that failed.
        dice: agreement with the true segmentation, None where there is none.
        seconds: time for this class.
    """

    case: str
    cls: str
    status: str
    slices: int = 0
    voxels: int = 0
    millilitres: float | None = None
    dice: float | None = None
    seconds: float = 0.0

    def row(self) -> list[str]:
        """The values as text, in the order of the table's columns."""
        millilitres = "" if self.millilitres is None else f"{self.millilitres:.3f}"
        found = [str(self.slices), str(self.voxels), millilitres]
        dice = "" if self.dice is None else f"{self.dice:.4f}"
        return [self.case, self.cls, self.status, *found, dice, f"{self.seconds:.2f}"]


class MetricsTable:
    """The file of the table, written anew after every case, so that a run that is stopped leaves what it did.

    Args:
        path: of the file; one of an earlier run stays as it is until the first case is added.
        overwrite: whether it may take the place of a file that is no such table.

    Raises:
        CannotWrite: it may not, or the file cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path = path
        self._rows: list[Measurement] = []
        #: Why the file lacks what was added, or "".
        self.problem = ""
        if path.is_dir():
            raise CannotWrite(f"Cannot write {path}: there is a folder of that name; give another folder for results.")
        empty = _content(())
        try:
            earlier = path.read_bytes() if path.exists() else empty
        except OSError as error:
            raise CannotWrite(
                f"{path} cannot be read: {error.strerror}; move it away, or give another folder for results."
            ) from error
        if not (overwrite or earlier.startswith(empty)):
            raise CannotWrite(
                f"Cannot write {path}: a file of that name lies there that is no table of K-Prism; move it away, give "
                "another folder for results, or add --overwrite."
            )
        write_atomically(path, earlier)  # What keeps it from being written is told before hours of work, not after.

    def add(self, rows: Iterable[Measurement]) -> None:
        """Add the rows of a case; what could not be written before is written now, if it can be."""
        self._rows.extend(rows)
        try:
            write_atomically(self._path, _content(self._rows))
            self.problem = ""
        except CannotWrite as error:
            self.problem = str(error)


def _content(rows: Sequence[Measurement]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_COLUMNS, *(row.row() for row in rows)])
    return text.getvalue().encode(errors="backslashreplace")  # a file name need not be UTF-8
