"""``dataset.json``: parsed and checked before any image is touched."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from KPrismLib.dataset.items import DatasetItem
from KPrismLib.errors import InvalidDataset

_ITEM_KEYS = ("id", "image", "mask", "patient", "split")
_SHOWN = 3


@dataclass(frozen=True)
class DatasetDescription:
    """What ``dataset.json`` says.

    Attributes:
        name: Name of the dataset.
        modality: Free text, e.g. ``CT (abdomen)``; empty when not given.
        labels: Mask value to label text, background (0) included when the file lists it.
        classes: Optional explicit classes, name to mask values; ``None`` leaves naming to the label texts.
        window: Optional rule of :func:`~KPrismLib.intensity.window_for`; ``[low, high]`` becomes ``"low,high"``.
        items: In the order of the file.
    """

    name: str
    modality: str
    labels: Mapping[int, str]
    classes: Mapping[str, tuple[int, ...]] | None
    window: str | None
    items: tuple[DatasetItem, ...]

    @property
    def asked_window(self) -> tuple[str, str]:
        """The rule and the modality by which :func:`~KPrismLib.intensity.window_for` chooses a volume's window."""
        return self.window or "auto", self.modality

    @classmethod
    def read(cls, path: Path) -> DatasetDescription:
        """Read one ``dataset.json``.

        Raises:
            InvalidDataset: The file is missing, is not JSON, or breaks the contract.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
        except FileNotFoundError:
            raise InvalidDataset(f"There is no dataset.json in {path.parent}.") from None
        except NotADirectoryError:
            raise InvalidDataset(f"{path.parent} is a file; give the folder of a dataset.") from None
        except (OSError, ValueError) as error:
            raise InvalidDataset(f"{path} cannot be read as JSON: {error}.") from error
        if not isinstance(content, dict):
            raise InvalidDataset(f"{path} must hold a JSON object.")
        return cls.parse(content, path)

    @classmethod
    def parse(cls, content: Mapping[str, Any], source: Path) -> DatasetDescription:
        """Check already decoded JSON; ``source`` is only named in messages.

        Raises:
            InvalidDataset: The content breaks the contract.
        """
        missing = [key for key in ("name", "labels", "items") if key not in content]
        if missing:
            raise InvalidDataset(f"{source} lacks {_listed(missing)}.")
        name = content["name"]
        if not isinstance(name, str) or not name:
            raise InvalidDataset(f"{source}: name must be a text.")
        labels = _labels(content["labels"], name)
        return cls(
            name=name,
            modality=str(content.get("modality", "")),
            labels=labels,
            classes=_classes(content.get("classes"), labels, name),
            window=_window(content.get("window"), name),
            items=_items(content["items"], name),
        )


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of a key that comes twice, Python would keep the last without a word."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"{_listed(twice)} stands there twice")
    return content


def _listed(names: Sequence[object]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _labels(content: object, name: str) -> Mapping[int, str]:
    if not isinstance(content, Mapping) or not content:
        raise InvalidDataset(f"{name}: labels must map mask values to class names.")
    labels: dict[int, str] = {}
    for key, text in content.items():
        try:
            value = int(key)
        except ValueError:
            raise InvalidDataset(f"{name}: label {key!r} is not an integer.") from None
        if value in labels:
            raise InvalidDataset(f"{name}: label {value} stands there twice.")
        if not 0 <= value <= 2**31 - 1:
            raise InvalidDataset(f"{name}: label {key!r} is not a possible mask value.")
        if not isinstance(text, str) or not text.strip():
            raise InvalidDataset(f"{name}: label {key!r} has no name.")
        labels[value] = text
    if not any(labels):
        raise InvalidDataset(f"{name}: labels name nothing but the background.")
    return labels


def _classes(content: object, labels: Mapping[int, str], name: str) -> Mapping[str, tuple[int, ...]] | None:
    if content is None:
        return None
    if not isinstance(content, Mapping) or not content:
        raise InvalidDataset(f"{name}: classes must map class names to lists of mask values.")
    classes: dict[str, tuple[int, ...]] = {}
    for key, values in content.items():
        if not isinstance(values, list) or not values or not all(_is_integer(value) for value in values):
            raise InvalidDataset(f"{name}: class {key!r} must be a list of mask values.")
        unknown = [value for value in values if value == 0 or value not in labels]
        if unknown:
            raise InvalidDataset(f"{name}: class {key!r} uses {_listed(unknown)}, which labels do not name.")
        classes[str(key)] = tuple(sorted(set(values)))
    return classes


def _window(content: object, name: str) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and len(content) == 2 and all(isinstance(bound, int | float) for bound in content):
        low, high = float(content[0]), float(content[1])
        if low < high and math.isfinite(high - low):
            return f"{low},{high}"
    raise InvalidDataset(f"{name}: window must be the name of a rule or [low, high] with low < high.")


def _items(content: object, name: str) -> tuple[DatasetItem, ...]:
    if not isinstance(content, list) or not content:
        raise InvalidDataset(f"{name}: the list of items is empty.")
    items = tuple(_item(entry, number, name) for number, entry in enumerate(content))
    repeated = [item_id for item_id, count in Counter(item.id for item in items).items() if count > 1]
    if repeated:
        raise InvalidDataset(f"{name}: {len(repeated)} item ids occur more than once: {_listed(repeated)}.")
    _check_patients(items, name)
    return items


def _item(entry: object, number: int, name: str) -> DatasetItem:
    if not isinstance(entry, Mapping):
        raise InvalidDataset(f"{name}: item {number} is not an object.")
    missing = [key for key in _ITEM_KEYS if entry.get(key) in (None, "")]
    if missing:
        raise InvalidDataset(f"{name}: item {entry.get('id', number)} lacks {_listed(missing)}.")
    for key in ("image", "mask"):
        if _leads_out(str(entry[key])):
            raise InvalidDataset(f"{name}: item {entry['id']}: {key} must be a path inside the dataset folder.")
    extras = {key: value for key, value in entry.items() if key not in _ITEM_KEYS}
    # Numbers are accepted as ids and patients: "patient": 7 is what a person writes.
    return DatasetItem(**{key: str(entry[key]) for key in _ITEM_KEYS}, extras=extras)


def _leads_out(path: str) -> bool:
    """Whether a path leads out of its folder on any system: a dataset is moved from one to another."""
    # An anchor is a root, or on Windows a drive, C: for one.
    return any(kind(path).anchor or ".." in kind(path).parts for kind in (PurePosixPath, PureWindowsPath))


def _check_patients(items: Iterable[DatasetItem], name: str) -> None:
    """No patient is in two splits: otherwise every test number would be too good."""
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        splits[item.patient].add(item.split)
    crossing = [patient for patient, found in splits.items() if len(found) > 1]
    if crossing:
        raise InvalidDataset(f"{name}: {len(crossing)} patients are in more than one split: {_listed(crossing)}.")
