"""The files of ``kprism segment``: checked before the work, written after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.command.console import check_writable
from KPrismLib.command.input_files import InputFiles
from KPrismLib.command.label_map import LabelMap
from KPrismLib.errors import CannotWrite
from KPrismLib.imaging import dicom_seg, nifti
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.distinct_colours import distinct_colours
from KPrismLib.imaging.file_identity import Identity, identities
from KPrismLib.imaging.geometry import is_sheared
from KPrismLib.imaging.overlay import OVERLAY_ENDINGS, overlay_bytes, render_overlay
from KPrismLib.imaging.planes import SlicePlacement, only_slice
from KPrismLib.imaging.segmentation_file import SEGMENTATION_ENDINGS, segmentation_bytes
from KPrismLib.imaging.volume import Volume
from KPrismLib.prompts import Click, Prompt, Scribble

PROBABILITY_ENDINGS = (".nii.gz", ".nii")

#: Said of a NIfTI segmentation: ITK takes no sheared sform, and a qform holds no shear.
SHEARED = "The grid is sheared; 3D Slicer reads it right from .seg.nrrd."


@dataclass(frozen=True)
class Outputs:
    """Where results go.

    Attributes:
        segmentation: always written; ``overlay`` and ``probability`` where they are not None.
    """

    segmentation: Path
    overlay: Path | None = None
    probability: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written."""
        return tuple(path for path in (self.segmentation, self.overlay, self.probability) if path is not None)

    def check(self, inputs: Sequence[Path]) -> None:
        """Find what would keep a file from being written, before anything is computed.

        Raises:
            CannotWrite: unknown ending, missing folder, or the file is one of the ``inputs``, or a slice of a series
                in a folder among them.
        """
        wanted = (
            (self.segmentation, SEGMENTATION_ENDINGS),
            (self.overlay, OVERLAY_ENDINGS),
            (self.probability, PROBABILITY_ENDINGS),
        )
        files = InputFiles(inputs)
        taken: set[Identity] = set()
        for path, endings in wanted:
            if path is None:
                continue
            if not path.name.lower().endswith(endings):
                raise CannotWrite(
                    f"Cannot write {path.name}: give the file one of the endings {', '.join(endings)}, or, for many "
                    "images, the name of a folder, without ending."
                )
            check_writable(path)
            known = identities(path)
            other = "an input" if path in files else None if known.isdisjoint(taken) else "another output"
            if other is not None:
                raise CannotWrite(f"Cannot write {path.name}: it is also {other}; choose another name.")
            taken |= known

    def check_fits(self, volume: Volume) -> None:
        """Raise CannotWrite if the format of the segmentation cannot hold this volume.

        A PNG holds one slice, a DICOM segmentation belongs to a DICOM series.
        """
        if self.segmentation.suffix.lower() == ".png" and only_slice(volume) is None:
            raise CannotWrite(
                f"Cannot write {self.segmentation.name}: a PNG holds one slice and the image has {volume.shape[0]}; "
                "write .seg.nrrd or .nii.gz."
            )

        if self.segmentation.suffix.lower() == dicom_seg.ENDING:
            dicom_seg.check_possible(volume, self.segmentation.name)

    def remark(self, volume: Volume) -> str:
        """What readers of the segmentation should know of its format; "" when nothing.

        A mask of a NIfTI image has the header of that and lies on it in every reader, sheared or not.
        """
        is_nifti = self.segmentation.name.lower().endswith(nifti.SUFFIXES)
        of_nifti = volume.source is not None and volume.source.name.lower().endswith(nifti.SUFFIXES)
        return SHEARED if is_nifti and not of_nifti and is_sheared(volume.ijk_to_ras) else ""

    def write(
        self,
        result: LabelMap,
        volume: Volume,
        prompts: Sequence[Prompt] = (),
        prompted: SlicePlacement | None = None,
        *,
        announce: Callable[[Mapping[Path, bytes]], None] = lambda _: None,
    ) -> None:
        """Write every file, each whole or not at all.

        Args:
            result: the segmentation.
            volume: the image.
            prompts: clicks and scribbles that led to it.
            prompted: the slice in which they lie.
            announce: called with all files, before the first is written.

        Raises:
            CannotWrite: no permission, full disk.
        """
        files: dict[Path, bytes] = {}
        if self.overlay is not None:
            place = result.fullest()
            files[self.overlay] = _overlay(self.overlay, result, volume, place, prompts if place == prompted else ())
        if self.probability is not None:
            files[self.probability] = _probability(self.probability, result, volume)
        # Last, so that it is the old one still where one of the others cannot be written.
        files[self.segmentation] = segmentation_bytes(self.segmentation, result.array, result.segments, volume)
        announce(files)
        for path, content in files.items():
            write_atomically(path, content)


def _overlay(path: Path, result: LabelMap, volume: Volume, place: SlicePlacement, prompts: Sequence[Prompt]) -> bytes:
    """One slice of the segmentation, with the prompts that lie in it."""
    labels = place.extract(result.array)
    names = ", ".join(segment.name for segment in result.segments)
    where = f" in {place.plane.value} slice {place.index}" if volume.shape[place.normal_axis] > 1 else ""
    # In the picture only: the file keeps the colours that Slicer knows the structures by.
    colours = distinct_colours([segment.colour for segment in result.segments])
    picture = render_overlay(
        result.window.apply(place.extract(volume.array)),
        [(labels == segment.label, colour) for segment, colour in zip(result.segments, colours, strict=True)],
        clicks=[prompt for prompt in prompts if isinstance(prompt, Click)],
        scribbles=[prompt for prompt in prompts if isinstance(prompt, Scribble)],
        spacing=place.spacing,
        title=f"{names}{where}" if len(result.segments) == 1 else f"{len(result.segments)} structures{where}",
        legend=[segment.name for segment in result.segments] if len(result.segments) > 1 else (),
    )
    return overlay_bytes(path, picture)


def _probability(path: Path, result: LabelMap, volume: Volume) -> bytes:
    """float32 NIfTI; with several structures they are the fourth axis, in order of their labels."""
    assert result.probability is not None
    array = result.probability[0] if len(result.probability) == 1 else result.probability
    compress = path.suffix.lower() == ".gz"
    return nifti.nifti_bytes(array, volume.ijk_to_ras, compress=compress, values="probability", like=volume.source)
