"""Batches: what the network is trained on, made from samples."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from KPrismLib.training import batches
from KPrismLib.training.augmentation import AugmentationConfig, Scratch
from KPrismLib.training.batches import Batch, BatchMaker
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.packing import PackedDataset
from KPrismLib.training.sampling import Sample
from KPrismLib.training.sampling_map import SamplingMap
from Testing.engine.training.tiny_training import labels, packed, pixels

CLASSES = ("aorta", "spleen", "liver")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PackedDataset:
    return packed(tmp_path_factory.mktemp("data"))


def samples(dataset: PackedDataset, *, reference: bool = False) -> list[Sample]:
    s = dataset.slices
    return [
        Sample(dataset, s[0], "liver", s[5] if reference else None),
        Sample(dataset, s[3], "spleen", s[9] if reference else None),
    ]


def test_without_augmentation_a_batch_is_the_slices_themselves(dataset: PackedDataset) -> None:
    maker = BatchMaker(CLASSES, None, seed=0)
    batch = maker.make(samples(dataset), mode=TrainingMode.SEMANTIC, size=48, step=3, first=0)
    assert (batch.mode, batch.step) == (TrainingMode.SEMANTIC, 3)
    assert batch.image.shape == (2, 3, 48, 48)
    assert batch.class_index.tolist() == [2, 1]
    assert batch.reference_image is None
    assert batch.reference_mask is None
    for row, (number, value) in enumerate([(0, 1), (3, 2)]):
        assert np.array_equal(batch.image[row, 1].numpy(), pixels(number))
        assert np.array_equal(batch.mask[row, 0].numpy(), labels(number) == value)


def test_references_stand_beside_their_targets(dataset: PackedDataset) -> None:
    batch = BatchMaker(CLASSES, None, seed=0).make(
        samples(dataset, reference=True), mode=TrainingMode.IN_CONTEXT, size=48, step=0, first=0
    )
    assert batch.reference_image is not None
    assert batch.reference_mask is not None
    assert batch.reference_image.shape == (2, 1, 3, 48, 48)
    for row, (number, value) in enumerate([(5, 1), (9, 2)]):
        assert np.array_equal(batch.reference_mask[row, 0, 0].numpy(), labels(number) == value)
        assert np.array_equal(batch.reference_image[row, 0, 2].numpy(), pixels(number))


def test_step_and_position_decide_the_augmentation_of_a_sample(dataset: PackedDataset) -> None:
    maker = BatchMaker(CLASSES, AugmentationConfig(), seed=0)

    def image(step: int, first: int, chosen: list[Sample]) -> torch.Tensor:
        return maker.make(chosen, mode=TrainingMode.SEMANTIC, size=32, step=step, first=first).image

    both = samples(dataset)
    whole = image(4, 0, both)
    assert torch.equal(image(4, 0, both), whole)
    assert torch.equal(torch.cat([image(4, 0, both[:1]), image(4, 1, both[1:])]), whole)
    for other in (image(5, 0, both), image(4, 2, both)):
        assert not torch.equal(other, whole)


def test_augmented_masks_stay_with_what_they_outline(dataset: PackedDataset) -> None:
    """Livers are bright and spleens dim: the mask's own pixels must remain so."""
    quiet = AugmentationConfig(intensity=0.0, blur=0.0, noise=0.0, colour=0.0)
    maker = BatchMaker(CLASSES, quiet, seed=0)
    for step in range(6):
        batch = maker.make(samples(dataset, reference=True), mode=TrainingMode.IN_CONTEXT, size=48, step=step, first=0)
        assert batch.reference_image is not None
        assert batch.reference_mask is not None
        for image, mask in ((batch.image, batch.mask), (batch.reference_image[:, 0], batch.reference_mask[:, 0])):
            values = image[:, :1].float()
            assert (values[0][mask[0] > 0] > 150).float().mean() > 0.8
            assert ((values[1][mask[1] > 0] - 135).abs() < 45).float().mean() > 0.8


@pytest.mark.parametrize(
    ("modality", "mode", "flips"),
    [
        ("CT", TrainingMode.SEMANTIC, False),
        ("CT", TrainingMode.IN_CONTEXT, False),
        ("CT", TrainingMode.INTERACTIVE, True),  # a click has no side
        ("Dermoscopy", TrainingMode.SEMANTIC, True),
        ("Dermoscopy", TrainingMode.IN_CONTEXT, True),
    ],
)
def test_images_are_mirrored_only_where_sides_mean_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modality: str, mode: TrainingMode, flips: bool
) -> None:
    asked: list[bool] = []
    real = batches.random_sampling

    def spy(*arguments: object, **named: object) -> Any:
        asked.append(bool(named["flips"]))
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "random_sampling", spy)
    chosen = samples(packed(tmp_path, modality=modality), reference=mode is TrainingMode.IN_CONTEXT)
    BatchMaker(CLASSES, AugmentationConfig(), seed=0).make(chosen, mode=mode, size=32, step=0, first=0)
    assert set(asked) == {flips}


def test_half_of_the_samples_of_the_sets_that_are_named_are_upside_down_with_their_references(
    dataset: PackedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    real = batches.random_sampling

    def spy(*arguments: object, **named: object) -> Any:
        asked.append(bool(named["half_turn"]))
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "random_sampling", spy)
    chosen = samples(dataset, reference=True) * 20
    others = BatchMaker(CLASSES, AugmentationConfig(), seed=0, upside_down=["Other"])
    others.make(chosen, mode=TrainingMode.IN_CONTEXT, size=32, step=0, first=0)
    assert set(asked) == {False}
    asked.clear()
    maker = BatchMaker(CLASSES, AugmentationConfig(), seed=0, upside_down=["Tiny"])
    maker.make(chosen, mode=TrainingMode.IN_CONTEXT, size=32, step=0, first=0)
    assert asked[0::2] == asked[1::2]
    assert 10 < sum(asked[0::2]) < 30


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_never_in_view_is_left_as_it_is_but_for_its_half_turn(
    dataset: PackedDataset, monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    plain = BatchMaker(CLASSES, None, seed=0).make(
        samples(dataset), mode=TrainingMode.SEMANTIC, size=48, step=0, first=0
    )
    away = SamplingMap.affine(np.eye(2), np.array([9.0, 9.0]), 48)
    monkeypatch.setattr(batches, "random_sampling", lambda *_, **__: away)
    still = AugmentationConfig(intensity=0, blur=0, noise=0, colour=0)
    maker = BatchMaker(CLASSES, still, seed=0)
    entry = samples(dataset)[0]
    _, mask = maker._load(entry, entry.target, Scratch(48), 48, np.random.default_rng(0), TrainingMode.SEMANTIC, turned)
    expected = plain.mask[0, 0].numpy()
    assert expected.any()
    # The slice fills the canvas.
    assert np.array_equal(mask, expected[::-1, ::-1] if turned else expected)


def test_a_small_structure_that_is_all_in_view_is_augmented(
    dataset: PackedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[SamplingMap] = []

    def mirrored(*_: object, **__: object) -> SamplingMap:
        drawn.append(SamplingMap.affine(np.diag([-1.0, 1.0]), np.zeros(2), 48))
        return drawn[-1]

    monkeypatch.setattr(batches, "random_sampling", mirrored)
    monkeypatch.setattr(batches, "_IN_VIEW", 10**6)
    plain = BatchMaker(CLASSES, None, seed=0).make(
        samples(dataset), mode=TrainingMode.SEMANTIC, size=48, step=0, first=0
    )
    maker = BatchMaker(CLASSES, AugmentationConfig(), seed=0)
    batch = maker.make(samples(dataset), mode=TrainingMode.SEMANTIC, size=48, step=0, first=0)
    assert len(drawn) == 2  # one draw for each: nothing of the structures is lost
    assert torch.equal(batch.mask, plain.mask.flip(-1))


def test_an_absent_class_is_augmented_like_any_other(dataset: PackedDataset) -> None:
    cleared = dataclasses.replace(dataset, classes={"aorta": (9,)})
    chosen = [Sample(cleared, dataset.slices[0], "aorta", None)]
    plain, augmented = (
        BatchMaker(CLASSES, strength, seed=0).make(chosen, mode=TrainingMode.SEMANTIC, size=48, step=0, first=0)
        for strength in (None, AugmentationConfig(rotation=25.0))
    )
    assert not augmented.mask.any()
    assert not torch.equal(plain.image, augmented.image)
    assert (augmented.image[0, 0, 0] != plain.image[0, 0, 0]).any()


def test_a_structure_moved_out_of_view_is_drawn_again(dataset: PackedDataset) -> None:
    wild = AugmentationConfig(shift=3.0)
    maker = BatchMaker(CLASSES, wild, seed=0)
    for step in range(10):
        batch = maker.make(samples(dataset), mode=TrainingMode.SEMANTIC, size=48, step=step, first=0)
        assert (batch.mask.sum((1, 2, 3)) >= 8).all()


def test_a_batch_is_bytes_until_it_is_on_a_device(dataset: PackedDataset) -> None:
    batch = BatchMaker(CLASSES, None, seed=0).make(
        samples(dataset, reference=True), mode=TrainingMode.IN_CONTEXT, size=32, step=5, first=8
    )
    assert batch.reference_image is not None
    assert batch.reference_mask is not None
    assert batch.image.dtype == batch.reference_image.dtype == torch.uint8
    assert batch.mask.dtype == batch.reference_mask.dtype == torch.bool
    moved = batch.to(torch.device("cpu"))
    assert isinstance(moved, Batch)
    assert (moved.mode, moved.step, moved.first) == (TrainingMode.IN_CONTEXT, 5, 8)
    assert moved.image.is_contiguous(memory_format=torch.channels_last)
    for ours, theirs in ((moved.image, batch.image), (moved.reference_image, batch.reference_image)):
        assert ours is not None
        torch.testing.assert_close(ours, (theirs.float() - 127.5) / 64)
    for ours, theirs in ((moved.mask, batch.mask), (moved.reference_mask, batch.reference_mask)):
        assert ours is not None
        assert torch.equal(ours, theirs.float())
    assert torch.equal(moved.class_index, batch.class_index)
    meta = batch._replace(reference_image=None, reference_mask=None).to(torch.device("meta"))
    assert meta.image.device.type == meta.mask.device.type == meta.class_index.device.type == "meta"
    assert meta.reference_image is None
