"""The network, one file for each box of the paper's Figure 2."""

from KPrismLib.network.click_queries import Clicks
from KPrismLib.network.config import NetworkConfig, base_config, named_config, small_config
from KPrismLib.network.kprism import (
    DensePrompt,
    EncodedReference,
    ImageFeatures,
    KPrism,
    MaskPrediction,
    ReadOut,
    ReferenceMemory,
    normalise,
)

__all__ = [
    "Clicks",
    "DensePrompt",
    "EncodedReference",
    "ImageFeatures",
    "KPrism",
    "MaskPrediction",
    "NetworkConfig",
    "ReadOut",
    "ReferenceMemory",
    "base_config",
    "named_config",
    "normalise",
    "small_config",
]
