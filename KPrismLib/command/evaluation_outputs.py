"""The files of an evaluation, of K-Prism or of another system: none takes the place of a file that is not a result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.command.console import check_writable
from KPrismLib.command.input_files import InputFiles
from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import CannotWrite
from KPrismLib.evaluation.report import is_report
from KPrismLib.evaluation.rows import is_table
from KPrismLib.imaging.file_identity import same_file


@dataclass(frozen=True)
class EvaluationOutputs:
    """Where results go.

    Attributes:
        report: the JSON, or None.
        rows: the CSV, or None.
    """

    report: Path | None
    rows: Path | None

    @property
    def journal(self) -> Path | None:
        """What the names of the journals begin with; None where nothing is written."""
        return self.report or self.rows

    def check(self, datasets: Iterable[DatasetFolder]) -> None:
        """Find what would keep a result from being written, before anything is measured.

        Raises:
            CannotWrite: missing folder; one file for both; a file of the ``datasets``; or a file that lies there and
                is no result of an evaluation.
        """
        written = [(path, known) for path, known in ((self.report, is_report), (self.rows, is_table)) if path]
        for path, _ in written:
            check_writable(path)
        if self.report and self.rows and same_file(self.report, self.rows):
            raise CannotWrite(f"Cannot write {self.rows.name}: it is given for --json and for --rows; name two files.")
        files = InputFiles(path for dataset in datasets for path in dataset.files)
        for path, is_result in written:
            if path in files:
                raise CannotWrite(f"Cannot write {path.name}: it is a file of the dataset; choose another name.")
            # An empty file has nothing to lose.
            if path.is_file() and path.stat().st_size and not is_result(path):
                raise CannotWrite(
                    f"Cannot write {path.name}: a file of that name lies there, and no evaluation wrote it; "
                    "move it away, or choose another name."
                )
