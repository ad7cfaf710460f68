"""One slice from its references and the slices beside it: what the network sees, and where the structure was.

Neither is enough alone. In-context segmentation (Eq. 3-7) recognises the structure but not which of two kidneys is
meant; refining a neighbour's mask with a click in its midst (Eq. 8-9) keeps the place but follows a changing outline
less well. Their mean, in logits, is better than both, and the distance to the neighbour's contour decides where they
doubt. Between two known slices the structure is on its way from one to the other: the nearer has more of the say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.deepest_pixel import deepest_pixel
from KPrismLib.encoded_image import EncodedImage, ReferenceSet
from KPrismLib.evaluation.dice import dice, soft_dice
from KPrismLib.predictor import Predictor
from KPrismLib.volumes.class_guidance import SemanticGuide
from KPrismLib.volumes.confidence import evidence, expected_dice
from KPrismLib.volumes.neighbour_prior import location_prior

Probability = NDArray[np.float32]

#: Probabilities are kept so far from 0 and 1 that a logit is finite; one network never outweighs the others by more.
_CERTAIN = 1e-5


@dataclass(frozen=True, eq=False)
class Guide:
    """A mask that a slice is carried from.

    Attributes:
        mask: bool (rows, columns), not empty.
        share: of the say that all guides have, in (0, 1].
        confidence: of the mask, in [0, 1].
    """

    mask: NDArray[np.bool_]
    share: float = 1.0
    confidence: float = 1.0


@dataclass(frozen=True, eq=False)
class Carried:
    """A slice that was segmented beside known ones.

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
    guides: Sequence[Guide],
    *,
    semantic: Sequence[SemanticGuide] = (),
) -> Carried:
    """Segment a slice beside known ones.

    Args:
        predictor: the model.
        image: the slice.
        references: slices with the structure, those of the guides among them as a rule.
        guides: the slice before, and beyond it a known one where there is one; shares sum to 1.
        semantic: whom to ask for the structure's class; their masks (Eq. 2) have a say, too.
    """
    references = predictor.read_out(image, references)
    seen = predictor.segment(image, reference=references).probability
    followed = _mean((guide.share, logits_of(_followed(predictor, image, references, guide.mask))) for guide in guides)
    named = [logits_of(guide.predictor.segment(image, cls=guide.cls).probability) for guide in semantic]
    mean = np.average(
        [logits_of(seen), followed, *named], axis=0, weights=[1.0, 1.0, *(guide.share for guide in semantic)]
    )
    prior = location_prior([guide.mask for guide in guides], [guide.share for guide in guides], image.canvas)
    probability = _probability_of(mean + prior)
    mask = probability >= 0.5
    return Carried(
        probability,
        evidence(
            mask,
            overlap=sum(guide.share * dice(mask, guide.mask) for guide in guides),
            promise=expected_dice(_probability_of(mean)),
            agreement=soft_dice(seen, _probability_of(followed)),
        ),
    )


def _followed(
    predictor: Predictor, image: EncodedImage, references: ReferenceSet, mask: NDArray[np.bool_]
) -> Probability:
    """A neighbour's mask, refined by a click in its midst."""
    # Nobody clicked: where the structure moved on, the network may overrule the neighbour's midst.
    session = predictor.session(image, reference=references, mask=mask, honour=False)
    return session.click(*deepest_pixel(mask)).probability


def _mean(parts: Iterable[tuple[float, NDArray[Any]]]) -> NDArray[np.float64]:
    """Of (share, values)."""
    return np.asarray(sum(share * values.astype(np.float64) for share, values in parts))


def logits_of(probability: Probability) -> NDArray[np.float64]:
    """log(p / (1 - p)), finite."""
    p = np.clip(probability.astype(np.float64), _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(p) - np.log1p(-p))


def _probability_of(logits: NDArray[np.float64]) -> Probability:
    return (1 / (1 + np.exp(-logits))).astype(np.float32)
