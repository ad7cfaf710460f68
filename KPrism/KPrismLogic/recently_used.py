"""A store that keeps what was used last and forgets the rest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class RecentlyUsed(Generic[Value]):
    """Keeps at most ``capacity`` values, the most recently asked for; any thread may ask.

    Args:
        capacity: how many, at least 1.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = max(1, capacity)
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    @property
    def capacity(self) -> int:
        """How many values are kept."""
        return self._capacity

    @capacity.setter
    def capacity(self, capacity: int) -> None:
        with self._lock:
            self._capacity = max(1, capacity)
            self._shrink()

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, which counts as use; None when it is not kept."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Hashable, value: Value) -> Value:
        """Keep a value and return it."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            self._shrink()
        return value

    def get_or_make(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The kept value, or a new one."""
        value = self.get(key)
        return self.put(key, make()) if value is None else value

    def drop(self, gone: Callable[[Any], bool]) -> None:
        """Forget the values whose keys are of a kind."""
        with self._lock:
            for key in [key for key in self._values if gone(key)]:
                del self._values[key]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    def _shrink(self) -> None:
        while len(self._values) > self._capacity:
            self._values.popitem(last=False)
