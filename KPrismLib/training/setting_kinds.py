"""Whether settings are of the kind that their fields state; files and ``--set`` hold whatever somebody wrote."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from KPrismLib.errors import InvalidConfig

Settings = TypeVar("Settings")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    """Infinity is one: as a limit it says that there is none."""
    return _is_whole(value) or (isinstance(value, float) and not math.isnan(value))


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


def _are_shares(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_finite, value.values()))


#: The type of a field, as it is written, to what its values are called and how they are told.
_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "int": ("a whole number", _is_whole),
        "float": ("a number", _is_number),
        "bool": ("true or false", lambda value: isinstance(value, bool)),
        "str": ("a text", lambda value: isinstance(value, str)),
        "tuple[str, ...]": ("a list of texts", _are_texts),
        "Mapping[str, float]": ("a table of finite numbers", _are_shares),
        "Mapping[TrainingMode, float]": ("a table of finite numbers", _are_shares),
        "Mapping[str, Any]": ("a table", lambda value: isinstance(value, Mapping)),
    }
)


def from_table(kind: type[Settings], table: Any, name: str) -> Settings:
    """A dataclass of settings from a table of a file.

    Args:
        kind: the dataclass; it judges the values.
        table: what the file holds.
        name: of the table.

    Raises:
        InvalidConfig: it is no table, holds a setting that does not exist, or lacks one that has no default.
    """
    if not isinstance(table, Mapping):
        raise InvalidConfig(f"{name} is {table!r}; it must be a table.")
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    unknown = sorted(set(table) - {setting.name for setting in fields})
    if unknown:
        raise InvalidConfig(f"There is no training setting {f'{name}.{unknown[0]}'!r}.")
    needed = [each.name for each in fields if each.default is each.default_factory is dataclasses.MISSING]
    missing = [setting for setting in needed if setting not in table]
    if missing:
        raise InvalidConfig(f"{name} lacks {' and '.join(missing)}; every such table needs {', '.join(needed)}.")
    return kind(**table)


def check_kinds(config: Any, prefix: str = "") -> None:
    """Refuse a dataclass of settings in which one is of another kind than its field.

    Args:
        config: the settings; fields of kinds that are none of the usual ones are left to it.
        prefix: what stands before their names in a file, such as ``objective.``.

    Raises:
        InvalidConfig: the first such setting.
    """
    for setting in dataclasses.fields(config):
        words, fits = _KINDS.get(str(setting.type), ("", lambda _: True))
        value = getattr(config, setting.name)
        if not fits(value):
            raise InvalidConfig(f"{prefix}{setting.name} is {value!r}; it must be {words}.")


def check_range(config: Any, *names: str, least: float, most: float = math.inf, prefix: str = "") -> None:
    """Refuse settings that are not finite, or outside a range whose ends belong to it.

    Raises:
        InvalidConfig: the first such setting.
    """
    for name in names:
        value = getattr(config, name)
        if not (math.isfinite(value) and least <= value <= most):
            words = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
            raise InvalidConfig(f"{prefix}{name} is {value}; it must be {words}.")
