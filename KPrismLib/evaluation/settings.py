"""What is measured, and how: everything that must be recorded for a number to be reproducible."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from KPrismLib.errors import InvalidConfig

PAPER_CAP = 10
WIDE_CAP = 20


class Mode(str, Enum):
    """The modes of the paper (section 3), by what guides the segmentation."""

    SEMANTIC = "semantic"
    IN_CONTEXT = "in_context"
    INTERACTIVE = "interactive"
    REFINE_SEMANTIC = "refine_semantic"
    REFINE_IN_CONTEXT = "refine_in_context"

    @classmethod
    def parse(cls, name: str) -> Mode:
        """Read a mode from text; hyphens do as well as underscores.

        Raises:
            InvalidConfig: There is no such mode.
        """
        try:
            return cls(name.replace("-", "_"))
        except ValueError:
            known = ", ".join(mode.value for mode in cls)
            raise InvalidConfig(f"There is no mode {name!r}; choose from {known}.") from None

    @property
    def uses_class(self) -> bool:
        """Whether the model is told the name of the class."""
        return self in (Mode.SEMANTIC, Mode.REFINE_SEMANTIC)

    @property
    def uses_references(self) -> bool:
        """Whether the model is shown references."""
        return self in (Mode.IN_CONTEXT, Mode.REFINE_IN_CONTEXT)

    @property
    def uses_clicks(self) -> bool:
        """Whether the model is clicked at."""
        return self not in (Mode.SEMANTIC, Mode.IN_CONTEXT)


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """The settings of one evaluation.

    Attributes:
        model: Which weights; free text.
        split: Split of the datasets that is evaluated.
        modes: Which modes.
        limit: At most so many slices per dataset, spread evenly; ``None`` for all.
        clicks: Clicks per (slice, class) in the interactive modes.
        seed: Decides the spread of ``limit``, the references and the bootstrap.
        references: References per (patient, class).
        axial_references: Take the references of a volume at Table 10's fixed positions instead of at random.
        absent_classes: Also segment classes that a slice does not show, for the false-positive rate and the
            per-volume Dice. Costs time; the paper's own numbers do without.
        honour_clicks: Every mask holds what the clicks said of their pixels, as it does for a user; the paper measures
            what the network makes of them.
        precision: In which the model computes; free text.
    """

    model: str = ""
    split: str = "test"
    modes: tuple[Mode, ...] = (Mode.SEMANTIC, Mode.IN_CONTEXT, Mode.INTERACTIVE)
    limit: int | None = None
    clicks: int = PAPER_CAP
    seed: int = 0
    references: int = 1
    axial_references: bool = False
    absent_classes: bool = True
    honour_clicks: bool = False
    precision: str = ""

    def __post_init__(self) -> None:
        """Check what a caller can get wrong.

        Raises:
            InvalidConfig: A number is too small, or there is no mode.
        """
        if not self.modes:
            raise InvalidConfig("At least one mode must be evaluated.")
        if self.limit is not None and self.limit < 1:
            raise InvalidConfig(f"The limit must be at least 1 slice per dataset, not {self.limit}.")
        if self.clicks < 1:
            raise InvalidConfig(f"At least 1 click is needed, not {self.clicks}.")
        if self.references < 1:
            raise InvalidConfig(f"At least 1 reference is needed, not {self.references}.")
        if self.seed < 0:
            raise InvalidConfig(f"The seed must not be negative, and {self.seed} is.")

    @property
    def caps(self) -> tuple[int, ...]:
        """Caps for which the number of clicks is reported: the paper's first, 20 where so many clicks are made."""
        paper = min(PAPER_CAP, self.clicks)
        return (paper, WIDE_CAP) if self.clicks >= WIDE_CAP else (paper,)
