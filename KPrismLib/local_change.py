"""Which part of a change a prompt asked for, so that a mask that somebody drew changes there and stays elsewhere.

The network answers every prompt with a whole mask. Where it only corrects a mask that was drawn before, most of what it
changes elsewhere is for the worse: it never knew why the boundary lies where it lies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from KPrismLib.prompt_maps import rasterise
from KPrismLib.prompts import Prompt


def corrects(mask: NDArray[np.bool_], prompt: Prompt) -> bool:
    """Whether ``prompt`` contradicts ``mask``, bool (rows, columns), in any of its pixels.

    One that does not, such as a click in the midst of a mask, asks for the whole mask anew.
    """
    return any(bool(mask[pixel]) != prompt.positive for pixel in rasterise(prompt.points))


def touched(before: NDArray[np.bool_], after: NDArray[np.bool_], prompt: Prompt, *, reach: int) -> NDArray[np.bool_]:
    """The pixels that change as the prompt asks, connected with it: a positive one adds, a negative one takes away.

    Args:
        before: bool (rows, columns).
        after: bool (rows, columns), the network's answer.
        prompt: in image pixels.
        reach: parts no more than so many pixels away from the prompt, in rows and columns, belong to it.

    Returns:
        bool (rows, columns).
    """
    changed = (after & ~before) if prompt.positive else (before & ~after)
    from scipy import ndimage  # only masks that somebody drew need it: clicks do with torch and numpy alone

    parts, count = ndimage.label(changed, structure=np.ones((3, 3), dtype=bool))
    if not count:
        return changed
    near = np.zeros(count + 1, dtype=bool)
    for row, column in rasterise(prompt.points):
        around = parts[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
        near[np.unique(around)] = True
    near[0] = False
    return np.asarray(near[parts])
