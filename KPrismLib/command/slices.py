"""Which slices of a volume a command works on."""

from __future__ import annotations

from KPrismLib.errors import InvalidConfig, InvalidImage
from KPrismLib.imaging.planes import Plane, SlicePlacement, only_slice, placement, slice_count
from KPrismLib.imaging.volume import Volume

ALL, MIDDLE = "all", "middle"


def choose_plane(volume: Volume, name: str | None) -> Plane:
    """The named plane; without a name axial, or the plane of the image itself if it is a single slice.

    Raises:
        InvalidConfig: there is no such plane.
    """
    if name is not None:
        try:
            return Plane(name.strip().lower())
        except ValueError:
            known = ", ".join(plane.value for plane in Plane)
            raise InvalidConfig(f"There is no plane {name!r}; choose one of {known}.") from None
    alone = only_slice(volume)
    return Plane.AXIAL if alone is None else alone.plane


def choose_slices(volume: Volume, plane: Plane, wanted: str) -> list[SlicePlacement]:
    """The slices that ``wanted`` stands for: a number, ``middle`` or ``all``.

    Raises:
        InvalidConfig: neither of those.
        InvalidImage: there is no slice of that number.
    """
    count = slice_count(volume, plane)
    if wanted == ALL:
        return [placement(volume, plane, index) for index in range(count)]
    if wanted == MIDDLE:
        return [placement(volume, plane, count // 2)]
    try:
        return [placement(volume, plane, int(wanted))]
    except InvalidImage:
        raise
    except ValueError:
        raise InvalidConfig(f"{wanted!r} is no slice; give a number, {MIDDLE} or {ALL}.") from None
