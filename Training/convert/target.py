"""The folder that a conversion may write into: a new one, or one that it began itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from KPrismLib.errors import InvalidDataset
from Training.convert import findings, ledger

_DESCRIPTION = "dataset.json"
_SHOWN = 3
#: Of a conversion that found something amiss before it read a file, and what systems leave in folders.
_NOBODYS = frozenset((findings.FILE, "lost+found", "desktop.ini", "Thumbs.db"))


def check_target(target: Path, download: Path, name: str) -> None:
    """Refuse a folder in which a conversion would write over files that are not its own, or hide other datasets.

    Args:
        target: The dataset folder to write.
        download: What it is made of.
        name: Of the set.

    Raises:
        InvalidDataset: The target lies in the download or around it, or holds what no conversion of this set wrote.
        OSError: It is there and cannot be read.
    """
    inner, outer = target.resolve(), download.resolve()
    if inner.is_relative_to(outer):
        raise InvalidDataset(f"{target} lies inside the download; choose a folder outside it.")
    if outer.is_relative_to(inner):
        raise InvalidDataset(
            f"{target} contains the download; choose a new folder for the dataset, beside the download."
        )
    if not target.is_dir():
        return
    datasets = sorted(child.name for child in target.iterdir() if (child / _DESCRIPTION).is_file())
    if datasets:
        raise InvalidDataset(
            f"{target} holds other datasets ({_listed(datasets)}); choose a folder for this one alone, such as "
            f"{target / name}."
        )
    if (target / _DESCRIPTION).is_file():
        _check_dataset(target, name)
    elif not (target / ledger.NAME).is_file():
        _check_empty(target, name)
    elif (begun := ledger.begun_set(target)) not in (None, name):
        raise InvalidDataset(f"{target} already holds an unfinished {begun}, not {name}; choose an empty folder.")


def _check_dataset(target: Path, name: str) -> None:
    try:
        content: dict[str, Any] = dict(json.loads((target / _DESCRIPTION).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        content = {}
    found = content.get("name", "something else")
    if found != name:
        raise InvalidDataset(f"{target} already holds {found}, not {name}; choose an empty folder.")
    if "conversion" not in content and not (target / ledger.NAME).is_file():
        raise InvalidDataset(f"{target} already holds a {name} that no conversion wrote; choose an empty folder.")


def _check_empty(target: Path, name: str) -> None:
    others = sorted(
        child.name for child in target.iterdir() if child.name not in _NOBODYS and not child.name.startswith(".")
    )
    if others:
        raise InvalidDataset(
            f"{target} holds files that no conversion wrote ({_listed(others)}), and they could be written over; "
            f"choose an empty or new folder, such as {target / name}."
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
