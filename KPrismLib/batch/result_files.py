"""Files that say of themselves that they are results, not images."""

from __future__ import annotations

from pathlib import Path

from KPrismLib.imaging import nifti, overlay

_SEGMENTATION = ".seg.nrrd"


def passed_over(count: int) -> str:
    """What is said of so many results among images, at least one."""
    return f"Passed over {count} files that are results, not images." if count > 1 else "Passed over one result."


def says_it_is_a_result(path: Path) -> bool:
    """Whether a file with the ending of an image is a segmentation, or was written beside one.

    Segmentations are ``.seg.nrrd``, and NIfTI whose values are labels by their header, whoever wrote them. K-Prism also
    knows its own overlays and probabilities. Label maps in other formats do not tell. DICOM files tell by their
    modality, which is read where their series are put together.
    """
    name = path.name.lower()
    if name.endswith(_SEGMENTATION):
        return True
    return nifti.is_result(path) if name.endswith(nifti.SUFFIXES) else overlay.is_overlay(path)
