"""Iris (Gao et al., 2025): a port to slices is needed."""

from __future__ import annotations

from KPrismLib.evaluation import Mode
from Training.peers.about import About
from Training.peers.pixels import standardised
from Training.peers.port import Port
from Training.peers.setup import PeerSetup

ABOUT = About(
    name="iris",
    title="Iris",
    modes=(Mode.SEMANTIC, Mode.IN_CONTEXT),
    source="your implementation of Iris; none by its authors was found, and those of others are not verified",
    licence="unknown: neither code nor weights of its authors were found in public",
    weights="of your implementation, trained on dataset folders",
    citation="Gao et al. Show and segment: Universal medical image segmentation via in-context learning. CVPR 2025.",
    input="One grey channel, z-score, as in the author's Hermes, with which Iris shares its data.",
    is_port=True,
    notes="The published method is 3-D; the paper retrained it on slices. By class, the port answers from its memory "
    "of the classes that it was trained on; by example, from the examples.",
)


def open_peer(setup: PeerSetup) -> Port:
    """The user's port."""
    return Port(ABOUT, setup, standardised)
