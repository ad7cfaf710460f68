"""What the user draws: a click or scribble in the world, and as a prompt for the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from KPrismLib.errors import InvalidPrompt
from KPrismLib.prompts import Click, Prompt, Scribble

if TYPE_CHECKING:
    from KPrismLogic.slice_image import SliceImage


@dataclass(frozen=True)
class Stroke:
    """A click or scribble in the world.

    Attributes:
        points: RAS mm, one for a click.
        positive: whether it adds.
    """

    points: tuple[tuple[float, float, float], ...]
    positive: bool = True

    def prompt(self, image: SliceImage) -> Prompt:
        """The click or scribble in pixels of a slice.

        Raises:
            InvalidPrompt: no point lies in the volume.
        """
        pixels = list(dict.fromkeys(image.pixel_at(point) for point in self.points))
        pixels = [pixel for pixel in pixels if image.contains(*pixel)]
        if not pixels:
            raise InvalidPrompt("The click lies outside the volume; click inside it.")
        if len(self.points) == 1:
            return Click(*pixels[0], self.positive)
        return Scribble(tuple(pixels), self.positive)
