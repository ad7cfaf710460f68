"""What is known of a public dataset before any file of it is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PaperCounts:
    """One row of the paper's Table 6; a split that the table leaves empty is left out.

    Attributes:
        volumes: Split to number of 3-D volumes; empty for pictures.
        slices: Split to number of 2-D slices.
    """

    volumes: Mapping[str, int] = field(default_factory=dict)
    slices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """The facts of one set, most of which end up in its ``dataset.json``.

    Attributes:
        name: Name of the dataset folder, as in the paper.
        modality: Starts with the DICOM-like kind (CT, MRI, ...), a remark in brackets.
        role: What the paper uses it for.
        labels: Mask value to label text, the background included.
        citation: What to cite.
        licence: Terms, with their certainty.
        source: Where to get it.
        layout: One clause that names what the download's folder must contain; shown for a wrong folder.
        split_rule: How the splits came about, and where the paper contradicts itself.
        paper: Counts of Table 6.
        complete: How many cases the complete download has, by split, or under "all"; empty where nobody says.
        parts: The same for parts that may be left out as a whole, by what their cases say under ``part``.
        ids: The ids of all its cases, where they are numbered, so that missing ones can be named.
        classes: Explicit classes, where the paper does not use every label.
        window: Rule of `KPrismLib.intensity`, applied per volume; None for pictures, which are taken as they are.
        notes: What to know before trusting a number; uncertain facts are said to be uncertain.
        recipe: Raised whenever the same download would be converted differently, so that old items are redone.
    """

    name: str
    modality: str
    role: str
    labels: Mapping[int, str]
    citation: str
    licence: str
    source: str
    layout: str
    split_rule: str
    paper: PaperCounts
    complete: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    ids: Sequence[str] = ()
    classes: Mapping[str, tuple[int, ...]] | None = None
    window: str | None = None
    notes: str = ""
    recipe: int = 1
