"""1-D prompts: the semantic table, Eq. 7 and Eq. 16-19, against loops written from the equations."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from KPrismLib.network.click_queries import ClickQueries, Clicks
from KPrismLib.network.positional import FourierPosition
from KPrismLib.network.query_set import PlainQueries, QuerySet
from KPrismLib.network.reference_queries import ReferenceQueries, pooling_weights
from KPrismLib.network.semantic_table import SemanticTable


def test_a_class_is_its_rows_of_the_table_all_of_them_foreground() -> None:
    table = SemanticTable(classes=3, queries=2, dim=4)
    found = table(torch.tensor([2, 0]))
    assert torch.equal(found.tokens, table.table[[2, 0]])
    assert torch.equal(found.position, table.position.expand(2, 2, 4))
    assert found.foreground.all()
    assert found.valid.all()


def test_the_table_learns_only_the_rows_that_were_asked() -> None:
    table = SemanticTable(classes=3, queries=2, dim=4)
    table(torch.tensor([1])).tokens.sum().backward()
    assert table.table.grad is not None
    assert table.table.grad.abs().sum((1, 2)).tolist() == [0.0, 8.0, 0.0]


class TestReferenceQueries:
    def slow(self, features: Tensor, fraction: Tensor) -> Tensor:
        """Q of Eq. 7 for n_s = 2: loops over positions of one sample; -> (2, C)."""
        rows = []
        for foreground in (True, False):
            chosen = [i for i, part in enumerate(fraction.tolist()) if (part >= 0.5) is foreground]
            rows.append(sum(features[i] for i in chosen) / len(chosen))
        return torch.stack(rows)

    def test_each_half_averages_its_own_region(self) -> None:
        module = ReferenceQueries(queries=6, dim=3).double()
        features = torch.randn(2, 8, 3, dtype=torch.float64)
        fraction = torch.tensor([[0, 0.5, 1, 0.49, 0.2, 0.9, 0, 0], [1, 1, 0.4, 0, 0.51, 0, 0, 0.7]]).double()
        found = module(features, fraction)
        for b in range(2):
            pooled = self.slow(features[b], fraction[b])
            expected = torch.cat([pooled[:1].expand(3, -1), pooled[1:].expand(3, -1)]) + module.embedding
            torch.testing.assert_close(found.tokens[b], expected)
        assert found.foreground.tolist() == [[True] * 3 + [False] * 3] * 2
        assert found.valid.all()

    def test_queries_of_a_half_differ(self) -> None:
        tokens = ReferenceQueries(queries=4, dim=8)(torch.randn(1, 5, 8), torch.rand(1, 5)).tokens[0]
        assert min((a - b).abs().max() for a, b in itertools.combinations(tokens, 2)) > 1e-3

    def test_a_structure_below_half_a_cell_pools_by_its_area(self) -> None:
        fraction = torch.tensor([[0.0, 0.1, 0.3, 0.0]])
        torch.testing.assert_close(pooling_weights(fraction)[0, 0], torch.tensor([0.0, 0.25, 0.75, 0.0]))
        torch.testing.assert_close(pooling_weights(fraction)[0, 1], torch.full((4,), 0.25))

    def test_a_background_below_half_a_cell_pools_by_its_area(self) -> None:
        weights = pooling_weights(torch.tensor([[1.0, 0.9, 0.6]]))
        torch.testing.assert_close(weights[0, 1], torch.tensor([0.0, 0.2, 0.8]))

    def test_an_absent_region_pools_nothing_instead_of_dividing_by_zero(self) -> None:
        weights = pooling_weights(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        assert weights.tolist() == [[[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]]]

    @given(st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8, 1.0]), min_size=1, max_size=12), st.randoms())
    def test_weights_are_averages_and_follow_their_positions(self, parts: list[float], random: object) -> None:
        fraction = torch.tensor([parts], dtype=torch.float64)
        weights = pooling_weights(fraction)
        assert (weights >= 0).all()
        sums = weights.sum(-1)[0]
        assert torch.isclose(sums[0], torch.tensor(float(any(parts)), dtype=torch.float64))
        assert torch.isclose(sums[1], torch.tensor(float(any(p < 1 for p in parts)), dtype=torch.float64))
        order = list(range(len(parts)))
        random.shuffle(order)  # type: ignore[attr-defined]
        torch.testing.assert_close(pooling_weights(fraction[:, order]), weights[:, :, order])


class TestClickQueries:
    def module(self) -> ClickQueries:
        module = ClickQueries(dim=6, stride=8, position=FourierPosition(6).double()).double()
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter)
        return module

    def slow(self, module: ClickQueries, features: Tensor, clicks: Clicks, size: tuple[int, int]) -> Tensor:
        """Eq. 16-19 for every click on its own."""
        batch, count = clicks.valid.shape
        tokens = torch.zeros(batch, count, 6, dtype=features.dtype)
        for b, n in itertools.product(range(batch), range(count)):
            row, column = clicks.row_column[b, n].tolist()
            y, x = row // 8, column // 8  # Eq. 16
            window = [
                features[b, :, y + i, x + j]
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
                if 0 <= y + i < features.shape[2] and 0 <= x + j < features.shape[3]
            ]
            pooled = sum(window) / len(window)  # Eq. 17, over the part of the window that exists
            content = module.mlp[2](module.mlp[0](pooled).clamp_min(0))  # Eq. 18
            place = module._position[0](torch.tensor([row, column]), size)  # Eq. 19
            tokens[b, n] = content + place + module.sign[int(clicks.positive[b, n])]
        return tokens

    def test_equals_the_equations_at_corners_borders_and_inside(self) -> None:
        module = self.module()
        features = torch.randn(2, 6, 3, 5, dtype=torch.float64)  # of an image of 24 x 40
        places = [[0, 0], [23, 39], [0, 39], [23, 0], [7, 8], [8, 7], [12, 20], [15, 16]]
        positive = torch.tensor([[True, False] * 4, [False, True] * 4])
        clicks = Clicks(torch.tensor([places, places[::-1]]), positive, torch.ones(2, 8, dtype=torch.bool))
        found = module(features, clicks, (24, 40))
        torch.testing.assert_close(found.tokens, self.slow(module, features, clicks, (24, 40)))
        assert torch.equal(found.foreground, positive)

    def test_row_and_column_are_not_swapped(self) -> None:
        """The feature of a cell is (row, column) itself; the centre of a window is its average."""
        rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(9.0), indexing="ij")
        features = torch.stack([rows, columns, *[torch.zeros(4, 9)] * 4])[None].double()
        module = self.module()
        seen: list[Tensor] = []
        module.mlp.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
        clicks = Clicks(torch.tensor([[[17, 63]]]), torch.tensor([[True]]), torch.tensor([[True]]))
        module(features, clicks, (32, 72))
        assert seen[0][0, 0, :2].tolist() == [2.0, 7.0]

    def test_dummies_are_zero_vectors(self) -> None:
        clicks = Clicks(torch.tensor([[[9, 9], [0, 0]]]), torch.tensor([[True, True]]), torch.tensor([[True, False]]))
        found = self.module()(torch.randn(1, 6, 3, 3, dtype=torch.float64), clicks, (24, 24))
        assert found.tokens[0, 1].abs().max() == 0
        assert found.position[0, 1].abs().max() == 0
        assert found.tokens[0, 0].abs().max() > 0
        assert found.valid.tolist() == [[True, False]]

    def test_the_shared_position_is_neither_counted_nor_saved_twice(self) -> None:
        assert sorted(self.module().state_dict()) == [
            "mlp.0.bias",
            "mlp.0.weight",
            "mlp.2.bias",
            "mlp.2.weight",
            "sign",
        ]


def test_plain_queries_are_the_same_for_every_sample_and_half_background() -> None:
    module = PlainQueries(queries=4, dim=3)
    found = module(2)
    assert torch.equal(found.tokens, module.table.expand(2, 4, 3))
    assert found.foreground.tolist() == [[True, True, False, False]] * 2
    assert found.position.abs().max() == 0


@pytest.mark.parametrize("field", ["tokens", "position", "foreground", "valid"])
def test_queries_of_several_kinds_stand_side_by_side_in_order(field: str) -> None:
    sets = [
        SemanticTable(classes=1, queries=2, dim=4)(torch.zeros(3, dtype=torch.int64)),
        PlainQueries(queries=4, dim=4)(3),
    ]
    joined = getattr(QuerySet.concatenate(sets), field)
    assert joined.shape[:2] == (3, 6)
    assert torch.equal(joined[:, :2], getattr(sets[0], field))
    assert torch.equal(joined[:, 2:], getattr(sets[1], field))
