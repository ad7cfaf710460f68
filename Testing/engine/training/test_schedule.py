"""The learning rate, in golden numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.training.schedule import learning_rate

RUN = {"total": 110, "warm_up": 10, "peak": 1e-4, "floor": 1e-5}


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 1e-5), (4, 5e-5), (9, 1e-4), (10, 1e-4), (35, 8.681981e-5), (60, 5.5e-5), (85, 2.318019e-5),
     (109, 1.0022206e-5), (110, 1e-5), (500, 1e-5)],
)  # fmt: skip
def test_linear_warm_up_then_a_cosine_to_the_floor(step: int, rate: float) -> None:
    assert learning_rate(step, **RUN) == pytest.approx(rate, rel=1e-6)  # type: ignore[arg-type]


def test_without_warm_up_the_first_step_is_the_peak() -> None:
    assert learning_rate(0, total=10, warm_up=0, peak=2.0, floor=0.0) == 2.0


@given(total=st.integers(1, 300), warm_up=st.integers(0, 300), step=st.integers(0, 400))
def test_it_is_never_zero_never_above_the_peak_and_falls_after_the_warm_up(total: int, warm_up: int, step: int) -> None:
    rate, following = (learning_rate(s, total=total, warm_up=warm_up, peak=1.0, floor=0.1) for s in (step, step + 1))
    assert 0 < rate <= 1
    if step >= warm_up:
        assert following <= rate + 1e-12
    elif step + 1 < warm_up:
        assert following > rate
