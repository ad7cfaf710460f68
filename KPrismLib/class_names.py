"""Class names as a person types them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from KPrismLib.errors import UnknownClass
from KPrismLib.terminology import plain_name

#: So many classes are listed in a sentence.
_LISTED = 8


def row_of_class(name: str, known: Sequence[str]) -> int:
    """The row of the semantic table of a class; case, underscores, remarks and spelling variants do not matter.

    Raises:
        UnknownClass: with the nearest known name.
    """
    if name in known:
        return known.index(name)
    wanted, plain = plain_name(name), [plain_name(each) for each in known]
    if wanted in plain:
        return plain.index(wanted)
    nearest = _nearest(wanted, plain)
    hint = f"did you mean {known[nearest]!r}?" if nearest is not None else _known_text(known)
    raise UnknownClass(f"The model does not know the class {name!r}; {hint}")


def _known_text(known: Sequence[str]) -> str:
    """A model of one's own knows few."""
    if len(known) <= _LISTED:
        return f"it knows {', '.join(known)}."
    return "`kprism classes` lists those it knows, with --model for a model of your own."


def class_called(name: str, known: Sequence[str]) -> str | None:
    """The class that a structure's name says, as :func:`row_of_class` reads it; None when no class has this name."""
    try:
        return known[row_of_class(name, known)]
    except UnknownClass:
        return None


def _nearest(wanted: str, plain: Sequence[str]) -> int | None:
    """Which of the names is most probably meant."""
    close = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.6)
    # "kidney" is far from "left kidney" in letters, but contained in it.
    close = close or sorted(one for one in plain if wanted and (wanted in one or one in wanted))
    close = close or difflib.get_close_matches(wanted, plain, n=1, cutoff=0.4)
    return plain.index(close[0]) if close else None
