"""From stored values to the 0..255 that the network sees, by a rule that is explicit and recorded.

A window belongs to a whole volume, never to one slice, so that a slice gets the same pixels whether it comes from a
file, a volume node or a batch run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidConfig, InvalidImage
from KPrismLib.imaging.modality import modality_of
from KPrismLib.imaging.voxel_values import percentiles, value_range

_Array = npt.NDArray[Any]

IDENTITY = "identity"

#: Windows in Hounsfield units that need no look at the data.
FIXED_WINDOWS: Mapping[str, tuple[float, float]] = {
    "ct-abdomen": (-125.0, 275.0),
    "ct-wide": (-991.0, 500.0),
    "ct-kidney-liver-tumour": (-200.0, 250.0),
    "ct-lung": (-1000.0, 400.0),
}

#: Windows between two percentiles of the values of the whole volume.
PERCENTILE_WINDOWS: Mapping[str, tuple[float, float]] = {
    "percentile-2-98": (2.0, 98.0),
    "percentile-0.5-99.8": (0.5, 99.8),
    "min-max": (0.0, 100.0),
}

RULES = ("auto", IDENTITY, *FIXED_WINDOWS, *PERCENTILE_WINDOWS, "LOW,HIGH")


@dataclass(frozen=True)
class IntensityWindow:
    """A linear map of ``low`` to 0 and ``high`` to 255, clipped outside.

    Attributes:
        low: stored value that becomes 0.
        high: stored value that becomes 255.
        rule: the rule that chose them, never "auto".
    """

    low: float
    high: float
    rule: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidConfig(f"An intensity window needs LOW < HIGH, both finite, not {self.low}, {self.high}.")

    def apply(self, pixels: _Array) -> npt.NDArray[np.uint8]:
        """``pixels`` of any shape as uint8 of that shape, rounded half to even.

        8-bit pixels pass the rule "identity" unchanged.

        Raises:
            InvalidImage: NaN or infinite values.
        """
        if self.rule == IDENTITY and pixels.dtype == np.uint8:
            return pixels
        # Always in double precision: the same value gives the same pixel from an int16 file and a float32 node.
        # Multiplied before it is divided: a value at a half stays at a half.
        scaled = (pixels.astype(np.float64) - self.low) * 255.0 / (self.high - self.low)
        if not np.isfinite(scaled).all():
            raise InvalidImage("The image holds NaN or infinite values; replace them by numbers first.")
        return np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)

    def to_dict(self) -> dict[str, float | str]:
        """Plain values, for a JSON record beside a prediction."""
        return {"low": self.low, "high": self.high, "rule": self.rule}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> IntensityWindow:
        """The inverse of :meth:`to_dict`.

        Raises:
            InvalidConfig: a value is missing or is no number.
        """
        try:
            return cls(float(record["low"]), float(record["high"]), str(record["rule"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidConfig(f"An intensity window needs numbers low, high and a rule, not {record}.") from error


def window_for(array: _Array, *, rule: str = "auto", modality: str | None = None) -> IntensityWindow:
    """Choose the window of a volume.

    ``auto`` takes, in this order: 8-bit data as they are; CT (by ``modality``, or by :func:`looks_like_hounsfield`) in
    the abdominal window; MR between its 0.5th and 99.8th percentile; anything else from minimum to maximum, except
    when a few extreme values would squeeze the rest: if the span between those percentiles is less than half of the
    whole range, the percentiles are taken.

    Args:
        array: ALL voxels of the volume, any shape; memory-mapped arrays are read piece by piece.
        rule: a name from :data:`RULES`, or two numbers, "-100,240".
        modality: as in DICOM, or in words (:func:`~KPrismLib.imaging.modality.modality_of`); None when unknown.

    Returns:
        The window; its ``rule`` names what was really used.

    Raises:
        InvalidImage: empty, constant, NaN or infinite values, or "identity" for values outside 0..255.
        InvalidConfig: an unknown rule.
    """
    choose = _chooser(rule)
    if array.size == 0:
        raise InvalidImage(f"The image is empty: its shape is {array.shape}.")
    low, high = value_range(array)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidImage("The image holds NaN or infinite values; replace them by numbers first.")
    if low == high:
        raise InvalidImage(f"The image is constant: every value is {low:g}, so there is nothing to segment.")
    return choose(array, low, high, modality)


def check_rule(rule: str) -> None:
    """Find what is wrong with a rule before there is an image to use it on.

    Raises:
        InvalidConfig: an unknown rule, or LOW,HIGH that are no window.
    """
    _chooser(rule)


def looks_like_hounsfield(array: _Array, low: float, high: float) -> bool:
    """Whether values can only be Hounsfield units: air is in the picture, and metal at most.

    NIfTI and NRRD files do not say what made them. True for signed or floating point values whose minimum lies at air
    or at a scanner's padding (-3100..-900) and whose maximum lies above soft tissue (200) but within 12-bit CT (4096),
    unless the range is as wide below zero as above, as that of phase images is.
    """
    symmetric = abs(low + high) < 0.05 * (high - low) and low < -2000
    return array.dtype.kind in "if" and -3100 <= low <= -900 and 200 <= high <= 4096 and not symmetric


_Chooser = Callable[[_Array, float, float, "str | None"], IntensityWindow]


def _chooser(rule: str) -> _Chooser:
    if rule == "auto":
        return _auto
    if rule == IDENTITY:
        return _identity
    if rule in FIXED_WINDOWS:
        fixed = IntensityWindow(*FIXED_WINDOWS[rule], rule)
        return lambda *_: fixed
    if rule in PERCENTILE_WINDOWS:
        return lambda array, low, high, _: _percentile(array, low, high, rule)
    try:
        first, second = (float(part) for part in rule.split(","))
    except ValueError as error:
        raise InvalidConfig(f"There is no intensity rule {rule!r}; choose one of {', '.join(RULES)}.") from error
    # As many digits as it takes to choose the same window again.
    explicit = IntensityWindow(first, second, f"{first!r},{second!r}".replace(".0,", ",").removesuffix(".0"))
    return lambda *_: explicit


def _auto(array: _Array, low: float, high: float, modality: str | None) -> IntensityWindow:
    if array.dtype == np.uint8:
        return _identity(array, low, high, modality)
    kind = modality_of(modality)
    if kind == "CT" or (kind is None and looks_like_hounsfield(array, low, high)):
        return IntensityWindow(*FIXED_WINDOWS["ct-abdomen"], "ct-abdomen")
    if kind != "MR":
        bulk = _percentile(array, low, high, "percentile-0.5-99.8")
        if bulk.high - bulk.low >= 0.5 * (high - low):
            return IntensityWindow(low, high, "min-max")
        return bulk
    return _percentile(array, low, high, "percentile-0.5-99.8")


def _identity(_: _Array, low: float, high: float, __: str | None) -> IntensityWindow:
    if low < 0 or high > 255:
        raise InvalidImage(
            f"The rule {IDENTITY!r} takes values between 0 and 255, but they go from {low:g} to {high:g}; "
            "choose another rule."
        )
    return IntensityWindow(0.0, 255.0, IDENTITY)


def _percentile(array: _Array, low: float, high: float, rule: str) -> IntensityWindow:
    if rule == "min-max":
        return IntensityWindow(low, high, rule)
    first, second = percentiles(array, PERCENTILE_WINDOWS[rule])
    if first == second:
        # Nearly all of the image is one value; what little is left of it is what matters.
        return IntensityWindow(low, high, "min-max")
    return IntensityWindow(first, second, rule)
