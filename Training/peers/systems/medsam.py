"""MedSAM (Ma et al., 2024): SAM with ViT-B, fine-tuned by its authors; run through SamModel of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from skimage import transform
from torch import Tensor

from KPrismLib.evaluation import Mode
from KPrismLib.prompts import Click
from Training.peers.about import About
from Training.peers.pixels import as_mask, colour, min_max
from Training.peers.sam import INPUT, SamImage, decode, enlarged, load_model
from Training.peers.segmenter import Answer, Pixels, Segmenter
from Training.peers.setup import PeerSetup, reproducible

ABOUT = About(
    name="medsam",
    title="MedSAM",
    modes=(Mode.INTERACTIVE,),
    source="package transformers (SamModel)",
    packages={"transformers": "transformers>=5.0"},
    extra="peers-sam",
    licence="code and weights Apache-2.0",
    weights="a folder with config.json and model.safetensors: MedSAM in the transformers format "
    "(wanglab/medsam-vit-base on Hugging Face), or your own fine-tuning saved with save_pretrained. The "
    "convert_sam_to_hf.py of transformers makes none of medsam_vit_b.pth: it reads a file for SlimSAM only, and else "
    "converts plain SAM, which it downloads",
    citation="Ma et al. Segment anything in medical images. Nature Communications 15, 654, 2024.",
    input="Grey repeated to RGB, stretched to 1024 x 1024 with cubic interpolation, then min-max to 0..1 without mean "
    "and deviation; sigmoid, bilinear to the image, above 0.5 (MedSAM_Inference.py of the authors).",
    notes="The published weights were trained with boxes only. medsam_point_prompt_flare22.pth, which the authors' "
    "extensions/point_prompt publishes, was trained with points: 13 abdominal organs, a single positive point, no mask "
    "prompt. Negative clicks, several clicks and mask prompts are outside what MedSAM's training saw; clicks are the "
    "paper's protocol, for which it retrained MedSAM. From the second click on the previous logits are the mask "
    "prompt, as SAM's predictor gives them out: not clipped.",
)


class MedSam(Segmenter):
    """One mask per prompt."""

    def __init__(self, model: Any, setup: PeerSetup) -> None:
        self.name = ABOUT.title
        self._model = model.to(setup.device).eval()
        self._device = setup.device

    def encode(self, pixels: Pixels) -> SamImage:
        """uint8 (rows, columns[, 3]) -> embeddings of the float32 (1, 3, 1024, 1024) input."""
        image = min_max(cubic(pixels, INPUT))
        return SamImage(self._model.get_image_embeddings(image.to(self._device)), (pixels.shape[0], pixels.shape[1]))

    def by_clicks(
        self, image: SamImage, clicks: Sequence[Click], before: Answer | None, *, cls: Any, reference: Any
    ) -> Answer:
        """Points as SAM's point prompts, the previous logits as its mask prompt."""
        logits, _ = decode(self._model, image, clicks, before, several=False, device=self._device)
        return Answer(as_mask(enlarged(logits.sigmoid(), image.shape), 0.5), memory=logits)


def cubic(pixels: Pixels, size: int) -> Tensor:
    """uint8 (rows, columns[, 3]) -> float32 (1, 3, size, size), whole numbers in 0..255; grey is repeated.

    Plane by plane, which gives what the authors' call on all three gives and takes a twelfth of its time for grey.
    """
    planes = [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0))
    resized = [
        transform.resize(plane, (size, size), order=3, preserve_range=True, anti_aliasing=True, clip=False)
        for plane in planes
    ]
    # Clipped by the extremes of all planes and truncated to 8 bits, as resizing all of them together does.
    stacked = np.clip(np.stack(resized, axis=-1), pixels.min(), pixels.max()).astype(np.uint8)
    return colour(stacked[..., 0] if pixels.ndim == 2 else stacked)


def open_peer(setup: PeerSetup) -> MedSam:
    """MedSAM with the model folder of ``setup``."""
    from transformers import SamConfig, SamModel

    if setup.weights is not None:
        return MedSam(load_model(SamModel, setup.weights), setup)
    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mlp_dim": 64,
        "global_attn_indexes": [1],
        "image_size": INPUT,
    }
    with reproducible():
        return MedSam(SamModel(SamConfig(vision_config=vision)), setup)
