"""nnU-Net's model folders: checked before somebody unpickles them, and made at random for trying things out.

FOLDER/plans.json  FOLDER/dataset.json  FOLDER/fold_N/checkpoint_final.pth
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import nn

from KPrismLib.errors import InvalidWeights
from Training.peers.setup import reproducible
from Training.peers.tensors import check_finite, read_checkpoint

CHECKPOINT = "checkpoint_final.pth"
_FILES = ("plans.json", "dataset.json")
#: Of 8-bit pictures; read by nnU-Net even where the normalisation does not use them.
_INTENSITIES = {"mean": 127.5, "std": 73.6, "percentile_00_5": 0.0, "percentile_99_5": 255.0}


def to_errors() -> redirect_stdout[Any]:
    """nnU-Net and its descendants print their licence and more on loading; standard output belongs to results."""
    return redirect_stdout(sys.stderr)


def silent() -> redirect_stdout[Any]:
    """They also print with every prediction, which nobody needs to read."""
    return redirect_stdout(io.StringIO())


def checked_folds(folder: Path) -> list[Path]:
    """The fold folders of a model folder, after making sure that their checkpoints hold plain values only.

    nnU-Net unpickles checkpoints, which runs whatever code they hold. Whoever passes this check holds none.

    Raises:
        InvalidWeights: a file of the folder is missing, damaged, or holds more than tensors and plain values, or
            weights that are no numbers.
    """
    folds = sorted(path.parent for path in folder.glob(f"fold_*/{CHECKPOINT}"))
    missing = [name for name in _FILES if not (folder / name).is_file()] or ([] if folds else [f"fold_0/{CHECKPOINT}"])
    if missing:
        raise InvalidWeights(
            f"{folder} is no nnU-Net model folder: {' and '.join(missing)} missing; give the folder that training or "
            "the download made, the one with plans.json in it."
        )
    for fold in folds:
        content = read_checkpoint(fold / CHECKPOINT)
        if not isinstance(content, Mapping) or not {"network_weights", "trainer_name", "init_args"} <= content.keys():
            raise InvalidWeights(f"{fold / CHECKPOINT} is no checkpoint of nnU-Net; get the model folder again.")
        check_finite(content["network_weights"], fold / CHECKPOINT)
    return folds


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder.

    Raises:
        InvalidWeights: it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidWeights(f"{path} is not readable as JSON ({error}); get the model folder again.") from error
    if not isinstance(content, dict):
        raise InvalidWeights(f"{path} must hold a JSON object.")
    return content


def random_folder(
    folder: Path,
    *,
    patch_size: Sequence[int],
    input_channels: int,
    classes: Sequence[str],
    trainer: str,
    network_inputs: int | None = None,
) -> Path:
    """Write a small model folder with random weights, so that random weights travel the same road as real ones.

    Args:
        folder: an empty folder.
        patch_size: two or three numbers; they decide the dimension of the network.
        input_channels: 1 for grey, 3 for colour.
        classes: names of the labels after background.
        trainer: name of the trainer class that is recorded.
        network_inputs: channels of the network where they are more than those of the image.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    configuration = "2d" if len(patch_size) == 2 else "3d_fullres"
    architecture = _architecture(len(patch_size))
    plans = {
        "dataset_name": "Dataset000_Random",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [999.0, 1.0, 1.0],
        "original_median_shape_after_transp": [1, *patch_size[-2:]],
        "image_reader_writer": "NaturalImage2DIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "none",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): _INTENSITIES for channel in range(input_channels)
        },
        "configurations": {configuration: _configuration(patch_size, input_channels, architecture)},
    }
    dataset = {
        "channel_names": {str(channel): "natural" for channel in range(input_channels)},
        "labels": {"background": 0, **{name: number for number, name in enumerate(classes, start=1)}},
        "file_ending": ".png",
        "numTraining": 0,
    }
    with reproducible(), silent():
        network: nn.Module = get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            network_inputs or input_channels,
            len(classes) + 1,
            deep_supervision=False,
        )
    checkpoint = {
        "network_weights": network.state_dict(),
        "trainer_name": trainer,
        "init_args": {"configuration": configuration},
        "inference_allowed_mirroring_axes": None,
    }
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans), encoding="utf-8")
    (folder / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    torch.save(checkpoint, folder / "fold_0" / CHECKPOINT)
    return folder


def _configuration(patch_size: Sequence[int], channels: int, architecture: Mapping[str, Any]) -> dict[str, Any]:
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": "nnUNetPlans_random",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 1,
        "patch_size": list(patch_size),
        "spacing": [1.0] * len(patch_size),
        "median_image_size_in_voxels": list(patch_size),
        "normalization_schemes": ["ZScoreNormalization"] * channels,
        "use_mask_for_norm": [False] * channels,
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "batch_dice": True,
        "architecture": dict(architecture),
    }


def _architecture(dimensions: int) -> dict[str, Any]:
    stages = 3
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": [8, 16, 32],
            "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
            "kernel_sizes": [[3] * dimensions] * stages,
            "strides": [[1] * dimensions] + [[2] * dimensions] * (stages - 1),
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
