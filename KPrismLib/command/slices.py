"""Which slices of a volume a command works on."""

from __future__ import annotations

from collections.abc import Iterable

from KPrismLib.errors import InvalidConfig
from KPrismLib.imaging.planes import Plane, SlicePlacement, only_slice, placement, slice_count
from KPrismLib.imaging.volume import Volume

ALL, MIDDLE = "all", "middle"
#: Between the numbers of several slices.
SEPARATOR = ","
#: Sentences name at most so many ranges of slices.
_NAMED = 5


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
        InvalidConfig: neither ``middle`` nor ``all``, nor numbers from 0.
    """
    if wanted not in (ALL, MIDDLE):
        _numbers(wanted)


def choose_slices(volume: Volume, plane: Plane, wanted: str) -> list[SlicePlacement]:
    """The slices that ``wanted`` stands for: ``middle``, ``all``, a number or several (``16,21``), ascending.

    Raises:
        InvalidConfig: as :func:`check_slice`.
        InvalidImage: there is no slice of that number.
    """
    count = slice_count(volume, plane)
    if wanted == ALL:
        numbers: Iterable[int] = range(count)
    else:
        numbers = [count // 2] if wanted == MIDDLE else _numbers(wanted)
    return [placement(volume, plane, index) for index in numbers]


def names_several(wanted: str | None) -> bool:
    """Whether slices are named one by one, and more than one."""
    return wanted is not None and SEPARATOR in wanted


def listed(slices: Iterable[int]) -> str:
    """Slices as :func:`choose_slices` takes them: ``16,21``."""
    return SEPARATOR.join(map(str, slices))


def ranges_text(slices: Iterable[int]) -> str:
    """Slices for a sentence: ``3 to 9, 12``."""
    runs: list[list[int]] = []
    for index in sorted(slices):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return ", ".join(texts[:_NAMED]) + (" ..." if len(texts) > _NAMED else "")


def _numbers(wanted: str) -> list[int]:
    """The numbers in ``16,21``, ascending, each once.

    Raises:
        InvalidConfig: one is none, or negative.
    """
    numbers: set[int] = set()
    words = [word.strip() for word in wanted.split(SEPARATOR)]
    for word in words:
        if len(words) > 1 and word in (ALL, MIDDLE):
            raise InvalidConfig(f"{word!r} is no number of a slice; give it alone, or numbers such as 16,21.")
        numbers.add(_number(word))
    return sorted(numbers)


def _number(word: str) -> int:
    try:
        number = int(word)
    except ValueError:
        number = -1
    if number < 0:
        raise InvalidConfig(f"{word!r} is no slice; give a number from 0, {MIDDLE} or {ALL}.")
    return number
