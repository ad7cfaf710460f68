"""Reference read-out, against Eq. 6 and 13-15 written out."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.network.readout import affinity, read_out


def slow_read_out(keys: torch.Tensor, values: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """Loops over query and reference positions; W is a softmax of negative squared distances, divided by sqrt(C)."""
    batch, channels, height, width = query.shape
    fused = torch.zeros(batch, values.shape[1], height, width, dtype=query.dtype)
    for b in range(batch):
        for row in range(height):
            for column in range(width):
                distances = torch.stack(
                    [((keys[b, :, i] - query[b, :, row, column]) ** 2).sum() for i in range(keys.shape[2])]
                )
                weights = (-distances / math.sqrt(channels)).softmax(0)
                fused[b, :, row, column] = sum(w * values[b, :, i] for i, w in enumerate(weights))
    return fused


@given(batch=st.integers(1, 2), channels=st.integers(1, 9), positions=st.integers(1, 8), seed=st.integers(0, 99))
def test_affinity_is_negative_squared_distance_up_to_what_the_softmax_cancels(
    batch: int, channels: int, positions: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(batch, channels, positions, dtype=torch.float64, generator=generator) * 3
    query = torch.randn(batch, channels, 5, dtype=torch.float64, generator=generator) * 3
    distance = (query.transpose(1, 2)[:, :, None] - keys.transpose(1, 2)[:, None]).square().sum(-1)  # (B, 5, n)
    found = affinity(keys, query)
    torch.testing.assert_close(found.softmax(-1), (-distance / math.sqrt(channels)).softmax(-1))
    assert torch.equal(found.argsort(-1, descending=True), distance.argsort(-1))


def test_affinity_is_not_rounded_by_autocast() -> None:
    """Far from the origin 2 k.q and |k|^2 are large, and what is left of them lies below the digits of bfloat16."""
    generator = torch.Generator().manual_seed(0)
    keys, query = (torch.randn(1, 64, n, generator=generator).add(3).bfloat16() for n in (9, 5))
    exact = affinity(keys.double(), query.double())
    with torch.autocast("cpu", torch.bfloat16):
        found = affinity(keys, query)
        assert (query.transpose(1, 2) @ keys).dtype == torch.bfloat16  # nobody switched it off for good
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        again = affinity(keys.float(), query.float())
    assert torch.equal(again, found)


def test_gradients_come_through_autocast_as_exact() -> None:
    generator = torch.Generator().manual_seed(0)
    keys, query = (torch.randn(1, 64, n, generator=generator).add(3) for n in (9, 5))

    def gradient(autocast: bool) -> torch.Tensor:
        leaf = keys.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = affinity(leaf, query).softmax(-1).square().sum()
        loss.backward()
        assert leaf.grad is not None
        return leaf.grad

    assert torch.equal(gradient(autocast=True), gradient(autocast=False))


def test_features_of_half_precision_are_read_out_in_half_precision() -> None:
    keys, values = torch.randn(2, 1, 4, 7).bfloat16()
    query = torch.randn(1, 4, 2, 3).bfloat16()
    found = read_out(keys, values, query)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), read_out(keys.float(), values.float(), query.float()), rtol=0, atol=0.03)


def test_read_out_equals_its_definition_on_a_map_that_is_not_square() -> None:
    keys, values = torch.randn(2, 2, 4, 7, dtype=torch.float64)
    query = torch.randn(2, 4, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(read_out(keys, values, query), slow_read_out(keys, values, query))


def test_what_looks_like_a_reference_position_takes_its_value() -> None:
    keys = torch.eye(4)[None] * 40  # four positions, far from each other
    values = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]])
    query = keys[:, :, [2, 0]].unflatten(2, (1, 2))
    torch.testing.assert_close(read_out(keys, values, query), torch.tensor([[[[3.0, 1.0]], [[7.0, 5.0]]]]))


def test_references_share_one_softmax_and_their_order_does_not_matter() -> None:
    keys, values = torch.randn(2, 1, 4, 12, dtype=torch.float64)
    query = torch.randn(1, 4, 3, 2, dtype=torch.float64)
    whole = read_out(keys, values, query)
    turned = read_out(keys.roll(5, -1), values.roll(5, -1), query)
    torch.testing.assert_close(turned, whole)
    first, second = (read_out(keys[..., s], values[..., s], query) for s in (slice(6), slice(6, None)))
    share = affinity(keys, query.flatten(2)).softmax(-1)[..., :6].sum(-1)[:, None].unflatten(2, (3, 2))
    torch.testing.assert_close(whole, share * first + (1 - share) * second)
