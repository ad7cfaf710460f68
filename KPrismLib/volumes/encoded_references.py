"""Slices that became references with a mask, a bounded number of them kept."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from KPrismLib.network import EncodedReference
from KPrismLib.volumes.encoded_stack import EncodedStack
from KPrismLib.volumes.known_slices import Version


class EncodedReferences:
    """References by version.

    Args:
        slices: the encoded slices.
        memory: how many references are kept, those used last.
    """

    def __init__(self, slices: EncodedStack, *, memory: int) -> None:
        self._slices, self._memory = slices, memory
        self._kept: OrderedDict[Version, EncodedReference] = OrderedDict()  # used last comes last

    def of(self, version: Version, mask: NDArray[np.bool_]) -> EncodedReference:
        """A slice with the mask, bool (rows, columns), of a version of it.

        Raises:
            InvalidImage: there is nothing to see in the slice.
        """
        if version not in self._kept:
            self._kept[version] = self._slices.reference(version[0], mask)
        self._kept.move_to_end(version)
        while len(self._kept) > self._memory:
            self._kept.popitem(last=False)
        return self._kept[version]
