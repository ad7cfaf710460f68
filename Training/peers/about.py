"""What is known of a system before any of its code is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from KPrismLib.evaluation import Mode


@dataclass(frozen=True)
class Checkout:
    """A repository of which a local copy is needed.

    Attributes:
        repository: its address.
        module: what is imported from it.
        folder: where below the repository that module lies.
    """

    repository: str
    module: str
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class About:
    """The facts of one system.

    Attributes:
        name: as a person types it.
        title: as in the paper.
        modes: what it can be evaluated in; the first three name the kinds of knowledge of Table 1.
        source: the package or repository that runs.
        packages: Python module to what ``pip install`` takes, for every module beyond the engine's own; a dotted name
            where other packages share the name above it.
        extra: the extra of this project that installs all of ``packages``.
        checkouts: repositories of which local copies are needed.
        licence: of the code, and of the published weights.
        weights: which file or folder, and where its authors publish it.
        citation: what to cite.
        input: how its authors prepare pixels and prompts, and where they say so.
        is_port: whether the user brings the network; see :mod:`Training.peers.port`.
        notes: where this evaluation cannot be what the authors or the paper did.
    """

    name: str
    title: str
    modes: tuple[Mode, ...]
    source: str
    licence: str
    weights: str
    citation: str
    input: str
    packages: Mapping[str, str] = field(default_factory=dict)
    extra: str = ""
    checkouts: tuple[Checkout, ...] = ()
    is_port: bool = False
    notes: str = ""

    @property
    def knowledge(self) -> tuple[Mode, ...]:
        """The kinds of knowledge of Table 1."""
        return tuple(mode for mode in (Mode.SEMANTIC, Mode.IN_CONTEXT, Mode.INTERACTIVE) if mode in self.modes)
