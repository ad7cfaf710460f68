"""UniSeg (Ye et al., 2023): a port to slices is needed."""

from __future__ import annotations

from KPrismLib.evaluation import Mode
from Training.peers.about import About
from Training.peers.pixels import standardised
from Training.peers.port import Port
from Training.peers.setup import PeerSetup

ABOUT = About(
    name="uniseg",
    title="UniSeg",
    modes=(Mode.SEMANTIC,),
    source="your port of github.com/yeerwen/UniSeg (Upstream/nnunet/network_architecture/Prompt_generic_UNet.py)",
    licence="non-commercial; commercial use by licence of the authors",
    weights="of your port, trained on dataset folders; the published weights are 3-D (64 x 192 x 192, 11 tasks) and do "
    "not fit",
    citation="Ye et al. UniSeg: A prompt-driven universal segmentation model as well as a strong representation "
    "learner. MICCAI 2023.",
    input="One grey channel, z-score, as the authors have it for all but CT (DoDNetPreprocessor of the repository).",
    is_port=True,
    notes="The public code is a modified copy of nnU-Net version 1 that takes the place of the installed package; it "
    "cannot share a process with the current one. Its own preprocessor clips CT to -325..325 HU and scales it "
    "to 0..1, and takes other z-scores of the whole volume; here every image gets a z-score of the slice, to which the "
    "dataset folder's window is already applied.",
)


def open_peer(setup: PeerSetup) -> Port:
    """The user's port."""
    return Port(ABOUT, setup, standardised)
