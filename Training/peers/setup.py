"""What a person gives for a system: weights, checkouts, a device."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from KPrismLib.errors import InvalidConfig, InvalidWeights

RANDOM_SEED = 0


@dataclass(frozen=True)
class PeerSetup:
    """How a system is to be plugged in.

    Attributes:
        device: where it runs.
        weights: file or folder; None with ``random``.
        checkouts: local copies of repositories.
        random: weights drawn at random, for trying the machinery out.
        classes: what random weights pretend to know.
        description: what :func:`describe` found beside the weights.
    """

    device: torch.device
    weights: Path | None = None
    checkouts: tuple[Path, ...] = ()
    random: bool = False
    classes: tuple[str, ...] = ()
    description: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that it is clear which weights are meant, and that they exist.

        Raises:
            InvalidConfig: weights and random weights, or neither.
            InvalidWeights: no such file or folder.
            InvalidConfig: a checkout that is no folder.
        """
        if self.random == (self.weights is not None):
            raise InvalidConfig("Give the weights with --weights, or ask for --random-weights; one of the two.")
        if self.weights is not None and not self.weights.exists():
            raise InvalidWeights(f"There are no weights at {self.weights}.")
        for folder in self.checkouts:
            if not folder.is_dir():
                raise InvalidConfig(f"There is no folder {folder}; --peer-path takes the local copy of a repository.")

    def known_classes(self) -> tuple[str, ...]:
        """The classes of a network that knows them by number only.

        Raises:
            InvalidWeights: the description beside the weights does not name them.
        """
        if self.random:
            return self.classes
        names = self.description.get("classes")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise InvalidWeights(
                f"Nothing says which classes {self.weights} knows; write them in their order into "
                f'{_description_file(self.weights)} as {{"classes": ["liver", ...]}}.'
            )
        return tuple(names)

    def network(self, defaults: Mapping[str, Any], small: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Settings of the network: ``defaults``, changed by the description's ``network``.

        Args:
            defaults: of the authors.
            small: what random weights change, so that trying the machinery out is quick.

        Raises:
            InvalidWeights: ``network`` is no JSON object.
        """
        given = self.description.get("network", {})
        if not isinstance(given, dict):
            raise InvalidWeights(f"`network` in {_description_file(self.weights)} must be an object of settings.")
        return {**defaults, **((small or {}) if self.random else {}), **given}


def describe(weights: Path | None) -> dict[str, Any]:
    """The JSON beside a weights file (same name, ending in .json), empty where there is none.

    Weights of networks that were trained on dataset folders do not say what their channels mean; that file does:
    ``classes`` (names in order), and where a network can be built in several sizes ``network`` and ``image_size``.

    Raises:
        InvalidWeights: the file is no JSON object.
    """
    path = _description_file(weights)
    if path is None or not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InvalidWeights(f"{path} is not readable as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise InvalidWeights(f"{path} must hold a JSON object.")
    return content


def _description_file(weights: Path | None) -> Path | None:
    return None if weights is None or weights.is_dir() else weights.with_suffix(".json")


@contextmanager
def reproducible() -> Iterator[None]:
    """Random weights are the same in every run, and nobody else's randomness is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        yield
