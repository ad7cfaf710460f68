"""Whether the same work was done before: fingerprints of files and of settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from KPrismLib.errors import InvalidImage

_PIECE = 1 << 20


def content_fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 over the names and bytes of files, in order of their names.

    Raises:
        InvalidImage: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        with _readable(path):
            digest.update(_bytes(f"{path.name}\0{path.stat().st_size}\0"))
            _add_content(digest, path)
    return digest.hexdigest()


def file_fingerprint(path: Path) -> str:
    """SHA-256 over the bytes of a file, whatever its name.

    Raises:
        InvalidImage: it cannot be read.
    """
    with _readable(path):
        return sha256_of(path)


def sha256_of(path: Path) -> str:
    """As :func:`file_fingerprint`, which turns errors into sentences on images.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    _add_content(digest, path)
    return digest.hexdigest()


def stamp(files: Iterable[Path]) -> str:
    """SHA-256 over the names, sizes and times of change of files: while it stays the same, so does their content.

    Raises:
        InvalidImage: a file is missing.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        with _readable(path):
            facts = path.stat()
        digest.update(_bytes(f"{path.name}\0{facts.st_size}\0{facts.st_mtime_ns}\0"))
    return digest.hexdigest()


def settings_fingerprint(settings: Mapping[str, Any]) -> str:
    """SHA-256 over plain values (what JSON can hold), whatever their order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _add_content(digest: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidImage(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # a file name need not be UTF-8
