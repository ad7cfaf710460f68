"""Whether voxels are those that were compressed: ITK and Pillow read on past a wrong checksum."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.detached_voxels import detached_header, header_lines

_COMPRESSED = re.compile(rb"\s*(CompressedData\s*[=:]\s*[t1]|encoding:\s*gz(ip)?\s*$)", re.IGNORECASE)
#: What stands before the compressed bytes of a file besides the header, as few files have it.
_OFFSET = re.compile(rb"\s*(HeaderSize\s*[=:]|(line ?skip|byte ?skip):)\s*-?[1-9]", re.IGNORECASE)
#: zlib's way of saying: a stream of its own kind, or one of gzip.
_EITHER_KIND = 47
_PIECE = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n"


def check_voxels(path: Path, voxels: npt.NDArray[Any]) -> None:
    """Compare what was read from a MetaImage or NRRD with the checksum of its compressed voxels.

    Usually the checksum of the array is that in the file. It is not where ITK has swapped bytes or joined several
    files, and then these are decompressed once more.

    Args:
        path: the image, or its header; unless its voxels are compressed there is nothing to compare.
        voxels: C-contiguous, as stored.

    Raises:
        InvalidImage: they are not those that were compressed.
        OSError: a file has gone since it was read.
    """
    header = detached_header(path)
    fields, place = _header(path) if header is None else (header.fields, 0)
    if not any(map(_COMPRESSED.match, fields)) or any(map(_OFFSET.match, fields)):
        return
    files = (path,) if header is None else header.files
    if len(files) == 1 and _ends_with_checksum_of(files[0], voxels):
        return
    if not all(_is_whole(file, place) for file in files):
        raise InvalidImage(f"{path.name} is damaged: its voxels are not those that were saved; copy it again.")


def is_sound_png(stream: BinaryIO) -> bool:
    """Whether the checksums of a PNG's pixels are theirs; the stream is at its beginning before and after.

    True of what is no PNG, or ends too early: Pillow says so itself.
    """
    is_png = stream.read(len(_PNG)) == _PNG
    sound = not is_png or all(
        zlib.crc32(kind + content) == checksum for kind, content, checksum in _png_chunks(stream) if kind == b"IDAT"
    )
    stream.seek(0)
    return sound


def _png_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes, int]]:
    """The whole chunks of a PNG behind its signature, up to the one that ends it: kind, content and checksum."""
    kind = b""
    while kind != b"IEND" and len(start := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        content, checksum = stream.read(length), stream.read(4)
        if len(checksum) == 4:
            yield kind, content, int.from_bytes(checksum, "big")


def _header(path: Path) -> tuple[Iterable[bytes], int]:
    """The lines of a header that stands before its voxels, and where it ends."""
    lines: list[bytes] = []
    for line in header_lines(path):
        lines.append(line)
        if not line.strip() or line.lstrip().startswith(b"ElementDataFile"):
            break
    return lines, sum(map(len, lines))


def _ends_with_checksum_of(path: Path, voxels: npt.NDArray[Any]) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - 8, 0))
        end = stream.read()
    of_gzip = struct.pack("<II", zlib.crc32(voxels.data), voxels.nbytes & 0xFFFFFFFF)
    return end == of_gzip or end[4:] == struct.pack(">I", zlib.adler32(voxels.data))


def _is_whole(path: Path, place: int) -> bool:
    """Whether a compressed stream, of which zlib checks the checksum, reaches its end."""
    inflater = zlib.decompressobj(_EITHER_KIND)
    with path.open("rb") as stream:
        stream.seek(place)
        try:
            while not inflater.eof and (piece := inflater.unconsumed_tail or stream.read(_PIECE)):
                inflater.decompress(piece, _PIECE)
            inflater.flush()
        except zlib.error:
            return False
    return inflater.eof
