"""What a batch skips: only what was made with the same settings; and that its numbers are those of its masks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.weights import save_weights
from Testing.engine.command.conftest import decided_network
from Testing.engine.command.tiny_inputs import statuses, tiny_config


@pytest.fixture
def model(weights: Path, tmp_path: Path) -> Path:
    """Weights that may be changed."""
    return Path(shutil.copy(weights, tmp_path / "model.safetensors"))


@pytest.fixture
def again(kprism, model, good, tmp_path):
    """Runs a batch of the one volume, and gives what became of it."""

    def run(*arguments: object) -> str:
        result = kprism(
            "segment", good / "sub", "-o", tmp_path / "results", "--model", model, "--json", *arguments
        )  # fmt: skip
        assert result.status == 0, result.err
        return statuses(result)["b"]

    return run


@pytest.mark.parametrize(
    "change",
    [
        ("--class", "spleen"),
        ("--window", "min-max"),
        ("--plane", "coronal"),
        ("--slice", "1"),
        ("--every-piece",),
        ("--format", "nii.gz"),
    ],
    ids=lambda change: change[0],
)
def test_another_setting_is_another_result(again, change) -> None:
    first = ("--class", "liver", "--window", "percentile-2-98", "--plane", "axial")
    assert again(*first) == "done"
    assert again(*first) == "skipped"
    changed = dict(zip(first[::2], first[1::2], strict=True)) | dict([change if len(change) == 2 else (*change, None)])
    arguments = [word for pair in changed.items() for word in pair if word is not None]
    assert again(*arguments) == "done"
    assert again(*arguments) == "skipped"


def test_weights_are_known_by_what_is_in_them(again, model) -> None:
    assert again("--class", "liver") == "done"
    save_weights(model, decided_network(9).state_dict(), tiny_config(), {"training": "none"})
    assert again("--class", "liver") == "done"
    assert again("--class", "liver") == "skipped"


def test_how_many_references_serve_is_a_setting(again, volume, volume_mask) -> None:
    library = ("--reference", volume, volume_mask, "--reference-label", "1", "--slice", "all")
    assert again(*library, "--best", 1) == "done"
    assert again(*library, "--best", 2) == "done"
    assert again(*library, "--best", 2) == "skipped"


def test_masks_of_a_batch_are_neither_empty_nor_full_and_lie_where_the_record_says(batch, good, tmp_path) -> None:
    records = {record["case"]: record for record in json.loads(batch(good, "--json").out)["cases"]}
    for name in ("a", "sub/b"):
        labels = read_label_volume(tmp_path / "results" / f"{name}.seg.nrrd").array
        (segment,) = records[name]["segments"]
        assert 0 < segment["voxels"] == np.count_nonzero(labels) < labels.size
    voxel = abs(np.linalg.det(read_label_volume(tmp_path / "results" / "sub" / "b.seg.nrrd").ijk_to_ras))
    assert records["sub/b"]["segments"][0]["millilitres"] == pytest.approx(
        records["sub/b"]["segments"][0]["voxels"] * voxel / 1000
    )
