"""DICOM slices that belong together, in the order in which they lie; and what is wrong when they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidImage
from KPrismLib.image_checks import size_text
from KPrismLib.imaging.dicom_headers import DicomHeader

#: A step between slices this many times the usual one means that slices are missing.
_GAP = 1.5
#: Slices closer than this (mm) are at one position.
_SAME_POSITION = 1e-3
#: How far a slice may lie from its place in an even stack: a part of a step, or what rounding to 0.1 mm amounts to.
_UNEVEN_STEP, _UNEVEN_MM = 0.1, 0.1
#: Sentences name at most so many gaps.
_NAMED = 3


def stacked(headers: Sequence[DicomHeader]) -> list[DicomHeader]:
    """The slices of one series, sorted along their normal; without positions, by instance number.

    Raises:
        InvalidImage: slices of different size, orientation or pixel spacing; several at one position; missing slices;
            uneven spacing. The sentence names the slices.
    """
    _check_alike(headers)
    orientation = headers[0].orientation
    if orientation is None or any(header.position is None for header in headers):
        numbered = sorted(headers, key=lambda header: (header.number, header.path.name))
        _check_numbers(numbered)
        return numbered
    normal = np.cross(orientation[:3], orientation[3:])
    placed = sorted(
        ((float(normal @ header.position), header) for header in headers if header.position is not None),
        key=lambda pair: pair[0],
    )
    positions, ordered = np.array([position for position, _ in placed]), [header for _, header in placed]
    _check_one_each(positions, ordered)
    _check_gaps(positions, ordered)
    return ordered


def check_frames(header: DicomHeader, ijk_to_lps: npt.NDArray[np.float64]) -> None:
    """Make sure that the frames of a multi-frame file lie where ``ijk_to_lps`` (4x4) puts them.

    Raises:
        InvalidImage: frames out of order, missing, at one position or unevenly spaced.
    """
    frames = header.frame_positions
    if frames is None or len(frames) < 2:
        return
    expected = ijk_to_lps[:3, 3] + np.arange(len(frames))[:, np.newaxis] * ijk_to_lps[:3, 2]
    away = np.linalg.norm(frames - expected, axis=1)
    displaced = away > _tolerance(float(np.linalg.norm(ijk_to_lps[:3, 2])))
    if displaced.any():
        number = int(np.argmax(displaced))
        raise InvalidImage(
            f"The frames of {header.path.name} are not one evenly spaced stack: frame {number + 1} lies "
            f"{away[number]:.2f} mm from its place (several stacks or time points, missing frames, or uneven spacing); "
            "save one evenly spaced stack."
        )


def _check_alike(headers: Sequence[DicomHeader]) -> None:
    first = headers[0]
    for header in headers[1:]:
        what = _difference(first, header)
        if what is not None:
            raise InvalidImage(
                f"{first.title} and {header.title} are in one DICOM series, {first.description!r}, but differ in "
                f"{what} (a scout image?); move one of them to another folder."
            )


def _difference(one: DicomHeader, other: DicomHeader) -> str | None:
    if one.size != other.size:
        return f"size, {size_text(one.size)} and {size_text(other.size)}"
    if _differ(one.orientation, other.orientation, 1e-3):
        return "orientation"
    if _differ(one.pixel_spacing, other.pixel_spacing, 1e-3):
        return "pixel spacing"
    return None


def _differ(
    one: Sequence[float] | npt.NDArray[np.float64] | None,
    other: Sequence[float] | npt.NDArray[np.float64] | None,
    tolerance: float,
) -> bool:
    if one is None or other is None:
        return (one is None) != (other is None)
    return bool(np.abs(np.asarray(one) - np.asarray(other)).max() > tolerance)


def _check_one_each(positions: npt.NDArray[np.float64], ordered: Sequence[DicomHeader]) -> None:
    """Raise InvalidImage when several slices lie at one position."""
    new_place = np.diff(positions) >= _SAME_POSITION
    if new_place.all():
        return
    images = np.bincount(np.concatenate(([0], np.cumsum(new_place))))  # at each place
    first = int(np.argmin(new_place))
    pair = f"{ordered[first].title} and {ordered[first + 1].title}"
    if len(images) > 1 and (images == images[0]).all():
        raise InvalidImage(
            f"The series {ordered[0].description!r} holds {images[0]} images at each of {len(images)} positions, such "
            f"as {pair} (time points, echoes, b-values or copies); put one image of each position into its own folder."
        )
    raise InvalidImage(
        f"{pair} lie at one position, {positions[first]:.2f} mm (several time points, echoes or copies); keep one of "
        "each position in the folder."
    )


def _check_numbers(ordered: Sequence[DicomHeader]) -> None:
    """Raise InvalidImage when slices without positions are missing, by their instance numbers.

    Numbers that are absent, that come again, or that leave out more than they count say nothing of slices.
    """
    numbers = np.array([header.number for header in ordered])
    steps = np.diff(numbers)
    usual = int(steps.min()) if len(steps) else 0
    if usual == 0 or numbers[-1] - numbers[0] >= 2 * usual * len(numbers):
        return
    gaps = [int(number) for number in np.flatnonzero(steps > usual)]
    if gaps:
        between = [f"{ordered[number].title} and {ordered[number + 1].title}" for number in gaps]
        raise InvalidImage(
            f"Slices are missing between {_first_of(between)}, by their numbers, for they have no positions; copy the "
            "whole series, or, where it is whole, save it as one NIfTI or NRRD volume."
        )


def _check_gaps(positions: npt.NDArray[np.float64], ordered: Sequence[DicomHeader]) -> None:
    """Raise InvalidImage when slices are missing, or are not evenly many millimetres apart."""
    steps = np.diff(positions)
    usual = _step_by_number(positions, ordered) or (float(np.median(steps)) if len(steps) else 0.0)
    gaps = [int(number) for number in np.flatnonzero(steps > _GAP * usual)]
    if gaps:
        between = _first_of([_between(positions, ordered, number) for number in gaps])
        raise InvalidImage(
            f"Slices are missing between {between}: the step is {steps[gaps[0]]:.2f} mm there and {usual:.2f} mm "
            "elsewhere; copy the whole series."
        )
    if len(steps) < 2:
        return
    even = np.linspace(positions[0], positions[-1], len(positions))
    away = np.abs(positions - even)
    if away.max() > _tolerance(usual):
        odd = int(np.argmax(np.abs(steps - usual)))
        raise InvalidImage(
            f"The slices of the series {ordered[0].description!r} are not evenly spaced: steps go from "
            f"{steps.min():.2f} to {steps.max():.2f} mm, the oddest between {_between(positions, ordered, odd)}; "
            "resample the series to even spacing first, for instance in 3D Slicer."
        )


def _step_by_number(positions: npt.NDArray[np.float64], ordered: Sequence[DicomHeader]) -> float | None:
    """Millimetres from one slice to the next, where positions go with the instance numbers, whatever is missing.

    None where they do not, as where numbers are absent, or count echoes or time points, too.
    """
    numbers = np.array([header.number for header in ordered], dtype=np.float64)
    counted = np.diff(numbers)
    if not len(counted) or not ((counted > 0).all() or (counted < 0).all()):
        return None
    per_number = (positions[-1] - positions[0]) / (numbers[-1] - numbers[0])
    step = float(abs(per_number) * np.abs(counted).min())
    away = np.abs(positions - (positions[0] + (numbers - numbers[0]) * per_number))
    return step if away.max() <= _tolerance(step) else None


def _first_of(gaps: Sequence[str]) -> str:
    """The first gaps, and how many there are besides."""
    more = f" and in {len(gaps) - _NAMED} more places" if len(gaps) > _NAMED else ""
    return "; ".join(gaps[:_NAMED]) + more


def _tolerance(step: float) -> float:
    """Millimetres by which a slice may lie off its place; never so much that it would be nearer to another."""
    return min(max(_UNEVEN_STEP * step, _UNEVEN_MM), 0.4 * step)


def _between(positions: npt.NDArray[np.float64], ordered: Sequence[DicomHeader], number: int) -> str:
    before, after = ordered[number], ordered[number + 1]
    return (
        f"{before.path.name} (instance {before.number}, at {positions[number]:.2f} mm) and "
        f"{after.path.name} (instance {after.number}, at {positions[number + 1]:.2f} mm)"
    )
