"""Headers of MetaImage and NRRD whose voxels lie in other files: in one, in a list, or in files that are numbered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

META_SUFFIXES = (".mhd", ".mha")
NRRD_SUFFIXES = (".nhdr", ".nrrd")

_META_FIELD = re.compile(rb"\s*ElementDataFile\s*[=:]\s*(.*?)\s*$")
_META_SIZE = re.compile(rb"\s*DimSize\s*[=:].*?(\d{1,9})\s*$")
_NRRD_FIELD = re.compile(rb"data ?file: [ \t]*(.*?)\r?\n?$", re.IGNORECASE)
#: One number in a name, as C prints it.
_NUMBER = re.compile(r"%(0?\d{0,2})d")
#: Bytes after which a file is no header, but voxels or anything else.
_LONGEST_HEADER = 1 << 24
#: What ITK appends to the name in a MetaImage when there is no file of that name.
_COMPRESSED = ("", ".gz", ".Z")


@dataclass(frozen=True)
class DetachedHeader:
    """A header whose voxels lie elsewhere.

    Attributes:
        path: the header itself.
        names: of the files with the voxels, as the header has them: relative to its folder, or absolute.
        fields: all lines but those that say where the voxels are.
        voxels_field: how that line begins.
        list_of: how a list of names begins (``LIST``, ``LIST 2``); None for one file.
    """

    path: Path
    names: tuple[str, ...]
    fields: tuple[bytes, ...]
    voxels_field: str
    list_of: str | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files with the voxels, in the order of ``names``; one of them may be missing."""
        return tuple(self._file(name) for name in self.names)

    @property
    def found(self) -> tuple[Path, ...]:
        """Those of ``files`` that exist."""
        return tuple(filter(_is_file, self.files))

    def naming(self, names: Sequence[str]) -> bytes:
        """The same header with other names for the same files."""
        lines = names if self.list_of is None else (self.list_of, *names)
        field = f"{self.voxels_field} " + "\n".join(lines)
        return b"\n".join([*self.fields, field.encode(errors="surrogateescape"), b""])

    def _file(self, name: str) -> Path:
        path = self.path.parent / name
        endings = _COMPRESSED if self.path.suffix.lower() in META_SUFFIXES and self.list_of is None else ("",)
        return next(filter(_is_file, (Path(f"{path}{ending}") for ending in endings)), path)


def detached_header(path: Path) -> DetachedHeader | None:
    """The header in a file; None for one that holds its voxels itself, and for what is no MetaImage or NRRD.

    Raises:
        OSError: the file cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix in META_SUFFIXES:
        return _meta(path)
    return _nrrd(path) if suffix in NRRD_SUFFIXES else None


def voxel_files(path: Path) -> tuple[Path, ...]:
    """The files beside ``path`` that are read with it, as far as they exist; none where ``path`` cannot be read."""
    try:
        header = detached_header(path) if path.is_file() else None  # opening a pipe would wait for who writes into it
    except OSError:
        return ()  # whoever reads it will say so
    return () if header is None else header.found


def with_voxel_files(path: Path) -> tuple[Path, ...]:
    """An image file and its :func:`voxel_files`: all that the image depends on."""
    return (path, *voxel_files(path))


def _meta(path: Path) -> DetachedHeader | None:
    fields: list[bytes] = []
    slices, lines = 0, header_lines(path)
    for line in lines:
        size, field = _META_SIZE.match(line), _META_FIELD.match(line)
        slices = int(size[1]) if size else slices
        if field is None:
            fields.append(line.rstrip(b"\r\n"))
            continue
        value = _text(field[1])
        names: tuple[str, ...] = (value,)
        list_of: str | None = None
        if value.upper() == "LOCAL" or not value:
            return None
        if value.startswith("LIST"):
            names, list_of = tuple(_text(name.rstrip()) for name in lines if name.strip()), value
        elif "%" in value:
            names, list_of = tuple(_numbered_slices(path.parent, value, slices)), "LIST"
        return DetachedHeader(path, names, tuple(fields), "ElementDataFile =", list_of)
    return None


def _nrrd(path: Path) -> DetachedHeader | None:
    fields: list[bytes] = []
    names: list[str] = []
    value = ""
    for line in header_lines(path):
        field = _NRRD_FIELD.match(line)
        if (not fields and not line.startswith(b"NRRD")) or not line.strip():
            break
        if value.startswith("LIST"):
            names.append(_text(line.rstrip(b"\r\n")))
        elif field is None:
            fields.append(line.rstrip(b"\r\n"))
        else:
            value = _text(field[1])
    if not value:
        return None
    list_of = value if value.startswith("LIST") else None
    if list_of is None and _NUMBER.search(value):
        template, *numbers = value.split()
        list_of = " ".join(["LIST", *numbers[3:4]])
        names = list(_numbered(path.parent, template, *_integers(numbers[:3])))
    elif list_of is None:
        names = [value]
    return DetachedHeader(path, tuple(names), tuple(fields), "data file:", list_of)


def header_lines(path: Path) -> Iterator[bytes]:
    """The lines of a text file, with their ends; of a long or binary one, as many as a header may have."""
    with path.open("rb") as stream:
        while stream.tell() < _LONGEST_HEADER and (line := stream.readline(_LONGEST_HEADER)):
            yield line


def _numbered_slices(folder: Path, value: str, slices: int) -> Iterator[str]:
    """``slice%03d.raw FIRST LAST STEP`` of a MetaImage, of which the numbers may be left out, the last ones first."""
    words = value.split()
    template, numbers = (" ".join(words[:-3]), words[-3:]) if len(words) > 4 else (words[0], words[1:])
    given = [number for number in _integers(numbers) if number is not None]
    if len(given) < len(numbers):
        return iter(())
    first = given[0] if given else 1
    step = given[2] if len(given) > 2 else (given[1] - first) // max(slices, 1) if len(given) > 1 else 1
    end = first + (slices - 1) * step
    return _numbered(folder, template, first, min(given[1], end) if len(given) > 1 else end, step)


def _numbered(
    folder: Path, template: str, first: int | None = None, last: int | None = None, step: int | None = None
) -> Iterator[str]:
    """The names, the first that is missing as the last one: the header may claim any number of them."""
    if first is None or last is None or not step or len(_NUMBER.findall(template)) != 1 or template.count("%") != 1:
        return iter(())
    numbers = range(first, last + (1 if step > 0 else -1), step)
    return _up_to_missing(folder, (template % number for number in numbers))


def _up_to_missing(folder: Path, names: Iterator[str]) -> Iterator[str]:
    for name in names:
        yield name
        if not _is_file(folder / name):
            return


def _integers(words: Sequence[str]) -> list[int | None]:
    return [int(word) if re.fullmatch(r"-?\d{1,9}", word) else None for word in words]


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")  # as Python has names that are no UTF-8


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a zero in it
        return False
