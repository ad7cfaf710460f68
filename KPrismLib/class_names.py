"""Class names as a person types them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from KPrismLib.errors import UnknownClass


def row_of_class(name: str, known: Sequence[str]) -> int:
    """The row of the semantic table of a class; case and surrounding blanks do not matter.

    Raises:
        UnknownClass: with the nearest known name.
    """
    if name in known:
        return known.index(name)
    wanted, plain = _plain(name), [_plain(each) for each in known]
    if wanted in plain:
        return plain.index(wanted)
    nearest = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.4)
    hint = f"did you mean {known[plain.index(nearest[0])]!r}?" if nearest else "`kprism classes` lists those it knows."
    raise UnknownClass(f"The model does not know the class {name!r}; {hint}")


def _plain(name: str) -> str:
    return " ".join(name.lower().split())
