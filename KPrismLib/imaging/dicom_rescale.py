"""Rescale slope and intercept, from what DICOM files store to what they mean, where ITK does it otherwise.

ITK applies them to a file as a whole: those of the first frame to all frames. And it inverts MONOCHROME1 before, which
makes a film look right and Hounsfield units wrong.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import Dataset

#: The header elements that these functions read.
TAGS = (
    "SOPClassUID",
    "Modality",
    "PhotometricInterpretation",
    "BitsStored",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)

#: Modalities whose values are measures, however they are to be shown.
_MEASURED = ("CT", "PT")

_TRANSFORMATION = "PixelValueTransformationSequence"

#: The multi-frame images to which ITK (GDCM) applies what the first frame says; in others it looks for nothing.
_RESCALED_BY_ITK = frozenset(
    {
        uid.EnhancedCTImageStorage,
        uid.EnhancedMRImageStorage,
        uid.EnhancedPETImageStorage,
        uid.LegacyConvertedEnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedMRImageStorage,
        uid.LegacyConvertedEnhancedPETImageStorage,
        uid.XRay3DAngiographicImageStorage,
        uid.XRay3DCraniofacialImageStorage,
        uid.BreastTomosynthesisImageStorage,
        uid.BreastProjectionXRayImageStorageForPresentation,
        uid.BreastProjectionXRayImageStorageForProcessing,
    }
)


def encoding(data: Dataset) -> tuple[float, ...]:
    """What decides which values the pixels of a file can have: bits, sign, slope and intercept.

    Raises:
        ValueError, TypeError: they are no such numbers.
    """
    return (float(data.get("BitsStored") or 0), float(data.get("PixelRepresentation") or 0), *_rescale(data))


def frame_rescales(data: Dataset) -> npt.NDArray[np.float64] | None:
    """Slope and intercept of each frame, ``(frames, 2)``; None where all frames have the same.

    Raises:
        ValueError, TypeError: they are no such numbers.
    """
    shared = data.get("SharedFunctionalGroupsSequence") or [Dataset()]
    frames = data.get("PerFrameFunctionalGroupsSequence") or ()
    if not frames or _TRANSFORMATION in shared[0] or data.get("SOPClassUID") not in _RESCALED_BY_ITK:
        return None
    rescales = np.array([_rescale((frame.get(_TRANSFORMATION) or [Dataset()])[0]) for frame in frames])
    return None if (rescales == rescales[0]).all() else rescales


def rescaled_frames(array: npt.NDArray[Any], rescales: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each frame with its own slope and intercept.

    Args:
        array: ``(frames, rows, columns)`` as ITK gives them.
        rescales: of each frame, see :func:`frame_rescales`.
    """
    result = np.empty(array.shape)
    first_slope, first_intercept = rescales[0]
    for values, frame, (slope, intercept) in zip(result, array, rescales, strict=True):
        # Whole numbers were stored, so that they come back exactly.
        values[:] = np.rint((frame - first_intercept) / first_slope) * slope + intercept
    return result


def reflection(data: Dataset) -> float | None:
    """The sum of what a pixel means and of what ITK gives for it; None where the two are the same, or should be.

    They differ in CT and PT that are MONOCHROME1: ITK inverts what is stored, ``slope * (largest - stored) +
    intercept``. Multi-frame files with functional groups are always MONOCHROME2 in these modalities.

    Raises:
        ValueError, TypeError: bits, sign, slope or intercept are no numbers.
    """
    is_inverted = data.get("PhotometricInterpretation") == "MONOCHROME1" and data.get("Modality") in _MEASURED
    if not is_inverted or "SharedFunctionalGroupsSequence" in data:
        return None
    bits, sign, slope, intercept = encoding(data)
    largest = -1.0 if sign else 2.0**bits - 1  # signed numbers are inverted bit by bit
    return slope * largest + 2 * intercept


def reflect(values: npt.NDArray[Any], about: float) -> None:
    """Undo an inversion in place.

    Args:
        values: of one slice as ITK gives them, ``(rows, columns)``; the type can hold what comes of it, since it holds
            all that the stored bits can mean.
        about: see :func:`reflection`.
    """
    meant = about - values.astype(np.float64)
    values[:] = meant if values.dtype.kind == "f" else np.rint(meant)


def _rescale(data: Dataset) -> tuple[float, float]:
    """Slope and intercept; 1 and 0 where there are none."""
    return _number(data, "RescaleSlope", 1.0), _number(data, "RescaleIntercept", 0.0)


def _number(data: Dataset, name: str, otherwise: float) -> float:
    stored = data.get(name)
    value = otherwise if stored in (None, "") else float(stored)
    if not math.isfinite(value):
        raise ValueError(f"{name} is {stored}")
    return value
