"""What a file was like, so that it is known whether it still is, without reading hundreds of gigabytes on every run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from KPrismLib.batch.fingerprint import sha256_of

_EDGE = 1 << 16
_PIECE = 1 << 20


class Stamp(NamedTuple):
    """A file at one time.

    Attributes:
        size: In bytes.
        modified: When its content was changed, in nanoseconds; unpacking sets it back to what the archive says.
        changed: When the file system last touched it, in nanoseconds, which unpacking cannot set back; on Windows, when
            it was made.
        digest: SHA-256 of the content.
    """

    size: int
    modified: int
    changed: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of a file, all of which is read.

        Raises:
            OSError: It cannot be read.
        """
        # Looked at before reading: what changes meanwhile must not be taken for what was read.
        return cls(*_facts(path), sha256_of(path))

    def renewed(self, path: Path) -> Stamp | None:
        """The stamp of the same file now; None when it is gone or has other content.

        It is read only where it may have changed. A download that was copied or unpacked again has new times and the
        same content, and so has the same digest.

        Raises:
            OSError: It is there and cannot be read.
        """
        if not path.is_file():
            return None
        facts = _facts(path)
        if facts == self[:3]:
            return self
        return Stamp(*facts, self.digest) if facts[0] == self.size and sha256_of(path) == self.digest else None


def mark(path: Path) -> str:
    """Size and a digest of both ends of a file: equal files have equal marks, others hardly ever.

    Raises:
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        digest = hashlib.sha256(stream.read(_EDGE))
        if size > _EDGE:
            stream.seek(max(_EDGE, size - _EDGE))
            digest.update(stream.read(_EDGE))
    return f"{size}-{digest.hexdigest()[:16]}"


def same_content(first: Path, second: Path) -> bool:
    """Whether two files are equal byte by byte."""
    if first.stat().st_size != second.stat().st_size:
        return False
    with first.open("rb") as one, second.open("rb") as other:
        while True:
            left, right = one.read(_PIECE), other.read(_PIECE)
            if left != right:
                return False
            if not left:
                return True


def _facts(path: Path) -> tuple[int, int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
