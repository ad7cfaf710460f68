"""Random-Fourier positions of SAM, P_K and PosEmbed of Eq. 19."""

from __future__ import annotations

import math

import torch

from KPrismLib.network.positional import FourierPosition


def test_a_point_becomes_sines_and_cosines_of_its_projected_coordinates() -> None:
    position = FourierPosition(8).double()
    found = position(torch.tensor([[10, 3]]), (32, 48))[0]
    row, column = 2 * 10.5 / 48 - 1, 2 * 3.5 / 48 - 1  # the long side scales both
    for n in range(4):
        angle = 2 * math.pi * (row * position.matrix[0, n].item() + column * position.matrix[1, n].item())
        assert math.isclose(found[n].item(), math.sin(angle), abs_tol=1e-12)
        assert math.isclose(found[4 + n].item(), math.cos(angle), abs_tol=1e-12)


def test_a_grid_holds_the_cell_centres_row_by_row() -> None:
    position = FourierPosition(8).double()
    grid = position.grid((2, 3), stride=16)
    assert grid.shape == (6, 8)
    centres = torch.tensor([[7.5 + 16 * row, 7.5 + 16 * column] for row in range(2) for column in range(3)])
    torch.testing.assert_close(grid, position(centres, (32, 48)))


def test_all_networks_share_one_geometry_that_is_saved_with_the_weights() -> None:
    torch.manual_seed(1)
    first = FourierPosition(8)
    torch.manual_seed(2)
    assert torch.equal(FourierPosition(8).matrix, first.matrix)
    assert list(first.state_dict()) == ["matrix"]
    assert abs(first.matrix.std().item() - 1) < 0.6  # a Gaussian, not zeros


def test_row_and_column_are_told_apart() -> None:
    position = FourierPosition(8)
    assert not torch.allclose(position(torch.tensor([3, 20]), (32, 32)), position(torch.tensor([20, 3]), (32, 32)))
