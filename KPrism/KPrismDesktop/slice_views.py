"""The slice views of the layout: which of them shows a plane, and showing another slice in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer

from KPrismLogic.slice_plane import SlicePlane

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Cosine of the angle by which a view may be turned against a plane and still count as showing it.
_NEARLY_PARALLEL = 0.9
#: The views that Slicer's layouts have in common, in which the user looks first.
_FIRST = ("Red", "Yellow", "Green")


def slice_nodes() -> Iterator[Any]:
    """The slice nodes of all views, those of other layouts included; none without a main window.

    Slicer lists them in no order, so they come as :data:`_FIRST` and then by name.
    """
    layout = slicer.app.layoutManager()
    names = layout.sliceViewNames() if layout is not None else ()
    for name in sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)):
        yield layout.sliceWidget(name).mrmlSliceNode()


def visible_slice_nodes() -> Iterator[Any]:
    """Those of the views that the layout shows."""
    return (node for node in slice_nodes() if node.IsViewVisibleInLayout())


def is_scrolled(widget: Any, node: Any) -> bool:
    """Whether a view node is changed because the user scrolls in this very view, by wheel, key or slider.

    Views that follow another one, or a jump, have no such mark; but a slider that was dragged away and back leaves it
    on its view. So the pointer has to be there, too: in the picture or in the bar above it, which are one widget.

    Args:
        widget: the view.
        node: its node.
    """
    marked = node.IsA("vtkMRMLSliceNode") and node.GetInteractionFlags() & node.SliceToRASFlag
    return bool(marked and widget.underMouse())


def shown_slice(plane: SlicePlane) -> SlicePlane:
    """The parallel plane at the height that the first view of its kind shows; the plane itself without such a view."""
    for node in visible_slice_nodes():
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
