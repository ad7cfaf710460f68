"""A specialist learns one structure from slices of it, and leaves the model that it came from as it was."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from KPrismLib import specialist as module
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.errors import InvalidConfig, InvalidMask
from KPrismLib.evaluation.dice import dice
from KPrismLib.network import MaskPrediction
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import STEPS, TUNED, Example, Specialist
from KPrismLib.training.losses import prediction_loss
from KPrismLib.variation import varied
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor


def bright(phase: float) -> NDArray[np.bool_]:
    return picture(phase=phase) > 170


def example(predictor: Predictor, phase: float, mask: NDArray[np.bool_] | None = None) -> Example:
    pixels = picture(phase=phase)
    return Example(predictor.encode(pixels), pixels, bright(phase) if mask is None else mask)


def learned(predictor: Predictor, *examples: Example, steps: int = STEPS) -> tuple[list[float], Predictor]:
    specialist = Specialist(predictor, examples, name="bright", steps=steps)
    losses = list(specialist.learn())
    return losses, specialist.predictor


@pytest.fixture(autouse=True)
def _large_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network was never trained: it has farther to go."""
    monkeypatch.setattr(module, "COPY_RATE", 0.01)


def test_it_finds_what_it_was_shown_in_a_slice_that_it_was_not_shown() -> None:
    predictor = tiny_predictor()
    losses, taught = learned(predictor, example(predictor, 0.0), example(predictor, 0.8))
    assert len(losses) == STEPS
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    image = predictor.encode(picture(phase=0.4))  # one encoding for both
    before = max(dice(predictor.segment(image, cls=cls).mask, bright(0.4)) for cls in predictor.classes)
    after = dice(taught.segment(image, cls="bright").mask, bright(0.4))
    assert after > max(0.75, before + 0.1)
    assert taught.classes == ("bright",)


def test_the_model_stays_as_it_was_and_only_what_is_tuned_is_copied() -> None:
    predictor = tiny_predictor()
    before = {name: tensor.clone() for name, tensor in predictor.network.state_dict().items()}
    image = predictor.encode(picture(phase=0.4))
    mask = predictor.segment(image, cls="liver").probability
    _, taught = learned(predictor, example(predictor, 0.0), steps=3)
    for name, tensor in predictor.network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    np.testing.assert_array_equal(predictor.segment(image, cls="liver").probability, mask)
    changed = set()
    for name, tensor in taught.network.state_dict().items():
        if not name.startswith(TUNED):
            assert tensor.data_ptr() == predictor.network.state_dict()[name].data_ptr(), name
        elif name != "semantic_table.table" and not torch.equal(tensor, before[name]):
            changed.add(name.split(".")[0])
    assert changed == set(TUNED)
    assert not any(parameter.requires_grad for parameter in taught.network.parameters())


def test_it_starts_from_the_class_that_finds_most_of_the_largest_example(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = tiny_predictor()
    image = predictor.encode(picture())
    small = disk()
    small[:, :30] = False
    shown, found = image, ""

    def segment(_: Predictor, image: EncodedImage, *, cls: str) -> SimpleNamespace:
        right = disk() if image is shown and cls == found else np.zeros((40, 56))
        return SimpleNamespace(probability=(right + 0.01).astype(np.float32))

    monkeypatch.setattr(Predictor, "segment", segment)
    for row, cls in enumerate(predictor.classes):
        shown, found = image, cls
        _, taught = learned(predictor, example(predictor, 0.8, small), Example(image, picture(), disk()), steps=1)
        moved = taught.network.semantic_table.table[0] - predictor.network.semantic_table.table[row]
        assert 0 < moved.abs().max() < 0.03, cls  # one step of at most QUERY_RATE


def test_the_same_examples_give_the_same_specialist() -> None:
    predictor = tiny_predictor()
    image = predictor.encode(picture(phase=0.4))
    torch.manual_seed(1)
    first, one = learned(predictor, example(predictor, 0.0), example(predictor, 0.8), steps=6)
    torch.manual_seed(2)
    with torch.inference_mode():  # a caller who predicts
        second, other = learned(predictor, example(predictor, 0.0), example(predictor, 0.8), steps=6)
    assert first == second
    np.testing.assert_array_equal(
        one.segment(image, cls="bright").probability, other.segment(image, cls="bright").probability
    )


def test_slices_without_the_structure_teach_where_it_is_not() -> None:
    predictor = tiny_predictor()
    nothing = np.zeros((40, 56), dtype=bool)
    shows, lacks = example(predictor, 0.0), example(predictor, 3.0, nothing)
    _, only = learned(predictor, shows)
    _, both = learned(predictor, shows, lacks)
    assert only.segment(lacks.image, cls="bright").mask.sum() > 4 * both.segment(lacks.image, cls="bright").mask.sum()
    assert dice(both.segment(shows.image, cls="bright").mask, shows.mask) > 0.6


def test_a_structure_thinner_than_a_canvas_pixel_is_still_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = tiny_predictor()
    size = 8 * predictor.config.image_size
    vessel = np.zeros((size, size), dtype=bool)
    vessel[size // 4 : -size // 4, size // 2] = True
    pixels = np.where(vessel, 255, picture(size, size)).astype(np.uint8)
    targets = []

    def kept(prediction: MaskPrediction, target: torch.Tensor, layer_weight: float) -> torch.Tensor:
        targets.append(target)
        return prediction_loss(prediction, target, layer_weight)

    monkeypatch.setattr(module, "prediction_loss", kept)
    learned(predictor, Example(predictor.encode(pixels), pixels, vessel), steps=4)
    areas = torch.cat(targets).sum((1, 2, 3)) * 8**2  # changed and as it is
    assert areas.min() > 0.5 * vessel.sum()
    assert areas.max() < 2 * vessel.sum()


def test_examples_are_changed_at_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded positions would be off by a pixel."""
    products = []

    def noted(*given: Any) -> Any:
        products.append((torch.ones(1, 1) @ torch.ones(1, 1)).dtype)
        return varied(*given)

    monkeypatch.setattr(module, "varied", noted)
    predictor = Predictor(tiny_predictor().network, precision="bfloat16")
    learned(predictor, example(predictor, 0.0), steps=2)
    assert products == [torch.float32] * 2


def test_every_example_has_its_turn_before_one_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = tiny_predictor()
    examples = [example(predictor, phase) for phase in (0.0, 0.4, 0.8)]
    areas: list[float] = []
    real = module.varied

    def watched(image: torch.Tensor, target: torch.Tensor, *rest: object) -> tuple[torch.Tensor, torch.Tensor]:
        areas.append(float(target.sum()))
        return real(image, target, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "varied", watched)
    learned(predictor, *examples, steps=9)
    rounds = [sorted(areas[start : start + 3]) for start in (0, 3, 6)]
    assert rounds[0] == rounds[1] == rounds[2]
    assert len(set(rounds[0])) == 3


def test_whoever_stops_before_the_end_has_no_specialist() -> None:
    predictor = tiny_predictor()
    specialist = Specialist(predictor, [example(predictor, 0.0)], steps=5)
    assert len(list(itertools.islice(specialist.learn(), 4))) == 4
    with pytest.raises(InvalidConfig, match="Nothing was learned yet"):
        _ = specialist.predictor
    assert len(specialist) == 5


def test_what_cannot_be_learned_from_is_refused_before_anything_is_computed() -> None:
    predictor = tiny_predictor()
    nothing = np.zeros((40, 56), dtype=bool)
    with pytest.raises(InvalidMask, match="No slice shows the structure"):
        Specialist(predictor, [example(predictor, 0.0, nothing)])
    with pytest.raises(InvalidMask, match="No slice shows the structure"):
        Specialist(predictor, [])
    with pytest.raises(InvalidMask, match="The mask is 56 x 40 but its slice 40 x 56"):
        Specialist(predictor, [example(predictor, 0.0, disk().T)])
    with pytest.raises(InvalidMask, match="NaN"):
        Specialist(predictor, [example(predictor, 0.0, np.full((40, 56), np.nan))])  # type: ignore[arg-type]
    with pytest.raises(InvalidConfig, match="at least 1 step, not 0"):
        Specialist(predictor, [example(predictor, 0.0)], steps=0)
