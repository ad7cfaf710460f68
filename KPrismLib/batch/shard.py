"""One batch on several machines: each takes every N-th case."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from KPrismLib.errors import InvalidConfig

_T = TypeVar("_T")

#: How long a process that is ready waits for the slowest of the others.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count``, counted from 1.

    Raises:
        InvalidConfig: no such part.
    """

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise InvalidConfig(f"There is no shard {self.index}/{self.count}; they go from 1/N to N/N.")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``2/8`` is the second of eight.

        Raises:
            InvalidConfig: anything else.
        """
        try:
            index, count = (int(part) for part in text.split("/"))
        except ValueError:
            raise InvalidConfig(f"{text!r} is no shard; give I/N, such as 2/8 for the second of eight.") from None
        return cls(index, count)

    @classmethod
    def of_process(cls, environment: Mapping[str, str]) -> Shard:
        """The part of this process among those that torchrun started; everything when it started none."""
        if not is_under_torchrun(environment):
            return cls()
        return cls(int(environment["RANK"]) + 1, int(environment["WORLD_SIZE"]))

    @property
    def suffix(self) -> str:
        """What tells its manifest from those of other shards; "" for the whole."""
        return "" if self.count == 1 else f"-{self.index}-of-{self.count}"

    def take(self, items: Sequence[_T]) -> list[_T]:
        """Every ``count``-th item, so that neighbours, which are alike, are spread over the shards."""
        return list(items[self.index - 1 :: self.count])


def is_under_torchrun(environment: Mapping[str, str]) -> bool:
    """Whether torchrun started this process, alone or with others."""
    return {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"} <= set(environment)


def wait_for_other_shards() -> None:
    """Return when every process that torchrun started is ready.

    torchrun stops all processes as soon as one leaves with an error, and a case that failed is one; so nobody leaves
    before everybody is done.
    """
    if not is_under_torchrun(os.environ) or os.environ["WORLD_SIZE"] == "1":
        return
    from torch import distributed

    try:
        distributed.init_process_group("gloo", timeout=_PATIENCE)
        distributed.barrier()
    except RuntimeError:
        return  # another process is gone: nobody is left to wait for
    distributed.destroy_process_group()
