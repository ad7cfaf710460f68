"""Output in letters that not every stream has: on Windows a file or a pipe takes those of one code page."""

from __future__ import annotations

import codecs
import io
import sys


def tolerate_code_pages() -> None:
    """Have standard output and standard error write a question mark for a letter that they lack, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper) or codecs.lookup(stream.encoding).name == "utf-8":
            continue
        if stream.errors == "strict":  # standard error has a way of its own, as a rule: it escapes them
            stream.reconfigure(errors="replace")
