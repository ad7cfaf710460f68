"""The model that is loaded, one for all editors of a process."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from KPrismLib.errors import InvalidConfig
from KPrismLogic.torch_libraries import link_torch

if TYPE_CHECKING:
    from KPrismLib.predictor import Predictor


class Model:
    """A model by name and device, loaded when it is first needed.

    Safe to ask from any thread; two that ask at once load once. Only :meth:`predictor` takes long: the main thread may
    choose, unload and ask everything else while another thread loads.

    Args:
        name: a shipped model, or the path of a weights file.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InvalidConfig: what cannot be a name. Whether there is such a model or device is told when it is loaded.
    """

    def __init__(self, name: str | Path = "small", device: str = "auto") -> None:
        _check_names(name, device)
        self._name, self._device = str(name), device
        self._predictor: Predictor | None = None
        self._loading = threading.Lock()
        self._state = threading.Lock()
        #: Held while the predictor works: editors have threads of their own, and it serves one at a time.
        self.in_use = threading.Lock()
        #: Changes with the predictor; what another one encoded is worth nothing.
        self.generation = 0
        self._followers: list[weakref.WeakMethod[Callable[[], None]]] = []

    @property
    def name(self) -> str:
        """The chosen model."""
        return self._name

    @property
    def chosen_device(self) -> str:
        """The chosen device, "auto" included, whatever the model runs on."""
        return self._device

    @property
    def device(self) -> str:
        """The device in use, or the chosen one while nothing is loaded."""
        predictor = self._predictor
        return self._device if predictor is None else str(predictor.device)

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._predictor is not None

    def uses(self, predictor: Predictor) -> bool:
        """Whether this is the predictor in memory, which nobody replaced or unloaded."""
        return self._predictor is predictor

    @property
    def loading(self) -> bool:
        """Whether a thread loads it now."""
        return self._loading.locked() and self._predictor is None

    @property
    def megabytes(self) -> float:
        """What the loaded network's parameters occupy."""
        predictor = self._predictor
        if predictor is None:
            return 0.0
        return sum(tensor.numel() * tensor.element_size() for tensor in predictor.network.parameters()) / 2**20

    def choose(self, name: str | Path, device: str) -> None:
        """Choose another model or device; what is loaded is unloaded if it differs.

        Raises:
            InvalidConfig: as for the constructor.
        """
        _check_names(name, device)
        with self._state:
            if (str(name), device) != (self._name, self._device):
                self._name, self._device = str(name), device
                self._replace(None)

    def use(self, predictor: Predictor) -> None:
        """Take a predictor that is made already."""
        with self._state:
            self._replace(predictor)

    def predictor(self) -> Predictor:
        """The predictor, loaded now if it was not.

        Raises:
            InvalidWeights, DeviceUnavailable: as ``Predictor.load``.
            ModuleNotFoundError: torch is not installed.
        """
        with self._loading:
            while True:
                with self._state:
                    if self._predictor is not None:
                        return self._predictor
                    name, device, generation = self._name, self._device, self.generation
                link_torch()
                from KPrismLib.predictor import Predictor

                loaded = Predictor.load(name, device=device)
                with self._state:
                    if self.generation == generation:  # Nobody chose another one meanwhile.
                        self._replace(loaded)

    def when_replaced(self, forget: Callable[[], None]) -> None:
        """Have a bound method called, from any thread, as soon as the predictor is another one or is gone.

        Its object is not kept alive. Whoever holds the predictor, or what that encoded, lets go of it there: the memory
        is free only then.
        """
        with self._state:
            self._followers.append(weakref.WeakMethod(forget))

    def unload(self) -> None:
        """Give the memory back."""
        with self._state:
            self._replace(None)

    def _replace(self, predictor: Predictor | None) -> None:
        self._predictor = predictor
        self.generation += 1
        calls = [(follower, follower()) for follower in self._followers]
        self._followers = [follower for follower, call in calls if call is not None]
        for _, call in calls:
            if call is not None:
                call()


@functools.cache
def shared_model() -> Model:
    """The process's model; every editor widget makes an effect of its own, but they share this."""
    return Model()


def _check_names(name: object, device: object) -> None:
    if not isinstance(name, (str, Path)):
        raise InvalidConfig(f"The model is {name!r}; give the name of a shipped one, or the path of a weights file.")
    if not isinstance(device, str):
        raise InvalidConfig(f"The device is {device!r}; give one of auto, cpu, cuda and mps.")
