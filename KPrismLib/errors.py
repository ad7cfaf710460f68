"""Every way in which an input can be wrong, as a type of its own.

All of them derive from :class:`KPrismError`; the message is always one sentence that a user can act on.
The command line turns a ``KPrismError`` into that sentence on standard error and a non-zero exit status.
"""

from __future__ import annotations


class KPrismError(Exception):
    """Base of every error that K-Prism raises on purpose."""


class InvalidImage(KPrismError, ValueError):
    """An image that cannot be read or segmented: empty, wrong dimensions, NaN or infinite, constant."""


class InvalidMask(KPrismError, ValueError):
    """A mask that cannot be used: empty, without the asked label, not a label map."""


class InvalidPrompt(KPrismError, ValueError):
    """A click or scribble outside the image, contradictory clicks on one pixel, or no prompt at all."""


class InvalidReference(KPrismError, ValueError):
    """A reference whose image and mask do not belong together, or no reference at all."""


class GeometryMismatch(KPrismError, ValueError):
    """Two images that must share a pixel grid do not."""


class UnknownClass(KPrismError, KeyError):
    """A class name that the loaded weights do not know."""

    def __str__(self) -> str:
        # KeyError quotes its argument; the sentence is for people.
        return str(self.args[0]) if self.args else ""


class InvalidWeights(KPrismError, ValueError):
    """A weights file that is missing, truncated, or made for another network."""


class InvalidDataset(KPrismError, ValueError):
    """A dataset folder that breaks the ``dataset.json`` contract."""


class InvalidConfig(KPrismError, ValueError):
    """A setting outside its range, or two settings that contradict each other."""


class DeviceUnavailable(KPrismError, RuntimeError):
    """The asked device (cuda, mps) does not exist on this computer."""


class OutOfMemory(KPrismError, MemoryError):
    """The device ran out of memory."""


class CannotWrite(KPrismError, OSError):
    """An output that cannot be written: full disk, read-only folder, unknown format."""


class TrainingDiverged(KPrismError, ArithmeticError):
    """A loss or gradient that is not finite, or losses that explode."""


class Cancelled(KPrismError):
    """The user stopped the work."""
