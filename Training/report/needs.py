"""What each table and figure has to be measured with: sets, modes, weights, clicks, references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from KPrismLib.errors import InvalidConfig
from KPrismLib.evaluation.references import AXIAL_POSITIONS
from KPrismLib.evaluation.settings import PAPER_CAP, Mode
from Training.report import paper_numbers
from Training.report.sets import Group, in_group

MAIN = ""
"""The model of a :class:`Need` that is the main one, not an ablation."""

FULL = "full"
"""The run that leaves nothing out; the names of all others are ablations, joined by ``+``."""

SINGLE_MODE_RUNS: Mapping[str, Mode] = MappingProxyType(
    {"semantic-only": Mode.SEMANTIC, "in-context-only": Mode.IN_CONTEXT, "interactive-only": Mode.INTERACTIVE}
)

PLAIN_DECODER = "experts-1"
"""The last column of Table 8, which Table 7b leaves out."""

ABLATION_TABLES = ("table5a", "table5b", "table5c", "table7a", "table7b")

ABLATION_SETS = ("ACDC", "BUS")
"""What the paper evaluates its ablations on."""

ONE_SHOT = (Mode.SEMANTIC, Mode.IN_CONTEXT)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured; ``None`` is everything, as in the paper.

    Attributes:
        limit: At most so many slices per set where nobody clicks.
        click_limit: At most so many where somebody does.
        volumes: At most so many whole volumes per set, for the per-volume Dice and the empty slices.
        clicks: Clicks per (slice, class).
        exemplars: References of Table 9.
        seed: Of the choice of slices, references and bootstrap samples.
    """

    limit: int | None = None
    click_limit: int | None = None
    volumes: int | None = None
    clicks: int = PAPER_CAP
    exemplars: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("limit", "click_limit", "volumes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidConfig(f"{name} is {value}; it must be at least 1.")
        if self.clicks < 5:
            raise InvalidConfig(f"The tables give Dice after 5 clicks; {self.clicks} clicks are too few.")
        if self.exemplars < 2:
            raise InvalidConfig(f"Table 9 compares references; {self.exemplars} is too few.")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to evaluate a set.

    Attributes:
        name: Of its folder among the results.
        modes: The modes.
        limit: At most so many slices per set.
        clicks: Clicks per (slice, class).
        references: References per (patient, class).
        axial: References at Table 10's positions.
        distinct: No slice is a reference twice, and every volume is drawn as often as any other; tables from before
            that was so do not say it, and are measured again.
        whole_volumes: Only volumes, all their slices, absent classes too; ``limit`` then counts volumes.
        exemplar: The one training item that all references come from, by its number in a seeded order.
        seed: Of all that is drawn.
    """

    name: str
    modes: tuple[Mode, ...]
    limit: int | None
    clicks: int = PAPER_CAP
    references: int = 1
    axial: bool = False
    distinct: bool = False
    whole_volumes: bool = False
    exemplar: int | None = None
    seed: int = 0

    @property
    def absent_classes(self) -> bool:
        """Whether classes that a slice does not show are segmented too.

        They are where everything is evaluated anyway, so that no volume is gone through twice.
        """
        return self.whole_volumes or (self.name == "masks" and self.limit is None)


class Others(Enum):
    """Which folders without a counterpart in the paper are evaluated too."""

    NONE = "none"
    LEARNED = "those that the weights learned from"
    NEW = "those that are new to the weights"
    ALL = "all"

    def include(self, *, learned: bool) -> bool:
        """Whether a folder is among them; ``learned`` if the weights learned from it."""
        return self is Others.ALL or self is (Others.LEARNED if learned else Others.NEW)


@dataclass(frozen=True)
class Need:
    """Sets that must have been evaluated by a protocol.

    Attributes:
        sets: Names of sets of the paper.
        protocol: How.
        model: :data:`MAIN`, or the name of an ablation.
        others: Which folders without a counterpart in the paper are evaluated too.
        first_only: Only the first of the sets that is at hand.
    """

    sets: tuple[str, ...]
    protocol: Protocol
    model: str = MAIN
    others: Others = Others.NONE
    first_only: bool = False


def masks(effort: Effort) -> Protocol:
    """The paper's protocol for Mode-1 and Mode-2."""
    return Protocol(name="masks", modes=ONE_SHOT, limit=effort.limit, seed=effort.seed)


def clicks(effort: Effort) -> Protocol:
    """The paper's protocol for Mode-3."""
    return Protocol(
        name="clicks", modes=(Mode.INTERACTIVE,), limit=effort.click_limit, clicks=effort.clicks, seed=effort.seed
    )


def refined(effort: Effort) -> Protocol:
    """Clicks after an initial mask (Table 5d)."""
    modes = (Mode.REFINE_SEMANTIC, Mode.REFINE_IN_CONTEXT)
    return replace(clicks(effort), name="refined", modes=modes)


def volumes(effort: Effort) -> Protocol:
    """The stricter protocol: whole volumes, slices without the class included."""
    return Protocol(name="volumes", modes=ONE_SHOT, limit=effort.volumes, whole_volumes=True, seed=effort.seed)


def gates(effort: Effort) -> Protocol:
    """The modes in which the gates are read (Figure 4)."""
    return replace(clicks(effort), name="gates", modes=(*ONE_SHOT, Mode.INTERACTIVE))


def exemplar(number: int, effort: Effort) -> Protocol:
    """One item as the reference of everything (Table 9); of a volume the middle slice of each class."""
    return Protocol(
        name=f"exemplar-{number + 1:02d}",
        modes=(Mode.IN_CONTEXT,),
        limit=effort.limit,
        axial=True,
        exemplar=number,
        seed=effort.seed,
    )


def shots(count: int, effort: Effort) -> Protocol:
    """``count`` references at fixed positions of a volume (Table 10)."""
    return Protocol(
        name=f"shots-{count}",
        modes=(Mode.IN_CONTEXT,),
        limit=effort.limit,
        references=count,
        axial=True,
        distinct=True,
        seed=effort.seed,
    )


def ablation_runs(*tables: str) -> tuple[str, ...]:
    """The runs that tables compare, the full one first.

    Args:
        tables: Some of :data:`ABLATION_TABLES`.
    """
    runs = [FULL]
    for table in tables:
        runs += [str(row["run"]) for row in paper_numbers.rows(table)]
        runs += [PLAIN_DECODER] if table == "table7b" else []
    return tuple(dict.fromkeys(runs))


def ablation_protocols(run: str, effort: Effort) -> tuple[Protocol, ...]:
    """How a run is evaluated: in the modes that it was trained for."""
    only = next((mode for name, mode in SINGLE_MODE_RUNS.items() if name in run.split("+")), None)
    chosen = []
    for protocol in (masks(effort), clicks(effort)):
        modes = tuple(mode for mode in protocol.modes if only in (None, mode))
        if modes:
            chosen.append(replace(protocol, modes=modes))
    return tuple(chosen)


def needs(item: str, effort: Effort) -> tuple[Need, ...]:
    """What a table or figure is made of.

    Args:
        item: ``table2``, ``figure5``, ...
        effort: How much is measured.

    Raises:
        InvalidConfig: There is no such item.
    """
    trained, external, unseen = (in_group(group) for group in Group)
    new = (*external, *unseen)
    everything = (*trained, *new)
    if item in ABLATION_TABLES:
        return tuple(
            Need(ABLATION_SETS, protocol, run)
            for run in ablation_runs(item)
            for protocol in ablation_protocols(run, effort)
        )
    found: Mapping[str, tuple[Need, ...]] = {
        "table2": (Need(trained, masks(effort), others=Others.LEARNED), *_strict(trained, effort, Others.LEARNED)),
        "table3": (Need(new, masks(effort), others=Others.NEW), *_strict(new, effort, Others.NEW)),
        "table4": (Need(everything, clicks(effort)),),
        "table5d": (Need(ABLATION_SETS, clicks(effort)), Need(ABLATION_SETS, refined(effort))),
        "table9": tuple(Need(("ACDC", "BUS"), exemplar(number, effort)) for number in range(effort.exemplars)),
        "table10": tuple(
            Need(("AMOS_MRI", "AMOS_CT"), shots(count, effort), first_only=True) for count in AXIAL_POSITIONS
        ),
        "figure3": (Need(everything, clicks(effort)),),
        "figure5": (Need(everything, clicks(effort), others=Others.ALL),),
        "figure6": (Need(("LiTS", "KiTS", "KPIs", "Breast Cancer"), masks(effort)),),
        "figure7": (Need(("AMOS_MRI", "AMOS_CT", "M&Ms", "BKAI-POLY", "BTCV"), masks(effort)),),
        "figure8": (Need(("BraTS", "BUS", "M&Ms-2", "UW-SC"), clicks(effort)),),
        "figure9": (Need(unseen, masks(effort)),),
    }
    if item not in found:
        raise InvalidConfig(f"There is no {item!r}; there are {', '.join((*found, *ABLATION_TABLES))}.")
    return found[item]


def _strict(sets: tuple[str, ...], effort: Effort, others: Others) -> tuple[Need, ...]:
    """Whole volumes, unless the paper's protocol goes through all of them anyway."""
    return () if effort.limit is None else (Need(sets, volumes(effort), others=others),)
