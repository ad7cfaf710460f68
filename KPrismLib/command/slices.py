"""Which slices of a volume a command works on."""

from __future__ import annotations

from KPrismLib.errors import InvalidConfig
from KPrismLib.imaging.planes import Plane, SlicePlacement, only_slice, placement, slice_count
from KPrismLib.imaging.volume import Volume

ALL, MIDDLE = "all", "middle"


def choose_plane(volume: Volume, name: str | None, *, otherwise: Plane = Plane.AXIAL) -> Plane:
    """The named plane; without a name ``otherwise``, or the plane of the image itself if it has no other.

    Args:
        volume: the image; a single slice has only its own plane, a picture only the axial one.
        name: of the plane, or None.
        otherwise: of an image that has several planes, where there is no name.

    Raises:
        InvalidConfig: there is no such plane.
    """
    if name is not None:
        return plane_called(name)
    if volume.is_picture:
        return Plane.AXIAL
    alone = only_slice(volume)
    return otherwise if alone is None else alone.plane


def plane_called(name: str) -> Plane:
    """The plane of a name.

    Raises:
        InvalidConfig: there is no such plane.
    """
    try:
        return Plane(name.strip().lower())
    except ValueError:
        known = ", ".join(plane.value for plane in Plane)
        raise InvalidConfig(f"There is no plane {name!r}; choose one of {known}.") from None


def check_slice(wanted: str) -> None:
    """Find what is wrong with the choice of slices, whatever the volume.

    Raises:
        InvalidConfig: neither a number from 0, nor ``middle`` or ``all``.
    """
    if wanted in (ALL, MIDDLE):
        return
    try:
        possible = int(wanted) >= 0
    except ValueError:
        possible = False
    if not possible:
        raise InvalidConfig(f"{wanted!r} is no slice; give a number from 0, {MIDDLE} or {ALL}.")


def choose_slices(volume: Volume, plane: Plane, wanted: str) -> list[SlicePlacement]:
    """The slices that ``wanted`` stands for: a number, ``middle`` or ``all``.

    Raises:
        InvalidConfig: as :func:`check_slice`.
        InvalidImage: there is no slice of that number.
    """
    check_slice(wanted)
    count = slice_count(volume, plane)
    if wanted == ALL:
        return [placement(volume, plane, index) for index in range(count)]
    if wanted == MIDDLE:
        return [placement(volume, plane, count // 2)]
    return [placement(volume, plane, int(wanted))]
