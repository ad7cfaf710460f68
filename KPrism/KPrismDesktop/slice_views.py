"""The slice views of the layout: which of them shows a plane, and showing another slice in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer

from KPrismLogic.slice_plane import SlicePlane

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Cosine of the angle by which a view may be turned against a plane and still count as showing it.
_NEARLY_PARALLEL = 0.9


def slice_nodes() -> Iterator[Any]:
    """The slice nodes of all views; none without a main window."""
    layout = slicer.app.layoutManager()
    for name in layout.sliceViewNames() if layout is not None else ():
        yield layout.sliceWidget(name).mrmlSliceNode()


def shown_slice(plane: SlicePlane) -> SlicePlane:
    """The parallel plane at the height that the first view of its kind shows; the plane itself without such a view."""
    for node in slice_nodes():
        shown = SlicePlane.of_view(node)
        along = float(shown.normal @ plane.normal)
        if abs(along) > _NEARLY_PARALLEL:
            # On the line through the plane's own point along its normal.
            apart = float(shown.normal @ (shown.point - plane.point)) / along
            return plane.moved_to(plane.point + plane.normal * apart)
    return plane


def show_slice(plane: SlicePlane) -> None:
    """Scroll all views of a plane's kind to it."""
    for node in slice_nodes():
        if abs(float(SlicePlane.of_view(node).normal @ plane.normal)) > _NEARLY_PARALLEL:
            node.JumpSliceByOffsetting(*(float(value) for value in plane.point))
