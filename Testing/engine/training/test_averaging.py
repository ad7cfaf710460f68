"""The mean of several runs' weights."""

from __future__ import annotations

import pytest
import torch

from KPrismLib.errors import InvalidConfig, InvalidWeights
from KPrismLib.training.averaging import weighted_mean

ONE = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[4.0]])}
TWO = {"a": torch.tensor([3.0, -2.0]), "b": torch.tensor([[0.0]])}


def test_shares_weigh_and_need_not_add_up_to_one() -> None:
    mean = weighted_mean([ONE, TWO], [3, 1])
    torch.testing.assert_close(mean["a"], torch.tensor([1.5, 1.0]))
    torch.testing.assert_close(mean["b"], torch.tensor([[3.0]]))


def test_one_run_is_its_own_mean_and_nothing_is_changed_in_place() -> None:
    mean = weighted_mean([ONE], [0.5])
    assert all(torch.equal(mean[name], ONE[name]) for name in ONE)
    weighted_mean([ONE, TWO], [1, 1])
    assert torch.equal(ONE["a"], torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("shares", [[1.0], [1.0, 0.0], [1.0, -1.0], [], [1.0, float("nan")]])
def test_every_run_needs_a_positive_share(shares: list[float]) -> None:
    with pytest.raises(InvalidConfig, match="one positive share"):
        weighted_mean([ONE, TWO], shares)


@pytest.mark.parametrize("other", [{"a": torch.zeros(2)}, {"a": torch.zeros(3), "b": torch.zeros(1, 1)}])
def test_other_networks_are_refused(other: dict[str, torch.Tensor]) -> None:
    with pytest.raises(InvalidWeights, match="different networks"):
        weighted_mean([ONE, other], [1, 1])
