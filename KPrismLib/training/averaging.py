"""The mean of several training runs' weights: stages that began from one another lie in one basin, where it helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from KPrismLib.errors import InvalidConfig, InvalidWeights

Weights = Mapping[str, Tensor]


def weighted_mean(runs: Sequence[Weights], shares: Sequence[float]) -> dict[str, Tensor]:
    """sum_i s_i W_i / sum_i s_i, tensor by tensor.

    Args:
        runs: weights of one architecture, by name.
        shares: s, one for each run, positive.

    Raises:
        InvalidConfig: not as many shares as runs, or one that is not positive.
        InvalidWeights: the runs have other tensors, or of other shapes.
    """
    if len(shares) != len(runs) or not shares or not all(share > 0 for share in shares):
        raise InvalidConfig(f"Give one positive share for each of the {len(runs)} checkpoints, not {list(shares)}.")
    shapes = [{name: tensor.shape for name, tensor in run.items()} for run in runs]
    if any(other != shapes[0] for other in shapes):
        raise InvalidWeights("The checkpoints belong to different networks; average those of one configuration.")
    total = sum(shares)
    return {
        name: sum((run[name] * (share / total) for run, share in zip(runs[1:], shares[1:], strict=True)),
                  start=first * (shares[0] / total))
        for name, first in runs[0].items()
    }  # fmt: skip
