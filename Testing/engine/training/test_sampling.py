"""Samples follow from (seed, step, position) alone: deterministic, weighted, and references from another patient."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from KPrismLib.errors import InvalidDataset
from KPrismLib.training.modes import MODE_PROBABILITIES, TrainingMode
from KPrismLib.training.packing import PackedDataset, PackedSlice
from KPrismLib.training.sampling import Sample, Sampler, holds_out
from Testing.engine.training.tiny_training import packed


def dataset(name: str, shows: dict[str, list[tuple[str, ...]]]) -> PackedDataset:
    """A set whose patients have slices that show the given classes."""
    slices = [
        PackedSlice(name, patient, f"{patient}-{n}", 0, 4, 4, 1, 0, classes)
        for patient, pieces in shows.items()
        for n, classes in enumerate(pieces)
    ]
    classes = {c: (1,) for s in slices for c in s.classes}
    return PackedDataset(name, False, classes, tuple(slices), Path("nowhere"), frozenset(s.item for s in slices))


def many(name: str, patients: int, classes: tuple[str, ...] = ("liver", "spleen")) -> PackedDataset:
    return dataset(name, {f"{name}{n}": [classes] * 3 for n in range(patients)})


def identity(sample: Sample) -> tuple[str, str, str, str | None]:
    return sample.dataset.name, sample.target.item, sample.name, sample.reference and sample.reference.item


def draw(sampler: Sampler, count: int, mode: TrainingMode = TrainingMode.SEMANTIC) -> list[Sample]:
    return [s for step in range(count // 10) for s in sampler.batch(step, range(10), mode)]


def test_a_step_is_the_same_whenever_it_is_drawn_and_differs_from_others() -> None:
    sampler = Sampler([many("A", 9)], weights={}, seed=3)
    fresh = Sampler([many("A", 9)], weights={}, seed=3)
    batch = [identity(s) for s in sampler.batch(7, range(8), TrainingMode.IN_CONTEXT)]
    draw(sampler, 50)
    assert [identity(s) for s in sampler.batch(7, range(8), TrainingMode.IN_CONTEXT)] == batch
    assert [identity(s) for s in fresh.batch(7, range(8), TrainingMode.IN_CONTEXT)] == batch
    for other in (
        sampler.batch(8, range(8), TrainingMode.IN_CONTEXT),
        sampler.batch(7, range(8, 16), TrainingMode.IN_CONTEXT),
        Sampler([many("A", 9)], weights={}, seed=4).batch(7, range(8), TrainingMode.IN_CONTEXT),
    ):
        assert [identity(s) for s in other] != batch


def test_a_global_batch_is_the_same_however_it_is_shared() -> None:
    sampler = Sampler([many("A", 9)], weights={}, seed=3, same_volume=0.5)
    whole = [identity(s) for s in sampler.batch(7, range(8), TrainingMode.IN_CONTEXT)]
    shares = [
        sampler.batch(7, positions, TrainingMode.IN_CONTEXT) for positions in (range(3), range(3, 4), range(4, 8))
    ]
    assert [identity(s) for share in shares for s in share] == whole
    assert len(set(whole)) > 4


def test_the_mode_belongs_to_the_step_and_has_the_papers_frequencies() -> None:
    sampler = Sampler([many("A", 2)], weights={}, seed=0)
    modes = [sampler.mode(step) for step in range(3000)]
    assert modes[:50] == [Sampler([many("B", 3)], weights={}, seed=0).mode(step) for step in range(50)]
    counts = Counter(modes)
    for mode, probability in MODE_PROBABILITIES.items():
        assert abs(counts[mode] / 3000 - probability) < 0.04
    assert modes[:50] != [Sampler([many("A", 2)], weights={}, seed=1).mode(step) for step in range(50)]


def test_a_mode_of_share_0_never_comes() -> None:
    sampler = Sampler(
        [many("A", 2)], weights={}, seed=0, modes={TrainingMode.SEMANTIC: 0.0, TrainingMode.INTERACTIVE: 2.0}
    )
    assert {sampler.mode(step) for step in range(50)} == {TrainingMode.INTERACTIVE}


def test_sets_come_by_weight_classes_evenly_and_slices_evenly() -> None:
    uneven = dataset("B", {"p": [("liver",)] * 9 + [("spleen", "liver")]})
    sampler = Sampler([many("A", 3), uneven, many("C", 1)], weights={"B": 3.0, "C": 0.0}, seed=1)
    samples = draw(sampler, 3000)
    sets = Counter(s.dataset.name for s in samples)
    assert abs(sets["B"] / 3000 - 0.75) < 0.03
    assert sets["C"] == 0
    of_b = [s for s in samples if s.dataset.name == "B"]
    names = Counter(s.name for s in of_b)
    assert abs(names["spleen"] / len(of_b) - 0.5) < 0.04  # though one slice in ten shows it
    livers = Counter(s.target.item for s in of_b if s.name == "liver")
    assert len(livers) == 10
    assert max(livers.values()) < 2 * min(livers.values())


def test_a_sample_shows_its_class_and_only_in_context_has_a_reference() -> None:
    mixed = dataset("A", {"p": [("liver",), ("spleen",)], "q": [("spleen", "liver")], "r": [("liver",)]})
    sampler = Sampler([mixed], weights={}, seed=0)
    for mode in TrainingMode:
        for sample in draw(sampler, 200, mode):
            assert sample.name in sample.target.classes
            assert (sample.reference is not None) == (mode is TrainingMode.IN_CONTEXT)


def test_a_reference_shows_the_class_in_another_patient_of_the_set() -> None:
    mixed = dataset(
        "A", {"p": [("liver",), ("spleen",)], "q": [("spleen", "liver")], "r": [("liver",)], "s": [("aorta",)]}
    )
    samples = draw(Sampler([mixed, many("B", 2)], weights={}, seed=0), 400, TrainingMode.IN_CONTEXT)
    for sample in samples:
        assert sample.reference is not None
        assert sample.name in sample.reference.classes
        assert sample.reference.patient != sample.target.patient
        assert sample.reference.dataset == sample.target.dataset
    assert "aorta" not in {s.name for s in samples}  # one patient alone has it


def with_empty_slices(name: str) -> PackedDataset:
    """Volumes of six slices, in turn: liver, liver, liver and spleen, spleen, nothing, a sliver of liver."""
    shows: tuple[tuple[str, ...], ...] = (("liver",), ("liver",), ("liver", "spleen"), ("spleen",), (), ())
    hides: tuple[tuple[str, ...], ...] = (("spleen",), ("spleen",), (), ("liver",), ("liver", "spleen"), ("spleen",))
    slices = [
        PackedSlice(name, patient, f"{patient}-volume", index, 4, 4, 1, 0, shown, hidden)
        for patient in ("p", "q", "r")
        for index, (shown, hidden) in enumerate(zip(shows, hides, strict=True))
    ]
    items = frozenset(s.item for s in slices)
    return PackedDataset(name, False, {"liver": (1,), "spleen": (2,)}, tuple(slices), Path("nowhere"), items)


@pytest.mark.parametrize("mode", [TrainingMode.SEMANTIC, TrainingMode.IN_CONTEXT])
def test_a_share_of_samples_asks_for_a_class_that_is_not_there(mode: TrainingMode) -> None:
    samples = draw(Sampler([with_empty_slices("A")], weights={}, seed=0, absent=0.25), 2000, mode)
    asked = [s for s in samples if s.name not in s.target.classes]
    assert abs(len(asked) / 2000 - 0.25) < 0.04
    assert all(s.name in s.target.absent for s in asked)  # never where a few pixels of it are
    assert {s.target.index for s in asked if s.name == "liver"} == {3, 4}
    assert all(s.reference is None or s.name in s.reference.classes for s in samples)


def test_clicks_are_never_asked_for_on_a_class_that_is_not_there() -> None:
    sampler = Sampler([with_empty_slices("A")], weights={}, seed=0, absent=1.0)
    assert all(s.name in s.target.classes for s in draw(sampler, 300, TrainingMode.INTERACTIVE))


def test_where_every_slice_shows_the_class_it_is_asked_for_where_it_is() -> None:
    sampler = Sampler([many("A", 3)], weights={}, seed=0, absent=1.0)
    assert all(s.name in s.target.classes for s in draw(sampler, 100))


def test_a_share_of_references_comes_from_other_slices_of_the_same_volume() -> None:
    samples = draw(
        Sampler([with_empty_slices("A")], weights={}, seed=0, same_volume=0.4), 2000, TrainingMode.IN_CONTEXT
    )
    own = [s for s in samples if s.reference is not None and s.reference.patient == s.target.patient]
    assert abs(len(own) / 2000 - 0.4) < 0.04
    for sample in own:
        assert sample.reference is not None
        assert sample.reference.item == sample.target.item
        assert sample.reference.index != sample.target.index
        assert sample.name in sample.reference.classes


def test_excluded_items_are_neither_targets_nor_references() -> None:
    sets = [with_empty_slices("A"), with_empty_slices("B")]
    sampler = Sampler(sets, weights={}, seed=0, absent=0.3, same_volume=0.3, exclude=["A:p-volume"])
    samples = draw(sampler, 600, TrainingMode.IN_CONTEXT)
    used = {(s.dataset.name, e.item) for s in samples for e in (s.target, s.reference) if e is not None}
    assert used == {(name, f"{p}-volume") for name in "AB" for p in "pqr"} - {("A", "p-volume")}


def test_without_a_second_patient_references_are_refused_rather_than_sought_forever() -> None:
    lonely = dataset("A", {"p": [("liver",)] * 5, "q": [("spleen",)]})
    sampler = Sampler([lonely], weights={}, seed=0)
    assert not sampler.has_references
    assert sampler.batch(0, range(2), TrainingMode.SEMANTIC)
    with pytest.raises(InvalidDataset, match="two patients"):
        sampler.batch(0, range(2), TrainingMode.IN_CONTEXT)
    assert not Sampler([lonely, many("B", 3)], weights={"B": 0.0}, seed=0).has_references
    assert Sampler([lonely, many("B", 2)], weights={}, seed=0).has_references


def test_held_out_patients_are_never_trained_on_and_all_others_are() -> None:
    sets = [many("A", 200)]
    training = Sampler(sets, weights={}, seed=0, holdout=0.2)
    validation = Sampler(sets, weights={}, seed=5, holdout=0.2, validation=True)
    ours, theirs = ({s.target.patient for s in draw(sampler, 3000)} for sampler in (training, validation))
    assert not ours & theirs
    assert len(ours | theirs) == 200
    assert abs(len(theirs) / 200 - 0.2) < 0.08
    references = {s.reference.patient for s in draw(training, 500, TrainingMode.IN_CONTEXT) if s.reference}
    assert not references & theirs


def test_a_share_of_0_holds_nobody_out() -> None:
    sets = [many("A", 30)]
    assert not holds_out(sets, 0.0)
    assert holds_out(sets, 0.5)
    everyone = {s.target.patient for s in draw(Sampler(sets, weights={}, seed=0), 2000)}
    assert len(everyone) == 30


def test_nobody_is_held_out_whom_validation_could_not_draw() -> None:
    """Of the two patients of C none is held out, of B's thirty many: without B there is no validation."""
    sets = [many("C", 2), many("B", 30)]
    assert not holds_out(sets[:1], 0.2)
    assert holds_out(sets, 0.2, weights={"B": 0.5})
    assert not holds_out(sets, 0.2, weights={"B": 0.0})
    assert not holds_out(sets, 0.2, exclude=[f"B:{s.item}" for s in sets[1].slices])
    assert not holds_out([sets[0], many("B", 30, ())], 0.2)


def test_a_larger_share_keeps_those_who_were_held_out_before() -> None:
    held = [
        {s.target.patient for s in draw(Sampler([many("A", 60)], weights={}, seed=0, holdout=h, validation=True), 1000)}
        for h in (0.1, 0.4)
    ]
    assert held[0] < held[1]


def test_what_leaves_nothing_to_draw_is_told() -> None:
    with pytest.raises(InvalidDataset, match="Nope, which is not among the sets"):
        Sampler([many("A", 2)], weights={"Nope": 1.0}, seed=0)
    with pytest.raises(InvalidDataset, match="exclude names Nope:0, which is not among the sets of the run: A"):
        Sampler([many("A", 2)], weights={}, seed=0, exclude=["A:gone", "Nope:0"])
    with pytest.raises(InvalidDataset, match=r"exclude names A:A0-O, A:zz, which no dataset\.json lists"):
        Sampler([many("A", 2)], weights={}, seed=0, exclude=["A:zz", "A:A0-0", "A:A0-O"])
    with pytest.raises(InvalidDataset, match="No training slice"):
        Sampler([many("A", 2)], weights={"A": 0.0}, seed=0)
    with pytest.raises(InvalidDataset, match="No training slice"):
        Sampler([many("A", 1)], weights={}, seed=0, holdout=1e-9, validation=True)


def test_packed_sets_are_what_it_draws_from(tmp_path: Path) -> None:
    packs = [packed(tmp_path)]
    for sample in Sampler(packs, weights={}, seed=0).batch(0, range(4), TrainingMode.IN_CONTEXT):
        pixels, labels = sample.dataset.load(sample.target)
        assert np.isin(labels, sample.dataset.classes[sample.name]).sum() >= 12
        assert pixels.shape[:2] == labels.shape
