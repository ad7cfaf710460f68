"""Single measurements, before anything is averaged."""

from __future__ import annotations

from dataclasses import dataclass

from KPrismLib.evaluation.settings import Mode
from KPrismLib.prompts import Click


@dataclass(frozen=True)
class SliceMeasurement:
    """One (slice, class) in one mode.

    Attributes:
        dataset: Name of the dataset.
        item: ``id`` of the item.
        patient: The unit of the bootstrap.
        index: Slice along axis 2; 0 for a picture.
        cls: The class.
        mode: The mode.
        present: Whether the slice shows the class; only then Dice means anything.
        curve: Dice after 0, 1, 2, ... clicks; one entry in the modes without clicks, none where not present.
        found: Whether the model outlined anything.
        milliseconds: Time of the segmentation, or of the average click.
        clicks: In the order in which they were made; fewer than the curve has where the mask became perfect.
        pixels: How many pixels the last mask and the truth share, and how many each has; sums over the slices of a
            volume give the volume's Dice.
    """

    dataset: str
    item: str
    patient: str
    index: int
    cls: str
    mode: Mode
    present: bool
    curve: tuple[float, ...]
    found: bool
    milliseconds: float
    clicks: tuple[Click, ...] = ()
    pixels: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class VolumeMeasurement:
    """Dice of one class over all slices of one volume, slices without the class included."""

    dataset: str
    item: str
    patient: str
    cls: str
    mode: Mode
    dice: float


@dataclass(frozen=True)
class ReferenceChoice:
    """Which references a patient's class was segmented with.

    Attributes:
        dataset: Name of the dataset.
        patient: The query's patient.
        cls: The class.
        split: The split the references come from.
        slices: ``item:index`` of each reference.
    """

    dataset: str
    patient: str
    cls: str
    split: str
    slices: tuple[str, ...]


@dataclass(frozen=True)
class Skipped:
    """A class that could not be evaluated in a mode, or a whole dataset (``cls`` and ``mode`` are ``None``)."""

    dataset: str
    reason: str
    cls: str | None = None
    mode: Mode | None = None
