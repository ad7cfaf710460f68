"""VerSe (Guo et al., 2025): 2-D, but behind detectron2; a thin port is needed."""

from __future__ import annotations

from torch import Tensor

from KPrismLib.evaluation import Mode
from Training.peers.about import About
from Training.peers.pixels import standardised
from Training.peers.port import Port
from Training.peers.setup import PeerSetup

ABOUT = About(
    name="verse",
    title="Verse",
    modes=(Mode.SEMANTIC, Mode.INTERACTIVE, Mode.REFINE_SEMANTIC),
    source="your port of github.com/bangwayne/Verse (Verse_1_0_Cardiac/Verse_model.py), which needs detectron2 and "
    "fvcore",
    licence="code MIT; the repository names no other terms for the weights",
    weights="the authors' (link in the README; 256 x 256, three channels, cardiac classes) or your own training, as a "
    "state dict",
    citation="Guo et al. VerSe: Integrating multiple queries as prompts for versatile cardiac MRI segmentation. IPMI "
    "2025.",
    input='Grey repeated to three channels ("channels": 3 in the JSON), normalised per image; the authors\' config '
    "then subtracts 0.367 and divides by 3.13, which is done here; image_size 256.",
    is_port=True,
    notes="The network's own inference makes its clicks from the truth inside; a port calls backbone and "
    "sem_seg_head with the clicks that it is given (click_mode 0 by class, 1 refining, 2 clicks only). detectron2 is "
    "on no package index.",
)

#: PIXEL_MEAN and PIXEL_STD of the authors' Cardiac_config.py.
_MEAN, _DEVIATION = 0.367, 3.13


def cardiac(image: Tensor) -> Tensor:
    """Z-score per image, then the constants of the authors' config."""
    return (standardised(image) - _MEAN) / _DEVIATION


def open_peer(setup: PeerSetup) -> Port:
    """The user's port."""
    return Port(ABOUT, setup, cardiac)
