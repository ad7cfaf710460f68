"""What a cancelled ``kprism segment --propagate`` keeps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from KPrismLib.command.console import say
from KPrismLib.command.failures import sentence_of
from KPrismLib.command.label_map import LabelMap
from KPrismLib.command.slices import ranges_text
from KPrismLib.errors import KPrismError
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.segmentation_file import SEGMENTATION_ENDINGS, segmentation_bytes
from KPrismLib.imaging.volume import Volume


def keep_slices(found: LabelMap, volume: Volume, output: Path, first: int, last: int) -> None:
    """Write the slices that are done beside ``output``, and say how to go on from them.

    ``output`` itself stays for a result that is complete, and no other file is replaced: its name is that of ``output``
    with ``-partial`` before the ending, and a number where there is one already. Where it cannot be written, that is
    said.
    """
    done = ranges_text(place.index for place in found.places)
    try:
        target = next(path for path in _names(output) if not path.exists())
        write_atomically(target, segmentation_bytes(target, found.array, found.segments, volume))
    except KPrismError as error:
        say(sentence_of(error))
        return
    say(
        f"Slices {done} of {first} to {last} are done and kept in {target}: --mask {target.name} goes on from them as "
        "they are, with --slice N,M from those that you name."
    )


def _names(output: Path) -> Iterator[Path]:
    """``liver-partial.seg.nrrd``, ``liver-partial-2.seg.nrrd`` and so on."""
    name = output.name
    ending = next(ending for ending in SEGMENTATION_ENDINGS if name.lower().endswith(ending))
    stem, ending = name[: -len(ending)], name[-len(ending) :]
    yield output.with_name(f"{stem}-partial{ending}")
    for number in count(2):
        yield output.with_name(f"{stem}-partial-{number}{ending}")
