"""What MedSAM and SAM2 share: SAM's way of taking clicks, through the models of the transformers package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from KPrismLib.errors import InvalidWeights
from KPrismLib.prompts import Click
from Training.peers.segmenter import Answer
from Training.peers.tensors import check_finite

#: The side of SAM's square input, and of its mask of low resolution.
INPUT = 1024
LOW = 256


@dataclass(frozen=True, eq=False)
class SamImage:
    """The embeddings of an image, and its (rows, columns)."""

    embeddings: Any
    shape: tuple[int, int]


def load_model(model_class: Any, folder: Path) -> Any:
    """A model from a folder with config.json and weights, in float32; nothing is downloaded, nothing unpickled.

    Raises:
        InvalidWeights: not such a folder, damaged, or made for another model.
    """
    if not (folder / "config.json").is_file():
        raise InvalidWeights(
            f"{folder} is no model folder of the transformers package; it needs config.json and model.safetensors."
        )
    try:
        model, report = model_class.from_pretrained(
            str(folder),
            dtype=torch.float32,  # else that of the file, which in half precision does not take what adapters give
            local_files_only=True,
            weights_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InvalidWeights(f"{folder} cannot be read as {model_class.__name__}: {_first_line(error)}") from error
    absent = sorted(report["missing_keys"])
    if absent:
        raise InvalidWeights(
            f"{folder} lacks {len(absent)} tensors of {model_class.__name__}, first {absent[0]}; get it again."
        )
    check_finite(model.state_dict(), folder)
    return model


def point_prompt(clicks: Sequence[Click], shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Clicks as SAM takes them.

    Returns:
        float32 (1, 1, clicks, 2), x then y in pixels of the 1024 x 1024 input; int64 (1, 1, clicks), 1 for positive and
        0 for negative.
    """
    rows, columns = shape
    points = [[click.column * INPUT / columns, click.row * INPUT / rows] for click in clicks]
    labels = [int(click.positive) for click in clicks]
    return torch.tensor([[points]], dtype=torch.float32), torch.tensor([[labels]])


def decode(
    model: Any, image: SamImage, clicks: Sequence[Click], before: Answer | None, *, several: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Run the prompt encoder and the decoder.

    Args:
        model: SamModel or Sam2Model.
        image: the embeddings.
        clicks: all clicks so far.
        before: the answer whose memory, logits (1, 1, 256, 256), is the mask prompt.
        several: ask for three masks and keep the one that the model itself rates best.
        device: where it runs.

    Returns:
        logits (1, 1, 256, 256), and the rating of the mask.
    """
    points, labels = point_prompt(clicks, image.shape)
    outputs = model(
        image_embeddings=image.embeddings,
        input_points=points.to(device),
        input_labels=labels.to(device),
        input_masks=None if before is None else before.memory,
        multimask_output=several,
    )
    logits, ratings = outputs.pred_masks[:, 0], outputs.iou_scores[0, 0]  # (1, masks, 256, 256), (masks,)
    best = int(ratings.argmax())
    return logits[:, best : best + 1].float(), ratings[best]


def enlarged(logits: Tensor, shape: tuple[int, int]) -> Tensor:
    """Bilinear, from the low resolution to the image's; as the authors do it, without antialiasing."""
    return F.interpolate(logits, size=shape, mode="bilinear", align_corners=False)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
