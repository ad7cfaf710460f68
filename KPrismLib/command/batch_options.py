"""What makes ``kprism segment`` a batch, and the options that only a batch has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.batch.case_names import IMAGE_SUFFIXES
from KPrismLib.command.segment_work import Places
from KPrismLib.errors import CannotWrite, InvalidConfig
from KPrismLib.imaging.dicom_headers import is_dicom
from KPrismLib.imaging.dicom_seg import ENDING as DICOM_SEG_ENDING
from KPrismLib.imaging.segmentation_file import SEGMENTATION_ENDINGS

#: Names of formats, as they are typed, and the endings of their files.
FORMATS = {"dicom-seg" if ending == DICOM_SEG_ENDING else ending[1:]: ending for ending in SEGMENTATION_ENDINGS}
DEFAULT_FORMAT = "seg.nrrd"


def is_batch(inputs: Sequence[Path], output: Path) -> bool:
    """Whether ``output`` is meant as a folder: it is one, has no ending, or there are several inputs.

    Raises:
        CannotWrite: several inputs, or a folder of images that are no slices of a series, and one file.
    """
    if output.is_dir() or not output.suffix:
        return True
    if len(inputs) == 1:
        if _holds_many_images(inputs[0]):
            raise CannotWrite(
                f"Cannot write the images in {inputs[0].resolve().name} into {output.name}; give a folder (a name "
                "without ending) as -o."
            )
        return False
    if output.name.lower().endswith(SEGMENTATION_ENDINGS):
        raise CannotWrite(f"Cannot write {len(inputs)} images into {output.name}; give a folder as -o.")
    return True


def _holds_many_images(path: Path) -> bool:
    """Whether it is a folder of images, each by itself: not one with DICOM files, which may make one volume."""
    try:
        files = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else []
        return any(file.name.lower().endswith(IMAGE_SUFFIXES) for file in files) and not any(map(is_dicom, files))
    except OSError:
        return False  # whoever reads it will say so


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How a batch is run; the fields are options of the command.

    Attributes:
        format: of the segmentations, one of :data:`FORMATS`; None for :data:`DEFAULT_FORMAT`.
        workers: number of processes, or None for what suits the device.
        overwrite: segment also what is done, and write over whatever lies where results go.
        shard: ``I/N``, or None.
    """

    format: str | None = None
    workers: int | None = None
    overwrite: bool = False
    shard: str | None = None

    def check_none_given(self) -> None:
        """Raise InvalidConfig if one was given: there is only one image."""
        given = [f"--{name}" for name in ("format", "workers", "overwrite", "shard") if getattr(self, name)]
        if given:
            raise InvalidConfig(
                f"{given[0]} is for many images; give a folder as -o, or leave it out: the ending of the file says "
                "its format."
            )

    def places(self, folder: Path, overlays: Path | None, probabilities: Path | None) -> Places:
        """Where results go.

        Raises:
            InvalidConfig: no such format.
        """
        name = (self.format or DEFAULT_FORMAT).lower().lstrip(".")
        if name not in FORMATS:
            raise InvalidConfig(f"There is no format {self.format!r}; choose one of {', '.join(FORMATS)}.")
        return Places(folder, FORMATS[name], overlays, probabilities)
