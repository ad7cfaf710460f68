"""Everything that decides a training run, from a TOML file."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from KPrismLib.errors import InvalidConfig
from KPrismLib.network.config import named_config
from KPrismLib.training.ablations import merged
from KPrismLib.training.augmentation import AugmentationConfig
from KPrismLib.training.modes import MODE_PROBABILITIES, TrainingMode
from KPrismLib.training.objective import ObjectiveConfig
from KPrismLib.training.setting_kinds import check_kinds, from_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]


PRECISIONS = ("bf16-mixed", "16-mixed", "32-true")
#: What the generators of random numbers take.
_SEEDS = 2**63


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training at one image size; small images first make long training affordable.

    Attributes:
        size: side of the square canvas in pixels, a multiple of 16.
        steps: optimiser steps.
        batch: samples per step, over all processes and accumulated parts.
    """

    size: int
    steps: int
    batch: int

    def __post_init__(self) -> None:
        check_kinds(self, "phases.")
        if self.size % 16 or self.size < 32:
            raise InvalidConfig(f"A phase has size {self.size}; it must be a multiple of 16, at least 32.")
        if self.steps < 1 or self.batch < 1:
            raise InvalidConfig("A phase needs at least one step and one sample per batch.")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A whole run.

    Defaults are the paper's where the paper says (A.2), but for the warm-up (ten epochs there), scribbles and gains of
    colours (neither there); ``Training/configs/paper.toml`` sets these as in the paper, too.

    Attributes:
        network: ``base`` or ``small``; ``network_settings`` change single settings of it.
        datasets: dataset folders; relative ones start at the data folder that :meth:`read` is given.
        dataset_weights: relative frequency of a set; 1 when not named.
        split: which split to train on.
        holdout: fraction of its patients kept out for validation.
        phases: image sizes, in order.
        accumulate: parts whose gradients make one step, for a batch that does not fit the devices at once.
        learning_rate, final_learning_rate: start (after warm-up) and end of the cosine.
        warm_up_steps: linear warm-up, from learning_rate / warm_up_steps, never from 0.
        weight_decay, clip_norm: of AdamW and of the gradient.
        average_decay: of the moving average of the weights, which is what gets exported.
        modes: share of each mode; one that is not named has none.
        absent: how often a semantic or in-context sample asks for a class that its slice does not show (paper: never).
        same_volume: how often an in-context reference is another slice of the same volume (paper: never).
        exclude: items that are left out, as ``SET:ITEM``.
        upside_down: sets of which every second slice is turned by 180 degrees, because their files state an
            orientation that other images of their kind do not have.
        divergence_factor: a loss this many times above its recent median, ten times in a row, ends the run.
        precision: ``bf16-mixed``, ``16-mixed`` or ``32-true``, as Lightning Fabric names them.
        checkpoint_every, validate_every: in steps.
        validation_samples: per mode.
        seed: of the whole run.
    """

    network: str = "small"
    network_settings: Mapping[str, Any] = field(default_factory=dict)
    datasets: tuple[str, ...]
    dataset_weights: Mapping[str, float] = field(default_factory=dict)
    split: str = "train"
    holdout: float = 0.05
    phases: tuple[Phase, ...]
    accumulate: int = 1
    learning_rate: float = 1e-4
    final_learning_rate: float = 1e-5
    warm_up_steps: int = 500
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    average_decay: float = 0.999
    modes: Mapping[TrainingMode, float] = field(default_factory=MODE_PROBABILITIES.copy)
    absent: float = 0.0
    same_volume: float = 0.0
    exclude: tuple[str, ...] = ()
    upside_down: tuple[str, ...] = ()
    divergence_factor: float = 5.0
    precision: str = "bf16-mixed"
    checkpoint_every: int = 200
    validate_every: int = 500
    validation_samples: int = 64
    seed: int = 0
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    def __post_init__(self) -> None:
        check_kinds(self)
        if not self.datasets:
            raise InvalidConfig("The training configuration names no datasets; list folders under `datasets`.")
        if "classes" in self.network_settings:
            raise InvalidConfig("The classes of the network are those of the datasets; leave them out of the settings.")
        named_config(self.network, **self.network_settings)  # a mistake is told now, not after the sets are packed
        if not self.phases:
            raise InvalidConfig("The training configuration has no phases; add a [[phases]] table.")
        if self.accumulate < 1:
            raise InvalidConfig(f"accumulate is {self.accumulate}; it must be at least 1.")
        if not 0 <= self.seed < _SEEDS:
            raise InvalidConfig(f"seed is {self.seed}; it must be at least 0 and less than {_SEEDS}.")
        if not self.divergence_factor > 1:
            raise InvalidConfig(f"divergence_factor is {self.divergence_factor}; it must be more than 1.")
        if not 0 <= self.holdout < 1:
            raise InvalidConfig(f"holdout is {self.holdout}; it must be a fraction between 0 and 1.")
        for name in ("absent", "same_volume"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidConfig(f"{name} is {getattr(self, name)}; it must be a fraction between 0 and 1.")
        if not 0 <= self.average_decay < 1:
            raise InvalidConfig(f"average_decay is {self.average_decay}; it must be at least 0 and less than 1.")
        for name in ("learning_rate", "clip_norm", "checkpoint_every", "validate_every", "validation_samples"):
            if not getattr(self, name) > 0:
                raise InvalidConfig(f"{name} is {getattr(self, name)}; it must be more than 0.")
        for name in ("final_learning_rate", "weight_decay", "warm_up_steps"):
            if not getattr(self, name) >= 0:
                raise InvalidConfig(f"{name} is {getattr(self, name)}; it must not be negative.")
        for name in ("learning_rate", "final_learning_rate", "weight_decay"):
            if not math.isfinite(getattr(self, name)):
                raise InvalidConfig(f"{name} is {getattr(self, name)}; it must be finite.")
        for name, shares in (("modes", self.modes), ("dataset_weights", self.dataset_weights)):
            if min(shares.values(), default=0) < 0:
                raise InvalidConfig(f"A share in [{name}] is negative; the least is 0.")
        if not sum(self.modes.values()) > 0:
            raise InvalidConfig(
                "All shares in [modes] are 0; give one a share; modes that the table does not name have none."
            )
        if self.precision not in PRECISIONS:
            raise InvalidConfig(f"precision is {self.precision!r}; choose one of {', '.join(PRECISIONS)}.")

    @property
    def total_steps(self) -> int:
        """Steps of all phases."""
        return sum(p.steps for p in self.phases)

    def phase_at(self, step: int) -> Phase:
        """The phase that ``step`` (from 0) belongs to; past the end, the last."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        return self.phases[-1]

    @classmethod
    def read(cls, path: Path, data: Path | None = None, *, changes: Iterable[Mapping[str, Any]] = ()) -> TrainingConfig:
        """Read a TOML file; its dataset folders are relative to ``data``, or else to the file.

        Beside the settings, lengths can be given in epochs: ``epoch_slices`` says how many samples make one,
        ``warm_up_epochs`` stands for ``warm_up_steps`` and ``epochs`` for a phase's ``steps``.

        Args:
            path: the file.
            data: folder of the datasets.
            changes: settings as they would stand in the file, which replace the file's one after the other, tables
                key by key; shares of modes that neither names are the default ones, if the file has no such table.

        Raises:
            InvalidConfig: if the file cannot be read, or a setting is unknown or of the wrong kind.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InvalidConfig(f"There is no training configuration {path}.") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InvalidConfig(f"{path} is not a readable TOML file: {error}.") from error
        # A share that is changed alone leaves the others as they are, also where they are those of the paper.
        values.setdefault("modes", {mode.value: share for mode, share in MODE_PROBABILITIES.items()})
        for change in changes:
            values = merged(values, change)
        listed = values.get("datasets", [])
        if not isinstance(listed, list) or not all(isinstance(folder, str) for folder in listed):
            raise InvalidConfig(f"`datasets` in {path} must be a list of folders.")
        values["datasets"] = tuple(str(((data or path.parent) / d).resolve()) for d in listed)
        return cls.from_dict(_in_steps(values))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """From plain values; the inverse of :meth:`to_dict`."""
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = set(values) - known
        if unknown:
            raise InvalidConfig(f"There is no training setting {sorted(unknown)[0]!r}.")
        settings = dict(values)
        try:
            for name in ("datasets", "exclude", "upside_down"):
                listed = settings.get(name, ())
                settings[name] = tuple(listed) if isinstance(listed, list) else listed
            settings["phases"] = tuple(from_table(Phase, p, "phases") for p in settings.get("phases", ()))
            for name, kind in (("augmentation", AugmentationConfig), ("objective", ObjectiveConfig)):
                if name in settings:
                    settings[name] = from_table(kind, settings[name], name)
            if isinstance(settings.get("modes"), Mapping):
                settings["modes"] = {TrainingMode(name): share for name, share in settings["modes"].items()}
            return cls(**settings)
        except (TypeError, ValueError) as error:
            if isinstance(error, InvalidConfig):
                raise
            raise InvalidConfig(f"A training setting is wrong: {error}.") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and TOML."""
        values = dataclasses.asdict(self)
        values["modes"] = {mode.value: p for mode, p in self.modes.items()}
        return values


def _in_steps(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lengths that are given in epochs as steps, rounded up."""
    settings = dict(values)
    slices, warm_up = settings.pop("epoch_slices", None), settings.pop("warm_up_epochs", None)
    phases = settings.get("phases", ())
    if not isinstance(phases, list | tuple) or not all(isinstance(phase, Mapping) for phase in phases):
        return settings  # said better where phases are made
    try:
        if warm_up is not None:
            settings["warm_up_steps"] = math.ceil(warm_up * slices / phases[0]["batch"])
        settings["phases"] = [
            {name: value for name, value in phase.items() if name != "epochs"}
            | ({"steps": math.ceil(phase["epochs"] * slices / phase["batch"])} if "epochs" in phase else {})
            for phase in phases
        ]
    except (TypeError, ValueError, OverflowError, KeyError, IndexError, ZeroDivisionError) as error:
        raise InvalidConfig(
            "A length is given in epochs; that needs a number of `epoch_slices` and the batch of every phase."
        ) from error
    return settings


def parse_setting(text: str) -> dict[str, Any]:
    """``network_settings.num_experts=2`` as it would stand in a TOML file; what is no TOML value is a text.

    Raises:
        InvalidConfig: there is no name or no value.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise InvalidConfig(f"{text!r} is not a setting; write NAME=VALUE, such as learning_rate=1e-4.")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(name.split(".")):
        parsed = {part: parsed}
    settings: dict[str, Any] = parsed
    return settings
