"""DICOM Segmentation objects as masks of the image that they were drawn on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import BytesLengthException

from KPrismLib.errors import GeometryMismatch, InvalidMask, KPrismError
from KPrismLib.imaging.dicom_headers import SUFFIXES
from KPrismLib.imaging.geometry import flip_lps_ras
from KPrismLib.imaging.volume import Volume

#: How far (voxels) a pixel may lie from a voxel of the image: what rounding in headers amounts to.
_OFF_GRID = 0.05


@dataclass
class DicomSegments:
    """The segments of a file on the grid of an image; fields as those of ``LabelVolume``."""

    layers: list[npt.NDArray[np.uint16]] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)


def read_dicom_seg(path: Path, image: Volume) -> DicomSegments:
    """The segments of a DICOM segmentation, on the grid of the image that they were drawn on.

    A file has no grid of its own: it says where each of its frames lies in the patient, and leaves out empty ones.

    Raises:
        InvalidMask: no binary segmentation, or damaged.
        GeometryMismatch: it was drawn on another grid.
    """
    found = DicomSegments([np.zeros(image.shape, np.uint16)])
    try:
        dataset = pydicom.dcmread(path, force=path.suffix.lower() in SUFFIXES)
        if dataset.SegmentationType != "BINARY":
            raise InvalidMask(
                f"{path.name} is a DICOM segmentation of type {dataset.SegmentationType}, and K-Prism reads binary "
                "ones; open it in 3D Slicer and save it as .seg.nrrd first."
            )
        found.labels = {int(one.SegmentNumber): str(one.SegmentLabel) for one in dataset.SegmentSequence}
        found.places = {number: (0, number) for number in found.labels}
        frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
        voxels: dict[int, list[npt.NDArray[np.intp]]] = {}
        for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
            facts = _Facts(group, (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0])
            identified = facts.get("SegmentIdentificationSequence")
            number = int(identified.ReferencedSegmentNumber) if identified else min(found.labels)
            voxels.setdefault(number, []).append(_voxels(frame, facts, image, path))
        for number, pieces in voxels.items():
            _add(found, number, np.concatenate(pieces))
    except KPrismError:
        raise
    except (BytesLengthException, ValueError, TypeError, AttributeError, LookupError, OSError, RuntimeError) as error:
        raise InvalidMask(
            f"{path.name} cannot be read as a DICOM segmentation: it is damaged, cut off or of an unknown kind; "
            "copy it again."
        ) from error
    return found


@dataclass(frozen=True)
class _Facts:
    """What a file says about a frame: for it alone, or for all frames alike."""

    own: Any
    shared: Any

    def get(self, sequence: str) -> Any:
        """The one item of a sequence; None where there is none."""
        found = self.own.get(sequence) or self.shared.get(sequence)
        return found[0] if found else None


def _voxels(frame: npt.NDArray[Any], facts: _Facts, image: Volume, path: Path) -> npt.NDArray[np.intp]:
    """Indices ``(n, 3)`` (k, j, i) in the image of the pixels (rows, columns) of a frame that are set."""
    pixels = np.argwhere(frame)
    position = facts.get("PlanePositionSequence")
    if position is None:  # a film, which lies nowhere
        if not image.is_picture or image.shape != (1, *frame.shape):
            raise _another_grid(path, image)
        return np.insert(pixels, 0, 0, axis=1)
    row_spacing, column_spacing = (float(one) for one in facts.get("PixelMeasuresSequence").PixelSpacing)
    cosines = np.array(facts.get("PlaneOrientationSequence").ImageOrientationPatient, dtype=np.float64)
    to_lps = np.eye(4)
    # Columns of a DICOM frame follow the first three cosines, rows the others.
    to_lps[:3, 0], to_lps[:3, 1] = cosines[:3] * column_spacing, cosines[3:] * row_spacing
    to_lps[:3, 3] = position.ImagePositionPatient
    to_image = np.linalg.inv(image.ijk_to_ras) @ flip_lps_ras(to_lps)
    steps = to_image[:3, :2]
    places = pixels[:, ::-1] @ steps.T + to_image[:3, 3]
    voxels = np.rint(places)
    kji = voxels[:, ::-1].astype(np.intp)
    off_grid = np.abs(places - voxels).max(initial=0) > _OFF_GRID
    # One pixel, one voxel: a coarser grid would leave holes.
    if off_grid or (np.abs(np.rint(steps)).sum(axis=0) != 1).any() or ((kji < 0) | (kji >= image.shape)).any():
        raise _another_grid(path, image)
    return kji


def _add(found: DicomSegments, number: int, voxels: npt.NDArray[np.intp]) -> None:
    """Put a segment into the first layer that is free where it lies."""
    places = tuple(voxels.T)
    layer = next((index for index, array in enumerate(found.layers) if not array[places].any()), len(found.layers))
    if layer == len(found.layers):
        found.layers.append(np.zeros_like(found.layers[0]))
    found.layers[layer][places] = number
    found.places[number] = layer, number


def _another_grid(path: Path, image: Volume) -> GeometryMismatch:
    name = image.source.name if image.source is not None else "the image"
    return GeometryMismatch(
        f"{path.name} was not drawn on the voxels of {name}; give the image that it belongs to, or resample it onto "
        "this one in 3D Slicer."
    )
