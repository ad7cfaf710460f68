"""One slice from its references and the slice before: what the network sees, and where the structure was.

Neither is enough alone. In-context segmentation (Eq. 3-7) recognises the structure but not which of two kidneys is
meant; refining the neighbour's mask with a click in its midst (Eq. 8-9) keeps the place but follows a changing outline
less well. Their mean, in logits, is better than both, and the distance to the neighbour's contour decides where they
doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.deepest_pixel import deepest_pixel
from KPrismLib.encoded_image import EncodedImage, ReferenceSet
from KPrismLib.predictor import Predictor
from KPrismLib.volumes.confidence import evidence, expected_dice, soft_dice
from KPrismLib.volumes.neighbour_prior import location_prior

Probability = NDArray[np.float32]

#: Probabilities are kept so far from 0 and 1 that a logit is finite; one network never outweighs the others by more.
_CERTAIN = 1e-5


@dataclass(frozen=True, eq=False)
class Carried:
    """A slice that was segmented beside one that is known.

    Attributes:
        probability: float32 (rows, columns) in [0, 1].
        evidence: in [0, 1], what speaks for it: :func:`~KPrismLib.volumes.confidence.evidence`.
    """

    probability: Probability
    evidence: float


def carry(
    predictor: Predictor,
    image: EncodedImage,
    references: ReferenceSet,
    neighbour: NDArray[np.bool_],
    *,
    cls: str | None = None,
) -> Carried:
    """Segment a slice beside one that is known.

    Args:
        predictor: the model.
        image: the slice.
        references: slices with the structure, the neighbour among them as a rule.
        neighbour: bool (rows, columns), the mask of the slice before; not empty.
        cls: the structure's class, where the model knows it; its semantic mask (Eq. 2) then has a third of the say.
    """
    seen = predictor.segment(image, reference=references).probability
    session = predictor.session(image, reference=references, mask=neighbour)
    followed = session.click(*deepest_pixel(neighbour)).probability
    opinions = [seen, followed]
    if cls is not None:
        opinions.append(predictor.segment(image, cls=cls).probability)
    mean = np.mean([logits_of(opinion) for opinion in opinions], axis=0)
    probability = _probability_of(mean + location_prior(neighbour, image.canvas))
    return Carried(
        probability,
        evidence(
            probability >= 0.5,
            neighbour,
            promise=expected_dice(_probability_of(mean)),
            agreement=soft_dice(seen, followed),
        ),
    )


def logits_of(probability: Probability) -> NDArray[np.float64]:
    """log(p / (1 - p)), finite."""
    p = np.clip(probability.astype(np.float64), _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(p) - np.log1p(-p))


def _probability_of(logits: NDArray[np.float64]) -> Probability:
    return (1 / (1 + np.exp(-logits))).astype(np.float32)
