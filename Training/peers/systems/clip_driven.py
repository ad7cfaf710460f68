"""Clip-driven Universal Model (Liu et al., 2023a): a port to slices is needed."""

from __future__ import annotations

from torch import Tensor

from KPrismLib.evaluation import Mode
from Training.peers.about import About
from Training.peers.port import Port
from Training.peers.setup import PeerSetup

ABOUT = About(
    name="clip-driven",
    title="Clip-driven",
    modes=(Mode.SEMANTIC,),
    source="your port of github.com/ljwztc/CLIP-Driven-Universal-Model (model/Universal_model.py)",
    licence="CC BY-NC-ND 4.0 (Johns Hopkins University), code and weights: a port may be used, not shared",
    weights="of your port, trained on dataset folders; the published clip_driven_universal_unet.pth and "
    "clip_driven_universal_swin_unetr.pth are 3-D (96 x 96 x 96, 1.5 mm, 32 abdominal classes) and do not fit",
    citation="Liu et al. CLIP-driven universal model for organ segmentation and tumor detection. ICCV 2023.",
    input="One grey channel in 0..1 (the authors window -175..250 HU to 0..1; here the dataset folder's window is "
    "already applied). One CLIP text embedding of 512 numbers per class is part of the weights.",
    is_port=True,
    notes="Both backbones of the public code are 3-D, and the controller convolves in 3-D.",
)


def in_unit_range(image: Tensor) -> Tensor:
    """0..255 -> 0..1."""
    return image / 255


def open_peer(setup: PeerSetup) -> Port:
    """The user's port."""
    return Port(ABOUT, setup, in_unit_range)
