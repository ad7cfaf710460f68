"""The user that evaluation and training imagine: one click on the worst error (A.2, "Click representation")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from KPrismLib.deepest_pixel import deepest_pixel
from KPrismLib.errors import GeometryMismatch, InvalidMask
from KPrismLib.prompts import Click


@dataclass(frozen=True)
class _Component:
    """A connected component: its pixels in row-major order."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    positive: bool

    @property
    def precedence(self) -> tuple[int, int, int]:
        """Larger comes first; of equals the one whose first pixel comes first in row-major order."""
        return -self.rows.size, int(self.rows[0]), int(self.columns[0])


def next_click(prediction: NDArray[np.bool_], target: NDArray[np.bool_]) -> Click | None:
    """Click on the largest wrongly labelled connected component.

    Components are 8-connected; missed and superfluous pixels are never one component. The click is the
    centroid, rounded half up; where that pixel is not part of the component, the component's pixel that is
    deepest inside it (Euclidean distance, beyond the image counts as outside). All ties go to the pixel that
    is first in row-major order, so equal masks always give equal clicks.

    Args:
        prediction: bool, shape (H, W).
        target: bool, shape (H, W).

    Returns:
        The click, or ``None`` when the prediction is perfect.

    Raises:
        InvalidMask: A mask is not boolean or not two-dimensional.
        GeometryMismatch: The masks differ in shape.
    """
    if prediction.dtype != np.bool_ or target.dtype != np.bool_ or prediction.ndim != 2:
        raise InvalidMask("A click is simulated from two boolean masks with rows and columns.")
    if prediction.shape != target.shape:
        raise GeometryMismatch(f"The prediction is {prediction.shape} but the target is {target.shape}.")
    wrong = prediction != target
    occupied_rows, occupied_columns = np.flatnonzero(wrong.any(axis=1)), np.flatnonzero(wrong.any(axis=0))
    if not occupied_rows.size:
        return None
    # Late in a session errors are few and close together: only their bounding box is worth searching.
    top, left = int(occupied_rows[0]), int(occupied_columns[0])
    box = slice(top, occupied_rows[-1] + 1), slice(left, occupied_columns[-1] + 1)
    missed = _largest_component(wrong[box] & target[box], positive=True)
    superfluous = _largest_component(wrong[box] & prediction[box], positive=False)
    worst = min((found for found in (missed, superfluous) if found), key=lambda found: found.precedence)
    row, column = _centre(worst)
    return Click(row + top, column + left, worst.positive)


def _largest_component(mask: NDArray[np.bool_], *, positive: bool) -> _Component | None:
    numbered, count = ndimage.label(mask, structure=np.ones((3, 3), dtype=bool))
    if count == 0:
        return None
    sizes = np.bincount(numbered.ravel())
    sizes[0] = 0
    # The numbering promises no order, so of equally large components the first is looked up by its first pixel.
    is_largest = sizes == sizes.max()
    first = np.argmax(is_largest[numbered.ravel()])
    rows, columns = np.nonzero(numbered == numbered.ravel()[first])
    return _Component(rows, columns, positive)


def _centre(component: _Component) -> tuple[int, int]:
    """The centroid of a component if it is one of its pixels, else its deepest pixel."""
    rows, columns = component.rows, component.columns
    count = rows.size
    # Integers throughout: the rounding of a half must not depend on how a sum of floats was ordered.
    row, column = (int(2 * axis.sum() + count) // (2 * count) for axis in (rows, columns))
    if np.any((rows == row) & (columns == column)):
        return row, column
    top, left = int(rows.min()), int(columns.min())
    component_mask = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), dtype=bool)
    component_mask[rows - top, columns - left] = True
    deepest_row, deepest_column = deepest_pixel(component_mask)
    return top + deepest_row, left + deepest_column
