"""The paper's eighteen sets by name, and the smaller sets that stand for them where those are not at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidDataset


class Group(str, Enum):
    """How the paper groups its sets (Tables 2 to 4)."""

    IN_DISTRIBUTION = "in-distribution"
    EXTERNAL = "external"
    UNSEEN = "unseen class"


@dataclass(frozen=True)
class StandIn:
    """A dataset folder that is evaluated in place of a set of the paper.

    Attributes:
        name: Name of the dataset folder.
        remark: What makes it different.
        classes: The classes that count; all when empty.
    """

    name: str
    remark: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperSet:
    """A set of the paper.

    Attributes:
        name: As the converters name its folder.
        group: Where the paper reports it.
        stand_ins: What may replace it, best first.
    """

    name: str
    group: Group
    stand_ins: tuple[StandIn, ...] = ()


@dataclass(frozen=True)
class FoundSet:
    """A set of the paper with the folder that is evaluated for it.

    Attributes:
        paper: The set.
        folder: The set itself, or a stand-in.
        remark: What makes the folder different from the set; empty for the set itself.
        classes: The classes that count; all when empty.
    """

    paper: PaperSet
    folder: DatasetFolder
    remark: str = ""
    classes: tuple[str, ...] = ()


_IN, _EXTERNAL, _UNSEEN = Group.IN_DISTRIBUTION, Group.EXTERNAL, Group.UNSEEN

_KVASIR = "another colonoscopy set, one class; frames of one polyp may be in both splits"
_LA2018 = "scans of the 2018 challenge, cropped around the true atrium; those of one patient may be in both splits"

PAPER_SETS: Mapping[str, PaperSet] = MappingProxyType(
    {
        paper.name: paper
        for paper in (
            PaperSet("AMOS_CT", _IN, (StandIn("BTCV_SYNAPSE18", "18 CT volumes, 8 organs"),)),
            PaperSet("AMOS_MRI", _IN),
            PaperSet("M&Ms", _IN, (StandIn("ACDC", "the same three structures"),)),
            PaperSet("LiTS", _IN, (StandIn("LITS_LIVER", "the liver, not its tumours"),)),
            PaperSet("KiTS", _IN, (StandIn("KITS19_TUMOUR", "57 slices of KiTS19"),)),
            PaperSet("LAScarQS", _IN, (StandIn("LA2018", _LA2018),)),
            PaperSet("Breast Cancer", _IN, (StandIn("BUSI", "the same images, another split"),)),
            PaperSet("Chest X-ray", _IN, (StandIn("CXR_LUNG", "the same images, another split"),)),
            PaperSet("KPIs", _IN, (StandIn("GLOMERULI_AIDPATH", "24 tiles"),)),
            PaperSet("PAPILA", _IN, (StandIn("DRISHTI_GS", "another fundus set", ("optic disc",)),)),
            PaperSet("BKAI-POLY", _IN, (StandIn("KVASIR_SEG", _KVASIR),)),
            PaperSet("ISIC", _IN, (StandIn("ISIC2017_SUBSET", "98 images of ISIC 2017"),)),
            PaperSet("BTCV", _EXTERNAL, (StandIn("IRCAD_LIVER_MINI", "36 slices, the liver only"),)),
            PaperSet("ACDC", _EXTERNAL),
            PaperSet("UW-SC", _EXTERNAL, (StandIn("PH2", "another dermoscopy set"),)),
            PaperSet("BUS", _EXTERNAL, (StandIn("BUSI", "another breast set"),)),
            PaperSet("BraTS", _UNSEEN, (StandIn("BRATS2015_SIX", "12 volumes of BraTS 2015"),)),
            PaperSet("M&Ms-2", _UNSEEN),
        )
    }
)


#: Sets with patients in common: what was trained on one of them has seen patients of the others.
_SAME_PATIENTS = (
    frozenset({"LiTS", "LITS_LIVER", "IRCAD_LIVER_MINI"}),  # volumes 28 to 47 of LiTS are 3D-IRCADb
    frozenset({"BTCV", "BTCV_SYNAPSE18"}),
    frozenset({"KiTS", "KITS19_TUMOUR"}),
    frozenset({"Breast Cancer", "BUSI"}),
    frozenset({"Chest X-ray", "CXR_LUNG"}),
    frozenset({"ISIC", "ISIC2017_SUBSET"}),
    frozenset({"LAScarQS", "LA2018"}),  # scans of the same 60 patients of one centre, whose is not published
)


def with_patients_of(name: str) -> frozenset[str]:
    """The names of the sets that have patients of a dataset folder, its own included."""
    return frozenset({name}).union(*(names for names in _SAME_PATIENTS if name in names))


def in_group(group: Group) -> tuple[str, ...]:
    """The names of a group's sets, in the paper's order."""
    return tuple(name for name, paper in PAPER_SETS.items() if paper.group is group)


def find_set(name: str, folders: Mapping[str, DatasetFolder]) -> FoundSet | None:
    """The folder for one set of the paper: the set itself, or else its first stand-in that is there.

    Args:
        name: Name of the set.
        folders: The dataset folders at hand, by name.
    """
    paper = PAPER_SETS[name]
    if name in folders:
        return FoundSet(paper, folders[name])
    for stand_in in paper.stand_ins:
        if stand_in.name in folders:
            return FoundSet(paper, folders[stand_in.name], stand_in.remark, stand_in.classes)
    return None


def find_sets(names: Iterable[str], folders: Mapping[str, DatasetFolder]) -> tuple[FoundSet, ...]:
    """The folders for several sets; sets without one are left out."""
    found = (find_set(name, folders) for name in names)
    return tuple(each for each in found if each is not None)


def names_for(names: Iterable[str]) -> frozenset[str]:
    """The names of the folders that are evaluated for sets of the paper: their own, and those of the stand-ins."""
    papers = [PAPER_SETS[name] for name in names]
    return frozenset(
        name for paper in papers for name in (paper.name, *(stand_in.name for stand_in in paper.stand_ins))
    )


def other_folders(folders: Mapping[str, DatasetFolder]) -> tuple[DatasetFolder, ...]:
    """The folders that are neither a set of the paper nor stand for one."""
    known = names_for(PAPER_SETS)
    return tuple(folder for name, folder in folders.items() if name not in known)


def by_name(folders: Sequence[DatasetFolder]) -> dict[str, DatasetFolder]:
    """Folders by the name of their dataset.

    Raises:
        InvalidDataset: Two of them share a name.
    """
    named: dict[str, DatasetFolder] = {}
    for folder in folders:
        if folder.name in named:
            raise InvalidDataset(
                f"{named[folder.name].path} and {folder.path} are both called {folder.name!r}; give one of them."
            )
        named[folder.name] = folder
    return named
