"""Every mode of section 3.1 as a whole: shapes, independence within a batch, order, dummies, and fixed numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from KPrismLib.network import Clicks, DensePrompt, KPrism, ReferenceMemory, normalise
from KPrismLib.network.query_set import QuerySet
from Testing.engine.network.tiny_network import (
    MODES,
    blob,
    double_network,
    filled,
    knowledge,
    prompt,
    scene,
    tiny_config,
)

SIZES = [(32, 32), (48, 32), (16, 64)]


@pytest.fixture(scope="module")
def network() -> KPrism:
    return double_network()


def one_sample(given: dict[str, Any], b: int) -> dict[str, Any]:
    """The knowledge of a single sample of a batch."""

    def cut(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[b : b + 1]
        if isinstance(value, DensePrompt | Clicks | ReferenceMemory | QuerySet):
            return type(value)(**{f.name: cut(getattr(value, f.name)) for f in dataclasses.fields(value)})
        return value

    return {name: cut(value) for name, value in given.items()}


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("mode", "count"), [*((m, 1) for m in MODES), ("in-context", 3), ("refine in-context", 3)])
def test_a_sample_alone_gets_the_mask_that_it_gets_in_a_batch(
    network: KPrism, mode: str, size: tuple[int, int], count: int
) -> None:
    image = scene(3, size)
    given = knowledge(network, mode, 3, size, count=count)
    whole = network(network.encode_image(image), **given)
    assert whole.logits.shape == (3, 1, *size)
    assert whole.logits.dtype == torch.float32
    assert torch.isfinite(whole.logits).all()
    assert len(whole.layer_logits) == 5 + (mode in ("in-context",))
    for b in range(3):
        alone = network(network.encode_image(image[b : b + 1]), **one_sample(given, b))
        torch.testing.assert_close(alone.logits, whole.logits[b : b + 1], rtol=1e-5, atol=1e-5)
        for ours, theirs in zip(alone.layer_logits, whole.layer_logits, strict=True):
            torch.testing.assert_close(ours, theirs[b : b + 1])
    assert (whole.logits[0] - whole.logits[1]).abs().max() > 1e-3  # samples do differ


@torch.no_grad()
@pytest.mark.parametrize("mode", ["in-context", "refine in-context"])
def test_the_order_of_references_does_not_matter_but_what_they_are_does(network: KPrism, mode: str) -> None:
    size = (32, 48)
    image, mask = scene(3, size).flip(-1), blob(3, size)
    parts = [
        network.encode_reference(network.encode_image(i[None]), i[None, None], m[None, None])
        for i, m in zip(image, mask, strict=True)
    ]
    features = network.encode_image(scene(1, size))
    given = knowledge(network, mode, 1, size)

    def logits(chosen: list[Any]) -> Tensor:
        result: Tensor = network(features, **given | {"reference": network.remember(chosen)}).logits
        return result

    whole = logits(parts)
    torch.testing.assert_close(logits([parts[2], parts[0], parts[1]]), whole, rtol=1e-5, atol=1e-6)
    assert (logits(parts[:1]) - whole).abs().max() > 1e-4
    at_once = network.encode_reference(network.encode_image(image), image[None], mask[None])
    torch.testing.assert_close(logits([at_once]), whole, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_references_may_differ_in_size_from_each_other_and_from_the_image(network: KPrism) -> None:
    parts = [
        network.encode_reference(network.encode_image(scene(1, s)), scene(1, s)[None], blob(1, s)[None])
        for s in ((32, 32), (64, 16))
    ]
    memory = network.remember(parts)
    assert memory.keys.shape == memory.values.shape == (1, 32, 4 + 4)
    assert network(network.encode_image(scene(1, (48, 32))), reference=memory).logits.shape == (1, 1, 48, 32)


@torch.no_grad()
def test_keys_values_and_pooled_features_belong_to_the_same_position(network: KPrism) -> None:
    """Position p of sample b, reference r is column r * h * w + p, whatever is read there (Eq. 5)."""
    size = (32, 48)
    image, mask = scene(4, size), blob(4, size)
    features = network.encode_image(image)
    part = network.encode_reference(features, image.unflatten(0, (2, 2)), mask.unflatten(0, (2, 2)))
    values = network.mask_encoder.values(image, mask)
    pooled = network.projections[0](features.maps.s16)
    for b, r, row, column in [(0, 0, 0, 0), (0, 1, 1, 2), (1, 0, 0, 1), (1, 1, 1, 0)]:
        place, flat = r * 6 + row * 3 + column, 2 * b + r
        cell = mask[flat, 0, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        torch.testing.assert_close(part.keys[b, :, place], features.maps.s16[flat, :, row, column])
        torch.testing.assert_close(part.values[b, :, place], values[flat, :, row, column])
        torch.testing.assert_close(part.pooled[b, place], pooled[flat, :, row, column])
        assert part.fraction[b, place].item() == pytest.approx(cell.mean().item())


@torch.no_grad()
@pytest.mark.parametrize("mode", ["interactive", "refine semantic", "refine in-context"])
def test_dummy_clicks_have_no_influence_at_all(network: KPrism, mode: str) -> None:
    size = (32, 48)
    features = network.encode_image(scene(2, size))
    given = knowledge(network, mode, 2, size)
    clicks = given["prompt"].clicks
    expected = network(features, **given)
    for place, positive in (((0, 0), False), ((20, 40), True)):
        padded = Clicks(
            torch.cat([clicks.row_column, torch.tensor(place).expand(2, 3, 2)], 1),
            torch.cat([clicks.positive, torch.full((2, 3), positive)], 1),
            torch.cat([clicks.valid, torch.zeros(2, 3, dtype=torch.bool)], 1),
        )
        found = network(features, **given | {"prompt": dataclasses.replace(given["prompt"], clicks=padded)})
        torch.testing.assert_close(found.logits, expected.logits, rtol=1e-6, atol=1e-6)
        for ours, theirs in zip(found.layer_logits, expected.layer_logits, strict=True):
            torch.testing.assert_close(ours, theirs)


@torch.no_grad()
def test_each_part_of_a_prompt_changes_the_mask(network: KPrism) -> None:
    size = (32, 48)
    features = network.encode_image(scene(1, size))
    given = prompt(1, size)
    before = network(features, prompt=given).logits
    clicks = given.clicks
    changed = [
        dataclasses.replace(given, previous_logits=None),
        dataclasses.replace(given, previous_logits=-given.previous_logits),  # type: ignore[operator]
        dataclasses.replace(given, maps=given.maps.flip(1)),
        dataclasses.replace(given, clicks=dataclasses.replace(clicks, positive=~clicks.positive)),
        dataclasses.replace(given, clicks=dataclasses.replace(clicks, row_column=clicks.row_column.flip(1))),
    ]
    for other in changed:
        assert (network(features, prompt=other).logits - before).abs().max() > 1e-4


@torch.no_grad()
def test_the_class_decides_in_the_semantic_modes(network: KPrism) -> None:
    features = network.encode_image(scene(1, (32, 32)))
    masks = [network(features, class_index=torch.tensor([row])).logits for row in (0, 1)]
    assert (masks[0] - masks[1]).abs().max() > 1e-3


def test_knowledge_must_be_given_and_not_twice(network: KPrism) -> None:
    features = network.encode_image(scene(1, (32, 32)))
    given = knowledge(network, "in-context", 1, (32, 32))
    with pytest.raises(ValueError, match="not both"):
        network(features, class_index=torch.tensor([0]), reference=given["reference"])
    with pytest.raises(ValueError, match="class, references or clicks"):
        network(features)


@torch.no_grad()
def test_one_image_can_be_seen_by_a_batch_of_questions(network: KPrism) -> None:
    image = scene(1, (32, 48))
    features = network.encode_image(image)
    assert features.image_size == (32, 48)
    both = network(features.expand(2), class_index=torch.tensor([0, 1])).logits
    repeated = network(network.encode_image(image.expand(2, -1, -1, -1)), class_index=torch.tensor([0, 1])).logits
    torch.testing.assert_close(both, repeated)


@torch.no_grad()
@pytest.mark.parametrize("mode", MODES)
def test_the_loop_over_experts_gives_the_same_masks(network: KPrism, mode: str) -> None:
    loop = KPrism(tiny_config(attention="loop")).double().eval()
    loop.load_state_dict(network.state_dict())
    given = knowledge(network, mode, 2, (32, 48))
    features = network.encode_image(scene(2, (32, 48)))
    torch.testing.assert_close(loop(features, **given).logits, network(features, **given).logits)


@torch.no_grad()
@pytest.mark.parametrize("mode", MODES)
def test_half_precision_autocast_stays_near(mode: str) -> None:
    network = filled(KPrism(tiny_config())).eval()
    given = knowledge(network, mode, 1, (32, 48), dtype=torch.float32)
    image = scene(1, (32, 48), dtype=torch.float32)
    exact = network(network.encode_image(image), **given).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = network(network.encode_image(image), **given).logits
    assert coarse.dtype == torch.float32
    assert (coarse - exact).abs().mean() < 0.1 * exact.std()


def test_network_input_is_centred_on_zero() -> None:
    found = normalise(torch.tensor([0, 127, 255], dtype=torch.uint8))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor([-127.5, -0.5, 127.5]) / 64)


GOLDEN = {
    "semantic": (0.196694, 0.104169, 0.155202, 0.213131, 0.367586),
    "in-context": (0.198662, 0.105388, 0.155105, 0.216472, 0.388207),
    "interactive": (0.197362, 0.102693, 0.155194, 0.216784, 0.356287),
    "refine semantic": (0.197140, 0.102321, 0.155195, 0.204309, 0.355292),
    "refine in-context": (0.197368, 0.103018, 0.155183, 0.209297, 0.356260),
}


@torch.no_grad()
@pytest.mark.parametrize("mode", MODES)
def test_numbers_with_fixed_parameters_do_not_move(network: KPrism, mode: str) -> None:
    """Weights in use were trained with this arithmetic: (mean, standard deviation, three places)."""
    logits = network(network.encode_image(scene(2, (32, 48))), **knowledge(network, mode, 2, (32, 48))).logits
    places = [logits[0, 0, 0, 0], logits[1, 0, 20, 7], logits[0, 0, 31, 47]]
    found = tuple(v.item() for v in (logits.mean(), logits.std(), *places))
    assert found == pytest.approx(GOLDEN[mode], rel=2e-4, abs=2e-5)
