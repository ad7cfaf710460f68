"""The converters by the name that a person types."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from KPrismLib.errors import InvalidDataset
from Training.convert.cases import Converter

#: Name to (module below `Training.convert.sets`, attribute), in the order of Table 6.
_WHERE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "amos-ct": ("amos", "AMOS_CT"),
        "amos-mri": ("amos", "AMOS_MRI"),
        "mnms": ("mnms", "MNMS"),
        "lits": ("lits", "LITS"),
        "kits19": ("kits19", "KITS19"),
        "lascarqs": ("lascarqs", "LASCARQS"),
        "chest-xray": ("chest_xray", "CHEST_XRAY"),
        "busi": ("busi", "BUSI"),
        "kpis": ("kpis", "KPIS"),
        "papila": ("papila", "PAPILA"),
        "bkai-poly": ("bkai_poly", "BKAI_POLY"),
        "isic2018": ("isic2018", "ISIC2018"),
        "btcv": ("btcv", "BTCV"),
        "acdc": ("acdc", "ACDC"),
        "uw-sc": ("uw_sc", "UW_SC"),
        "bus": ("bus", "BUS"),
        "brats": ("brats", "BRATS"),
        "mnms2": ("mnms2", "MNMS2"),
    }
)


def names() -> tuple[str, ...]:
    """All names, in the order of the paper's Table 6."""
    return tuple(_WHERE)


def converter(name: str) -> Converter:
    """The converter of a name.

    Raises:
        InvalidDataset: There is none; the sentence names the nearest, among which `list` is.
    """
    plain = name.strip().lower().replace("_", "-")
    if plain not in _WHERE:
        near = difflib.get_close_matches(plain, (*_WHERE, "list"), n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "`list` names those there are."
        raise InvalidDataset(f"There is no converter {name!r}; {hint}")
    module, attribute = _WHERE[plain]
    found: Converter = getattr(import_module(f"Training.convert.sets.{module}"), attribute)
    return found
