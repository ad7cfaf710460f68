"""The systems by the name that a person types."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Protocol, cast

from KPrismLib.errors import InvalidConfig
from Training.peers.about import About
from Training.peers.segmenter import Segmenter
from Training.peers.setup import PeerSetup

#: In the order of the paper's Table 1, then those that only its experiments name.
_NAMES = (
    "nnunet",
    "unetr",
    "clip-driven",
    "hermes",
    "universeg",
    "tyche",
    "medsam",
    "nninteractive",
    "multiverseg",
    "iris",
    "verse",
    "uniseg",
    "sam2",
    "segnext",
)


class System(Protocol):
    """What a module of ``Training.peers.systems`` offers; importing it imports nothing of the system itself."""

    ABOUT: About

    def open_peer(self, setup: PeerSetup) -> Segmenter:
        """The system with its weights."""


def names() -> tuple[str, ...]:
    """All names."""
    return _NAMES


def system(name: str) -> System:
    """The system of a name.

    Raises:
        InvalidConfig: there is none; the sentence names the nearest.
    """
    plain = name.strip().lower().replace("_", "-")
    if plain not in _NAMES:
        near = difflib.get_close_matches(plain, _NAMES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else "`list` names those there are."
        raise InvalidConfig(f"There is no system {name!r}; {hint}")
    return cast(System, import_module(f"Training.peers.systems.{plain.replace('-', '_')}"))
