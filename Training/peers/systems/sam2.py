"""SAM2 (Ravi et al., 2024) on single images, through Sam2Model of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from KPrismLib.evaluation import Mode
from KPrismLib.prompts import Click
from Training.peers.about import About
from Training.peers.pixels import as_mask, colour, imagenet, stretched
from Training.peers.sam import INPUT, SamImage, decode, enlarged, load_model
from Training.peers.segmenter import Answer, Pixels, Segmenter
from Training.peers.setup import PeerSetup, reproducible

ABOUT = About(
    name="sam2",
    title="SAM2",
    modes=(Mode.INTERACTIVE,),
    source="package transformers (Sam2Model); the authors' own package sam2 is the same network but needs torchvision",
    packages={"transformers": "transformers>=5.0"},
    extra="peers-sam",
    licence="code and weights Apache-2.0",
    weights="a folder with config.json and model.safetensors in the transformers format (facebook/sam2.1-hiera-large, "
    "-base-plus, -small or -tiny on Hugging Face), or your own fine-tuning saved with save_pretrained",
    citation="Ravi et al. SAM 2: Segment anything in images and videos. arXiv:2408.00714, 2024.",
    input="RGB stretched to 1024 x 1024, ImageNet mean and deviation; logits bilinear to the image, above 0 "
    "(SAM2Transforms and SAM2ImagePredictor of the authors).",
    notes="First click: three masks, the one rated best is kept, as a single click is ambiguous; later clicks: one "
    "mask, with the previous logits, clipped to -32..32, as mask prompt (as the authors' examples and predictor do).",
)

#: SAM2ImagePredictor gives logits out, and takes them back, within these bounds.
_BOUND = 32.0


class Sam2(Segmenter):
    """The image part of SAM2; its memory over video frames is not used."""

    def __init__(self, model: Any, setup: PeerSetup) -> None:
        self.name = ABOUT.title
        self._model = model.to(setup.device).eval()
        self._device = setup.device

    def encode(self, pixels: Pixels) -> SamImage:
        """uint8 (rows, columns[, 3]) -> embeddings of the float32 (1, 3, 1024, 1024) input."""
        shape = (pixels.shape[0], pixels.shape[1])
        image = imagenet(stretched(shape, INPUT).place(colour(pixels)))
        return SamImage(self._model.get_image_embeddings(image.to(self._device)), shape)

    def by_clicks(
        self, image: SamImage, clicks: Sequence[Click], before: Answer | None, *, cls: Any, reference: Any
    ) -> Answer:
        """Points as SAM's point prompts, the previous logits as its mask prompt."""
        logits, _ = decode(self._model, image, clicks, before, several=before is None, device=self._device)
        return Answer(as_mask(enlarged(logits, image.shape)), memory=logits.clamp(-_BOUND, _BOUND))


def open_peer(setup: PeerSetup) -> Sam2:
    """SAM2 with the model folder of ``setup``."""
    from transformers import Sam2Config, Sam2Model

    if setup.weights is not None:
        return Sam2(load_model(Sam2Model, setup.weights), setup)
    vision = {
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": 16,
            "num_attention_heads": 1,
            "blocks_per_stage": [1, 1, 2, 1],
            "embed_dim_per_stage": [16, 32, 64, 128],
            "num_attention_heads_per_stage": [1, 1, 2, 2],
            "window_size_per_stage": [8, 4, 8, 4],
            "global_attention_blocks": [3],
            "image_size": [INPUT, INPUT],
        },
        "backbone_channel_list": [128, 64, 32, 16],
    }
    with reproducible():
        return Sam2(Sam2Model(Sam2Config(vision_config=vision)), setup)
