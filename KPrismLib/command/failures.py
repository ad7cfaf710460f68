"""What a person reads when a command cannot do its work: one sentence, and the exit status that goes with it."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from KPrismLib.errors import Cancelled, KPrismError

FAILED = 1
INTERRUPTED = 130
READER_GONE = 141  # as a shell reports a program that SIGPIPE ended

#: What a full disk, or a quota, answers who writes.
OUT_OF_SPACE = (errno.ENOSPC, *((errno.EDQUOT,) if hasattr(errno, "EDQUOT") else ()))

#: Set to anything but 0 to see where an error comes from; ``kprism --debug`` sets it.
DEBUG_VARIABLE = "KPRISM_DEBUG"

#: So much of a name that is too long is repeated.
_SHOWN = 40

# A wrong option, a call for help, a wanted exit: typer says these itself. Its base of all wrong usage has no public
# name that is the same in every release.
_WRONG_USAGE: type[BaseException] = typer.BadParameter.mro()[1]


def is_debugging() -> bool:
    """Whether tracebacks and the warnings of other libraries are wanted."""
    return os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")


def without_reader_warnings() -> None:
    """Keep ITK and nibabel from printing what the reader's own sentence says better."""
    if not is_debugging():
        _without_log_lines()
        import SimpleITK as sitk

        sitk.ProcessObject.SetGlobalWarningDisplay(False)


def _without_log_lines() -> None:
    """Silence nibabel, which tells of every header that it mends, on standard error and past all warning filters."""
    logging.getLogger("nibabel").setLevel(logging.CRITICAL + 1)


@contextmanager
def explained() -> Iterator[None]:
    """Turn whatever goes wrong inside into one sentence on standard error and an exit status."""
    try:
        with warnings.catch_warnings():
            if not is_debugging():
                warnings.simplefilter("ignore")
                _without_log_lines()
            yield
    except (typer.Exit, typer.Abort, _WRONG_USAGE):
        raise
    except (KeyboardInterrupt, Cancelled) as error:
        typer.echo("Cancelled.", err=True)
        raise typer.Exit(INTERRUPTED) from error
    except BrokenPipeError as error:
        # Whoever read the output, such as `head`, has seen enough.
        _silence_output()
        raise typer.Exit(READER_GONE) from error
    except Exception as error:  # the outermost place: nobody else is left to handle it
        if is_debugging():
            traceback.print_exc()
        typer.echo(sentence_of(error), err=True)
        if isinstance(error, OSError) and error.errno in OUT_OF_SPACE:
            _silence_output()
        raise typer.Exit(FAILED) from error


def _silence_output() -> None:
    """What could not be printed is let go; the interpreter would try, and complain, once more at its end."""
    if sys.stdout is None:  # closed by who started us
        return
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class ExplainingGroup(TyperGroup):
    """Commands whose errors are sentences, not tracebacks."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        with explained():  # the help and the version are printed in here
            return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        with explained():
            return super().invoke(ctx)


def sentence_of(error: Exception) -> str:
    """What a person reads about an error."""
    text = " ".join(str(error).split())
    if isinstance(error, KPrismError):
        return text
    if isinstance(error, MemoryError):
        return "The computer is out of memory; close other programs or segment a smaller image."
    if isinstance(error, OSError) and error.errno in OUT_OF_SPACE:
        return "There is no space left for what is to be written; free some on that disk, or write to another place."
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        name = max(Path(os.fsdecode(error.filename or "")).parts, key=len, default="")
        return f"The name {name[:_SHOWN]}... is longer than the system allows; check it, or give a shorter one."
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"K-Prism did not expect this ({what[:300].rstrip('.')}); run `kprism --debug ...` to see where it happened."
