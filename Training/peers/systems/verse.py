"""VerSe (Guo et al., 2025): 2-D, but behind detectron2; a thin port is needed."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from KPrismLib.evaluation import Mode
from Training.peers.about import About
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
    input='Grey repeated to three channels ("channels": 3 in the JSON); each slice clipped at its 98th percentile and '
    "scaled to 0..1 (datasets/data_mapper/nii_norm.py of the repository), then 0.367 subtracted and divided by 3.13 "
    "(the authors' config). All of it is done here; image_size 256.",
    is_port=True,
    notes="The network's own inference makes its clicks from the truth inside; a port calls backbone and "
    "sem_seg_head with the clicks that it is given (click_mode 0 by class, 1 refining, 2 clicks only). The authors "
    "stretch slices to 256 x 256; here the aspect is kept and the rest padded. They also start from the scanner's "
    "intensities, where the dataset folder's window is already applied here. detectron2 is on no package index.",
)

#: PIXEL_MEAN and PIXEL_STD of the authors' Cardiac_config.py.
_MEAN, _DEVIATION = 0.367, 3.13
#: Of the authors' nii_norm.py: what is brighter is clipped, and what keeps a blank slice from a division by 0.
_PERCENTILE, _EPSILON = 98, 1e-4


def cardiac(image: Tensor) -> Tensor:
    """Clip at the 98th percentile, scale to 0..1, then the constants of the authors' config.

    Args:
        image: float32 (1, channels, rows, columns), any range.

    Returns:
        the same shape, in -0.367 / 3.13..0.633 / 3.13.
    """
    low, high = float(image.min()), float(np.percentile(image.numpy(), _PERCENTILE))
    unit = (image.clamp(max=high) - low) / (high - low + _EPSILON)
    return (unit - _MEAN) / _DEVIATION


def open_peer(setup: PeerSetup) -> Port:
    """The user's port."""
    return Port(ABOUT, setup, cardiac)
