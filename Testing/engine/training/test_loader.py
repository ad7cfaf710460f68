"""The loader: the same batches whatever the number of workers and of processes, from any step on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.training.augmentation import AugmentationConfig
from KPrismLib.training.batches import Batch, BatchMaker
from KPrismLib.training.config import Phase
from KPrismLib.training.loader import StepBatches, in_order
from KPrismLib.training.packing import PackedDataset
from KPrismLib.training.sampling import Sampler
from Testing.engine.training.tiny_training import packed, tiny_config

STEPS = 6


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PackedDataset:
    return packed(tmp_path_factory.mktemp("data"))


def batches(dataset: PackedDataset, *, accumulate: int = 1, rank: int = 0, processes: int = 1) -> StepBatches:
    """Six steps over two phases, of four samples each."""
    phases = (Phase(size=32, steps=4, batch=4), Phase(size=48, steps=2, batch=4))
    config = tiny_config(Path("nowhere"), phases=phases, accumulate=accumulate)
    maker = BatchMaker(("liver", "spleen"), AugmentationConfig(), seed=0)
    return StepBatches(config, Sampler([dataset], weights={}, seed=0), maker, rank=rank, processes=processes)


def assert_same(ours: Batch, theirs: Batch) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def joined(parts: Iterable[Batch]) -> Batch:
    """The global batch that the parts make up."""
    ordered = sorted(parts, key=lambda part: part.first)
    tensors = [None if t[0] is None else torch.cat(t) for t in zip(*(part[3:] for part in ordered), strict=True)]
    return Batch(ordered[0].mode, ordered[0].step, ordered[0].first, *tensors)


def test_workers_change_nothing(dataset: PackedDataset) -> None:
    made = list(in_order(batches(dataset), range(STEPS)))
    ahead = list(in_order(batches(dataset), range(STEPS), workers=2))
    assert len(made) == len(ahead) == STEPS
    assert {part.mode for (part,) in made} != {made[0][0].mode}
    for (one,), (other,) in zip(made, ahead, strict=True):
        assert_same(one, other)
    assert [part.image.shape[-1] for (part,) in made] == [32] * 4 + [48] * 2


def test_it_starts_at_any_step(dataset: PackedDataset) -> None:
    for step, (part,) in zip((3, 4), in_order(batches(dataset), range(3, 5)), strict=True):
        assert_same(part, batches(dataset)[step][0])


@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (1, 2), (2, 2), (4, 1)])
def test_processes_and_accumulated_parts_share_one_global_batch(
    dataset: PackedDataset, processes: int, accumulate: int
) -> None:
    for step in range(STEPS):
        (whole,) = batches(dataset)[step]
        shares = [
            batches(dataset, accumulate=accumulate, rank=rank, processes=processes)[step] for rank in range(processes)
        ]
        assert all(len(share) == accumulate for share in shares)
        assert {part.mode for share in shares for part in share} == {whole.mode}
        assert_same(joined(part for share in shares for part in share), whole)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(dataset: PackedDataset) -> None:
    with pytest.raises(InvalidConfig, match=r"batch of 4 .* 3 processes .* multiple of 3"):
        batches(dataset, processes=3)
    with pytest.raises(InvalidConfig, match="multiple of 8"):
        batches(dataset, processes=2, accumulate=4)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_is_still_one_sentence(dataset: PackedDataset, workers: int) -> None:
    wrong = batches(dataset)
    wrong._maker = BatchMaker(("liver", "spleen"), None, seed=0)

    class Lonely(Sampler):
        def batch(self, *_: object) -> list[object]:  # type: ignore[override]
            raise InvalidDataset("No class is shown by two patients.")

    wrong._sampler = Lonely([dataset], weights={}, seed=0)
    with pytest.raises(InvalidDataset) as caught:
        next(in_order(wrong, range(2), workers=workers))
    assert str(caught.value) == "No class is shown by two patients."
