"""Headers of NRRD and MetaImage, checked before ITK reads them.

ITK trusts a header. A line that is longer than its buffers, a number of dimensions that cannot be, or a name of files
that makes no sense ends the whole process, which nobody can catch; sizes that are not true take all memory. What is
refused here, ITK could not read either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil, prod
from pathlib import Path

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.detached_voxels import META_SUFFIXES, NRRD_SUFFIXES, detached_header, header_lines

#: ITK has room for no more.
_MOST_DIMENSIONS = {"NDims": 10, "dimension": 16}
#: ITK quotes a line that it does not understand, in 1024 characters together with its own words.
_LONGEST_NRRD_LINE = 800
_NRRD_MAGIC = re.compile(r"NRRD00(\.01|0[1-5])")
#: Without the spaces in their names; the first line has those that ITK never quotes.
_NRRD_FIELDS = (
    *("content", "sampleunits"),
    *("number", "type", "blocksize", "dimension", "space", "spacedimension", "sizes", "spacings", "thicknesses"),
    *("axismins", "axismaxs", "spacedirections", "centers", "centerings", "kinds", "labels", "units", "min", "max"),
    *("oldmin", "oldmax", "endian", "encoding", "lineskip", "byteskip", "spaceunits", "spaceorigin"),
    *("measurementframe", "datafile"),
)
#: So much of a value stands in a sentence.
_QUOTED = 40
_META_FIELD = re.compile(r"\s*([^=:]*?)\s*[=:]\s*(.*?)\s*")

#: Bytes of one value, by the name of its type.
_TYPES = {
    r"MET_(ASCII_|U)?CHAR(_ARRAY)?|((un)?signed )char|uchar|u?int8(_t)?": 1,
    r"MET_U?SHORT(_ARRAY)?|((un)?signed )?short( int)?|ushort|u?int16(_t)?": 2,
    r"MET_U?(INT|LONG)(_ARRAY)?|((un)?signed )?int|uint|u?int32(_t)?|MET_FLOAT(_ARRAY|_MATRIX)?|float": 4,
    r"MET_(U?LONG_LONG|DOUBLE)(_ARRAY)?|((un)?signed )?long long( int)?|u?longlong|u?int64(_t)?|double": 8,
}
#: Bytes that at most become of one byte of a file.
_DEFLATED, _BZIPPED = 1032, 1 << 21
_NRRD_ENCODINGS = {"raw": 1, "gz": _DEFLATED, "gzip": _DEFLATED, "bz2": _BZIPPED, "bzip2": _BZIPPED}
#: Encodings in which a value takes at least one character, whatever its type.
_NRRD_TEXTS = ("txt", "text", "ascii", "hex")


def check_itk_header(path: Path) -> None:
    """Find whether ITK can be trusted with a NRRD or MetaImage file; a file of another ending passes.

    Raises:
        InvalidImage: the header is damaged, or the voxels are missing or fewer than it says.
        OSError: a file cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix not in (*META_SUFFIXES, *NRRD_SUFFIXES):
        return
    is_meta = suffix in META_SUFFIXES
    files = _voxel_files(path)
    try:
        fields, length = _meta_fields(path) if is_meta else _nrrd_fields(path)
        needed = _bytes_of_meta(fields, files) if is_meta else _bytes_of_nrrd(fields)
    except ValueError as error:
        raise InvalidImage(f"{path.name} cannot be read: {error}; copy or save it again.") from error
    held = sum(file.stat().st_size for file in files) if files else path.stat().st_size - length
    if held < needed:
        raise InvalidImage(
            f"{path.name} cannot be read: it is cut off, or its header is damaged, which promises more voxels than "
            "there are; copy or save it again."
        )


def _voxel_files(path: Path) -> tuple[Path, ...]:
    """The files in which a header keeps its voxels; none when they follow it.

    Raises:
        InvalidImage: it does not name them, or one is missing.
    """
    header = detached_header(path)
    if header is None:
        return ()
    if not header.files:
        raise InvalidImage(
            f"{path.name} cannot be read: its header is damaged where it names the files with the voxels; copy or save "
            "it again."
        )
    # Of the list in a MetaImage, ITK takes what it needs.
    if not header.found or (len(header.found) < len(header.files) and path.suffix.lower() in NRRD_SUFFIXES):
        missing = next(file.name for file in header.files if file not in header.found)
        raise InvalidImage(
            f"{path.name} cannot be read: its voxels are in {missing}, which cannot be found; copy that file, too."
        )
    return header.found


def _nrrd_fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of a NRRD header, and how many bytes it has.

    Raises:
        ValueError: a line that is none of a header, or no end.
    """
    fields: dict[str, str] = {}
    length = 0
    for number, line in enumerate(header_lines(path), start=1):
        length += len(line)
        text = line.decode("latin-1").rstrip("\r\n")
        start, _, value = text.partition(": ")
        name = start.replace(" ", "").lower()
        if number == 1:
            if not _NRRD_MAGIC.fullmatch(text):
                raise ValueError("it is damaged, or no NRRD file")
        elif not text:
            return fields, length
        elif fields.get("datafile", "").lstrip().startswith("LIST"):
            continue  # the name of a file
        elif text.startswith("#") or ":=" in start:
            continue  # a comment, or a key with its value
        elif name not in _NRRD_FIELDS:
            raise ValueError(f"its header is damaged in line {number}, or has no empty line at its end")
        elif name in fields or (len(text) > _LONGEST_NRRD_LINE and name not in _NRRD_FIELDS[:2]):
            raise ValueError(f"its header is damaged in line {number}")
        else:
            fields[name] = value.strip()
    if "datafile" not in fields:
        raise ValueError("its header has no empty line at its end")
    return fields, length


def _meta_fields(path: Path) -> tuple[dict[str, str], int]:
    """As :func:`_nrrd_fields`, of a MetaImage."""
    fields: dict[str, str] = {}
    length = 0
    for line in header_lines(path):
        length += len(line)
        field = _META_FIELD.fullmatch(line.decode("latin-1"))
        if field is None:
            continue
        if field[1] in fields and field[1] in ("NDims", "DimSize", "ElementType", "ElementNumberOfChannels"):
            raise ValueError(f"its header is damaged, with two fields {field[1]}")
        fields[field[1]] = field[2]
        if field[1] == "ElementDataFile":
            return fields, length
    raise ValueError("its header is damaged, without a field ElementDataFile")


def _bytes_of_nrrd(fields: Mapping[str, str]) -> int:
    """How many bytes its voxels take at least where they are stored.

    Raises:
        ValueError: a field is missing, or makes no sense.
    """
    values = _number_of_voxels(fields, "dimension", "sizes")
    size, encoding = _size_of_value(fields, "type"), fields.get("encoding", "").lower()
    if encoding in _NRRD_TEXTS:
        return values
    if encoding not in _NRRD_ENCODINGS:
        raise ValueError(f"its header is damaged: encoding is {encoding[:_QUOTED] or 'missing'}")
    return ceil(values * size / _NRRD_ENCODINGS[encoding])


def _bytes_of_meta(fields: Mapping[str, str], files: Sequence[Path]) -> int:
    """As :func:`_bytes_of_nrrd`, of a MetaImage with its voxels in ``files``."""
    channels = fields.get("ElementNumberOfChannels", "1")
    values = _number_of_voxels(fields, "NDims", "DimSize") * _positive(channels, "ElementNumberOfChannels")
    size = _size_of_value(fields, "ElementType")
    if not _is_true(fields.get("BinaryData", "True")):
        return values
    # ITK knows by the ending of a file that it is compressed, whatever the header says.
    compressed = _is_true(fields.get("CompressedData", "")) or any(file.suffix in (".gz", ".Z") for file in files)
    return ceil(values * size / (_DEFLATED if compressed else 1))


def _number_of_voxels(fields: Mapping[str, str], dimensions: str, sizes: str) -> int:
    count = _positive(fields.get(dimensions, ""), dimensions)
    if count > _MOST_DIMENSIONS[dimensions]:
        raise ValueError(f"its header is damaged: {dimensions} is {count}")
    words = fields.get(sizes, "").split()
    if len(words) < count:
        raise ValueError(f"its header is damaged: {sizes} has not {count} numbers")
    return prod(_positive(word, sizes) for word in words[:count])


def _size_of_value(fields: Mapping[str, str], name: str) -> int:
    value = fields.get(name, "")
    found = next((size for types, size in _TYPES.items() if re.fullmatch(types, value, re.IGNORECASE)), None)
    if found is None:
        raise ValueError(f"its header is damaged: {name} is {value[:_QUOTED] or 'missing'}")
    return found


def _positive(value: str, name: str) -> int:
    """The number that a value begins with; ITK passes over what comes after it."""
    number = re.match(r"0*[1-9]\d{0,17}(?!\S)", value, re.ASCII)
    if number is None:
        raise ValueError(f"its header is damaged: {name} is {value[:_QUOTED] or 'missing'}")
    return int(number[0])


def _is_true(word: str) -> bool:
    """As MetaIO takes it."""
    return word[:1] in ("T", "t", "1")
