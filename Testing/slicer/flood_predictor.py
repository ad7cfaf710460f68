"""A predictor whose masks can be told in advance: it selects pixels by their value."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from KPrismLib.errors import InvalidPrompt, UnknownClass
from KPrismLib.prompts import Click, Scribble, contradiction

CLASSES = {"liver": 100, "spleen": 200}


@dataclass(eq=False)
class FloodImage:
    pixels: np.ndarray
    spacing: tuple
    window: object


@dataclass
class FloodReferences:
    parts: tuple

    def __len__(self):
        return len(self.parts)


@dataclass(eq=False)
class FloodPredictor:
    """Classes and references select one value; a click adds or removes the value that it hits."""

    device: str = "cpu"
    classes: tuple = tuple(CLASSES)
    encoded: list = field(default_factory=list)
    predictions: int = 0
    before_prediction: object = None
    doubtful: object = None
    before_lesson: object = None
    lessons: list = field(default_factory=list)
    lessons_given_up: int = 0
    began_with: list = field(default_factory=list)
    network: object = field(default_factory=lambda: SimpleNamespace(parameters=list))

    def _count(self):
        self.predictions += 1
        if self.before_prediction is not None:
            self.before_prediction()

    def encode(self, pixels, *, window=None, spacing=None):
        image = FloodImage(pixels if pixels.ndim == 2 else pixels[..., 0], spacing, window)
        self.encoded.append(image)
        return image

    def reference(self, pairs, *, window=None, spacing=None):
        return FloodReferences(tuple(int(np.median((p if p.ndim == 2 else p[..., 0])[m])) for p, m in pairs))

    def combine(self, parts):
        return FloodReferences(tuple(parts))

    def encode_batch(self, images, *, window=None, spacing=None):
        return [self.encode(pixels, window=window, spacing=spacing) for pixels in images]

    def class_probabilities(self, images, classes):
        found = [[_flood(image, CLASSES[name]) * self.certainty(image) for name in classes] for image in images]
        return np.array(found, np.float32)

    def segment(self, image, *, cls=None, reference=None):
        self._count()
        values = [CLASSES[cls]] if cls else reference.parts
        mask = np.any([_flood(image, value) for value in values], axis=0)
        return SimpleNamespace(mask=mask, probability=np.where(mask, self.certainty(image), 0.0).astype(np.float32))

    def certainty(self, image):
        """Probability inside masks."""
        return 0.6 if self.doubtful is not None and self.doubtful(image) else 0.95

    def session(self, image, *, cls=None, reference=None, mask=None, drawn=True):
        if mask is not None:
            self.began_with.append("drawn" if drawn else "found")
        return FloodSession(self, image, cls, reference, mask)


class FloodSession:
    def __init__(self, predictor, image, cls, reference, mask):
        self.predictor, self.image = predictor, image
        if cls is not None and cls not in CLASSES:
            raise UnknownClass(f"The model does not know the class {cls!r}.")
        first = np.zeros(image.pixels.shape, bool)
        values = [CLASSES[cls]] if cls else list(reference.parts) if reference else []
        for value in values:
            first |= self._like(value)
        if mask is not None:
            first = mask.copy()
        self._count()
        self.states, self.position = [((), first)], 0

    @property
    def prompts(self):
        return self.states[self.position][0]

    @property
    def mask(self):
        return self.states[self.position][1]

    @property
    def can_redo(self):
        return self.position < len(self.states) - 1

    def undo(self):
        self.position -= 1

    def redo(self):
        self.position += 1

    def click(self, row, column, *, positive=True):
        self._add(Click(row, column, positive))

    def scribble(self, points, *, positive=True):
        self._add(Scribble(tuple(points), positive))

    def _add(self, prompt):
        problem = contradiction(prompt, self.prompts)
        if problem:
            raise InvalidPrompt(problem)
        self._count()
        mask = self.mask.copy()
        for row, column in prompt.points:
            mask[self._like(self.image.pixels[row, column])] = prompt.positive
        self.states[self.position + 1 :] = [((*self.prompts, prompt), mask)]
        self.position += 1

    def _like(self, value):
        return _flood(self.image, value)

    def _count(self):
        self.predictor._count()


def _flood(image, value):
    """Pixels of an image like a value."""
    # Interpolated slices blend at borders: the nearest of the values that structures have.
    known = np.array([0, 100, 200])
    nearest = known[np.abs(image.pixels[..., None].astype(int) - known).argmin(-1)]
    return nearest == known[np.abs(int(value) - known).argmin()]
