"""A library whose suggestions can be told in advance: the references that were added last, the last one first.

The engine's own is tested in ``Testing/engine/volumes``; a flood predictor has no features that it could compare.
"""

from types import SimpleNamespace
from typing import ClassVar


class FloodLibrary:
    """As ``KPrismLib.volumes.ReferenceLibrary``; ``asked`` has the pixels of every slice that it was asked about.

    ``told`` has the class that was told with each.
    """

    asked: ClassVar[list] = []
    told: ClassVar[list] = []

    def __init__(self, predictor):
        self._slices = []

    def add(self, slice_, part):
        self._slices.append(slice_)

    def suggest(self, image, structure, *, cls, preferred, count):
        self.asked.append(image.pixels)
        self.told.append(cls)
        return [SimpleNamespace(slice=one) for one in reversed(self._slices[-count:])]
