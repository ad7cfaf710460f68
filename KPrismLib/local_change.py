"""What a prompt means for a mask that was there before it.

The network answers every prompt with a whole mask. Where it only corrects one that somebody drew, most of what it
changes elsewhere is for the worse: it never knew why the boundary lies where it lies. And from a negative prompt alone
it cannot tell what the structure is, so that it may take all of it away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from KPrismLib.prompt_maps import rasterise
from KPrismLib.prompts import Click, Prompt


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


def midst(mask: NDArray[np.bool_], prompts: Sequence[Prompt]) -> tuple[Click, ...]:
    """A positive click into the midst of a mask, away from prompts; none where nothing is left of it.

    Args:
        mask: bool (rows, columns).
        prompts: negative ones.
    """
    from KPrismLib.deepest_pixel import deepest_pixel  # as above

    rest = mask.copy()
    for prompt in prompts:
        for pixel in rasterise(prompt.points):
            rest[pixel] = False
    return (Click(*deepest_pixel(rest)),) if rest.any() else ()
