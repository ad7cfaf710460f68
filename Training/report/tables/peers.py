"""Other systems on the same slices, references and clicks: what ``python -m Training.peers evaluate`` measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from KPrismLib.errors import InvalidDataset
from KPrismLib.evaluation.settings import Mode
from KPrismLib.evaluation.summary import MEAN
from Training.report.document import MISSING, Table, percent, plain
from Training.report.statistics import Number

PEERS_NAME = "peers"

#: What must be equal for two systems to have done the same work.
_WORK = ("split", "limit", "clicks", "references", "seed")
#: Likewise, with what holds where a file does not say.
_SINCE = {"axial_references": False, "honour_clicks": False}
_HEADER = ("system", "set", "knowledge", "Dice", "Dice after 1 click", "after 5", "clicks to 90 %", "masks", "patients")


def peers(folder: Path) -> str | None:
    """The section, from the JSON files in ``folder``; ``None`` where there are none.

    K-Prism's own files, written by ``kprism evaluate --json``, may lie among them; whatever did other work than the
    rest, on other slices say, has a table of its own.

    Raises:
        InvalidDataset: a file is damaged.
    """
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        return None
    tables: dict[str, list[Sequence[str]]] = {}
    remarks: dict[str, None] = {}
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            tables.setdefault(_work(content["settings"]), []).extend(_rows(content))
            peer = content.get("peer")
            if peer is not None:
                text = " ".join([f"{peer['system']}: {peer['citation']}", *peer["remarks"]])
                remarks[f"- {text}"] = None
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InvalidDataset(f"{file} holds no evaluation; measure it again or take it away.") from error
    blocks = [
        "## Other systems\n\nOn the same slices, with the same references and clicks; `python -m Training.peers`. "
        "Numbers of random weights show that a system runs, and nothing else.",
        *(Table(_HEADER, sorted(rows, key=tuple), title).markdown() for title, rows in sorted(tables.items())),
    ]
    return "\n\n".join([*blocks, "\n".join(remarks)] if remarks else blocks) + "\n"


def _work(settings: Mapping[str, Any]) -> str:
    values = {name: settings[name] for name in _WORK} | {name: settings.get(name, _SINCE[name]) for name in _SINCE}
    slices = "all slices" if values["limit"] is None else f"at most {values['limit']} slices a set"
    return (
        f"Split {values['split']}, {slices}, {values['clicks']} clicks, {values['references']} references, "
        f"seed {values['seed']}"
        + ", references at the positions of Table 10" * values["axial_references"]
        + ", masks that hold what clicks say" * values["honour_clicks"]
    )


def _rows(content: Mapping[str, Any]) -> list[Sequence[str]]:
    """A row for each set and mode."""
    peer = content.get("peer")
    if peer is None:
        system = f"K-Prism ({content['settings']['model']})"
    else:
        system = f"{peer['system']} ({'random weights' if peer['random_weights'] else peer['weights']})"
    rows: list[Sequence[str]] = []
    for dataset, modes in content["datasets"].items():
        for mode, numbers in modes.items():
            name = mode.replace("_", "-")
            if MEAN not in numbers["dice"] and not numbers["pairs"]:  # no slice shows any of the classes
                rows.append([system, dataset, name, *[MISSING] * (len(_HEADER) - 5), "0", "0"])
                continue
            curve = np.atleast_1d(numbers["dice"][MEAN])
            interval = numbers["dice_interval95"][MEAN]
            clicked = Mode(mode).uses_clicks
            count = numbers["pairs"][MEAN]
            after = [
                _share(curve, interval, clicks, count) if clicked and clicks < len(curve) else MISSING
                for clicks in (1, 5)
            ]
            first = MISSING if mode == Mode.INTERACTIVE.value else _share(curve, interval, 0, count)
            noc = plain(Number.stored(numbers["noc90"], numbers["noc90_interval95"], count)) if clicked else MISSING
            rows.append([system, dataset, name, first, *after, noc, str(count), str(numbers["patients"])])
    return rows


def _share(curve: Any, interval: Any, clicks: int, count: int) -> str:
    """Dice after so many clicks."""
    bounds = None if interval is None else np.asarray(interval).reshape(2, -1)[:, clicks].tolist()
    return percent(Number.stored(curve[clicks], bounds, count))
