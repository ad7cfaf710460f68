"""Colours of the structures in one picture, such that each is told from the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from KPrismLib.imaging.overlay import Colour

#: Closer than this (CIE76) two colours look alike where they shine through a grey image.
APART = 28.0

#: Far from each other and from grey, and light enough to be seen over a dark image.
PALETTE: tuple[Colour, ...] = tuple(
    (red / 255, green / 255, blue / 255)
    for red, green, blue in (
        *((0, 130, 200), (255, 225, 25), (60, 180, 75), (240, 50, 230), (70, 240, 240), (230, 25, 75), (145, 30, 180)),
        *((170, 255, 195), (245, 130, 48), (0, 128, 128), (255, 105, 180), (210, 245, 60), (128, 128, 0)),
        *((170, 110, 40), (220, 190, 255)),
    )
)

# Linear sRGB to CIE XYZ, each row divided by the white point (D65).
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
) / np.array([[0.95047], [1.0], [1.08883]])


def distinct_colours(colours: Sequence[Colour]) -> list[Colour]:
    """The same colours, but for those that look like an earlier one: each becomes the colour of :data:`PALETTE` that
    is farthest from all others.

    The same colours in the same order always give the same result. When the palette is used up, a colour may look like
    another.

    Args:
        colours: red, green, blue in 0..1.
    """
    own: list[int] = []
    for index, colour in enumerate(colours):
        if all(distance(colour, colours[kept]) >= APART for kept in own):
            own.append(index)
    taken = [colours[index] for index in own]
    result = list(colours)
    for index in sorted(set(range(len(colours))) - set(own)):
        room = [min(distance(colour, other) for other in taken) for colour in PALETTE]
        result[index] = PALETTE[int(np.argmax(room))]
        taken.append(result[index])
    return result


def distance(one: Colour, other: Colour) -> float:
    """How different two colours look: that in CIE Lab (CIE76)."""
    return float(np.linalg.norm(_lab(one) - _lab(other)))


def _lab(colour: Colour) -> npt.NDArray[np.float64]:
    """sRGB in 0..1 to CIE Lab."""
    coded = np.asarray(colour, np.float64)
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    xyz = _TO_XYZ @ linear
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
