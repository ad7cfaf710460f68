"""References out of a library: those the read-out can use, of the right modality, and never the slice's own case."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from KPrismLib.encoded_image import EncodedImage
from KPrismLib.errors import InvalidConfig, InvalidReference, UnknownClass
from KPrismLib.network import EncodedReference
from KPrismLib.network.readout import affinity
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import LibrarySlice, ReferenceLibrary
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor

PHASES = {"a": 0.0, "b": 0.5, "c": 1.5, "d": 3.0}
STRUCTURE = {"a": "liver", "b": "liver", "c": "spleen", "d": "liver"}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


def part(predictor: Predictor, pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> EncodedReference:
    (encoded,) = predictor.reference([(pixels, mask)]).parts
    return encoded


@pytest.fixture(scope="module")
def library(predictor: Predictor) -> ReferenceLibrary:
    """Four cases of one slice; c shows the spleen, the others the liver; d is MR."""
    filled = ReferenceLibrary(predictor)
    for case, phase in PHASES.items():
        slice_ = LibrarySlice(case, 3, STRUCTURE[case], "MR" if case == "d" else "CT")
        filled.add(slice_, part(predictor, picture(phase=phase), disk()))
    return filled


def names(library: ReferenceLibrary, image: EncodedImage, structure: str = "liver", **wanted: object) -> list[str]:
    return [suggestion.slice.case for suggestion in library.suggest(image, structure, **wanted)]  # type: ignore[arg-type]


def test_the_read_out_tells_which_are_worth_a_look(
    predictor: Predictor, library: ReferenceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a slow reference that follows the words: position by position, distance by distance."""
    image = predictor.encode(picture(phase=0.7))
    query = image.features.maps.s16[0].flatten(1).T.numpy().astype(np.float64)
    carried, nearness = {}, {}
    for case in ("a", "b", "d"):
        reference = part(predictor, picture(phase=PHASES[case]), disk())
        keys, fraction = reference.keys[0].T.numpy().astype(np.float64), reference.fraction[0].numpy()
        distance = np.array([[np.square(one - other).sum() for other in keys] for one in query])
        weights = np.exp(-distance / np.sqrt(query.shape[1]))
        carried[case] = (weights / weights.sum(axis=1, keepdims=True)) @ fraction
        nearness[case] = -np.mean([distance[:, place].min() for place in np.flatnonzero(fraction > 0.5)])
    consensus = sum(carried.values()) / 3
    in_accord = {
        case: 2 * (mask * consensus).sum() / ((mask**2).sum() + (consensus**2).sum()) for case, mask in carried.items()
    }

    def standardised(values: dict[str, float]) -> dict[str, float]:
        numbers = np.array(list(values.values()))
        return {case: (value - numbers.mean()) / numbers.std() for case, value in values.items()}

    first, second = standardised(in_accord), standardised(nearness)
    wanted = sorted(carried, key=lambda case: -first[case] - second[case])
    for count in (1, 2):
        monkeypatch.setattr("KPrismLib.volumes.retrieval.LOOKED_AT", count)
        assert set(names(library, image, count=count)) == set(wanted[:count])
    monkeypatch.setattr("KPrismLib.volumes.retrieval.LOOKED_AT", 1)
    assert len(names(library, image, count=3)) == 3  # as many as are asked for are looked at


def test_scores_are_agreement_with_the_others_times_certainty(
    predictor: Predictor, library: ReferenceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = predictor.encode(picture(phase=0.7))
    height = image.canvas.content[0]
    assert height < image.canvas.padded[0]
    answers = _columns(image, (8, 2.0), (8, 3.0), (4, 5.0))
    answers[-1][..., height:, :] = -9.0
    given = iter(answers)
    monkeypatch.setattr(predictor, "predict_logits", lambda *_, **__: next(given))
    sure = {logit: 1 / (1 + np.exp(-logit)) for logit in (2.0, 3.0, 5.0)}
    # Masks of 8, 8 and 4 columns: Dice 1 of the first two, 8 / 12 of each with the third.
    expected = {(1 + 2 / 3) / 2 * sure[2.0], (1 + 2 / 3) / 2 * sure[3.0], 2 / 3 * sure[5.0]}
    found = [one.score for one in library.suggest(image, "liver")]
    assert found == pytest.approx(sorted(expected, reverse=True))


def _columns(image: EncodedImage, *answers: tuple[int, float]) -> list[torch.Tensor]:
    """Logits of masks of so many columns, the structure being so probable in them; the padding says nothing."""
    height, found = image.canvas.content[0], []
    for columns, logit in answers:
        logits = torch.full((1, 1, *image.canvas.padded), -1.0)
        logits[..., :columns] = logit
        logits[..., height:, :] = 9.0
        found.append(logits)
    return found


@pytest.mark.parametrize(
    ("by_class", "expected"),
    [
        ((4, 2.0), {(4, 5.0): 1.0, (8, 2.0): 2 / 3, (8, 3.0): 2 / 3}),  # Dice with the class's mask
        ((1, 2.0), {(4, 5.0): 2 / 3, (8, 2.0): 5 / 6, (8, 3.0): 5 / 6}),  # 0.4 at most: it means something else
        ((0, 2.0), {(4, 5.0): 2 / 3, (8, 2.0): 5 / 6, (8, 3.0): 5 / 6}),  # it finds nothing
    ],
)
def test_a_class_that_is_told_is_what_masks_are_compared_with(
    predictor: Predictor,
    library: ReferenceLibrary,
    monkeypatch: pytest.MonkeyPatch,
    by_class: tuple[int, float],
    expected: dict[tuple[int, float], float],
) -> None:
    image = predictor.encode(picture(phase=0.7))
    (known,), given = _columns(image, by_class), iter(_columns(image, *expected))
    asked = []

    def answer(_: EncodedImage, *, cls: str | None, **__: object) -> torch.Tensor:
        asked.append(cls)
        return next(given) if cls is None else known

    monkeypatch.setattr(predictor, "predict_logits", answer)
    found = sorted(one.score for one in library.suggest(image, "liver", cls="spleen"))
    assert asked == ["spleen", None, None, None]
    assert found == pytest.approx(sorted(trust / (1 + np.exp(-logit)) for (_, logit), trust in expected.items()))


def test_what_a_class_finds_tells_which_are_worth_a_look(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two references that differ in their masks alone that one which carries over what the class finds."""
    library, image = ReferenceLibrary(predictor), predictor.encode(picture())
    left, right = np.zeros((2, 40, 56), np.bool_)
    left[8:32, :24] = right[8:32, 32:] = True
    for case, mask in (("left", left), ("right", right)):
        library.add(LibrarySlice(case, 0, "liver"), part(predictor, picture(), mask))
    monkeypatch.setattr("KPrismLib.volumes.retrieval.LOOKED_AT", 1)
    original, looked_at = predictor.predict_logits, []
    for mask in (left, right):
        drawn = image.canvas.place(torch.from_numpy(mask.astype(np.float32))[None, None]) * 20 - 10

        def answer(*given: object, cls: str | None, drawn: torch.Tensor = drawn, **how: object) -> torch.Tensor:
            return original(*given, cls=cls, **how) if cls is None else drawn  # type: ignore[arg-type]

        monkeypatch.setattr(predictor, "predict_logits", answer)
        looked_at += names(library, image, cls="liver", count=1)
    assert looked_at == ["left", "right"]


def test_what_comes_back_is_what_was_added(predictor: Predictor) -> None:
    library = ReferenceLibrary(predictor)
    slice_, reference = LibrarySlice("a", 3, "liver"), part(predictor, picture(), disk())
    assert slice_ not in library
    library.add(slice_, reference)
    assert slice_ in library
    (suggestion,) = library.suggest(predictor.encode(picture(phase=0.2)), "liver")
    assert suggestion.slice == slice_
    assert suggestion.reference is reference


def test_a_slice_whose_structure_is_not_there_comes_last(predictor: Predictor) -> None:
    library = ReferenceLibrary(predictor)
    dark, bright = np.full((40, 56), 20, np.uint8), picture()
    dark[3, 5] = 0
    for case, pixels in (("other", dark), ("same", bright), ("alike", picture(phase=0.1))):
        library.add(LibrarySlice(case, 0, "liver"), part(predictor, pixels, disk()))
    assert names(library, predictor.encode(bright))[-1] == "other"


def test_structure_modality_and_own_case_narrow_the_choice(predictor: Predictor, library: ReferenceLibrary) -> None:
    image = predictor.encode(picture())
    assert names(library, image, "spleen") == ["c"]
    assert names(library, image, modality="MR") == ["d"]
    assert names(library, image, preferred="MR") == ["d"]
    assert names(library, image, preferred="US") == names(library, image, preferred=None)  # better than none
    assert sorted(names(library, image, without="a")) == ["b", "d"]
    assert len(names(library, image, count=2)) == 2


def test_a_structure_smaller_than_a_position_still_counts(predictor: Predictor) -> None:
    library = ReferenceLibrary(predictor)
    tiny = np.zeros((40, 56), dtype=bool)
    tiny[20, 30] = True
    library.add(LibrarySlice("x", 0, "liver"), part(predictor, picture(), tiny))
    (suggestion,) = library.suggest(predictor.encode(picture(phase=1.0)), "liver", modality="CT")  # unknown serves
    assert suggestion.slice.case == "x"


def test_what_is_wrong_is_said_in_one_sentence(predictor: Predictor, library: ReferenceLibrary) -> None:
    image = predictor.encode(picture())
    with pytest.raises(InvalidReference, match="The image is US but the references in the library are CT, MR; add"):
        library.suggest(image, "liver", modality="US")
    with pytest.raises(InvalidReference, match="shows 'aorta'; it has liver, spleen"):
        library.suggest(image, "aorta")
    with pytest.raises(InvalidReference, match="The library is empty"):
        ReferenceLibrary(predictor).suggest(image, "liver")
    alone = ReferenceLibrary(predictor)
    alone.add(LibrarySlice("a", 3, "liver", "CT"), part(predictor, picture(), disk()))
    with pytest.raises(InvalidReference, match="The library holds slices of a only, which is left out"):
        alone.suggest(image, "liver", without="a")
    with pytest.raises(UnknownClass, match="does not know the class 'aorta'"):
        library.suggest(image, "liver", cls="aorta")
    with pytest.raises(InvalidConfig, match="At least 1 reference"):
        library.suggest(image, "liver", count=0)
    with pytest.raises(InvalidReference, match="has liver in slice 3 of a already"):
        library.add(LibrarySlice("a", 3, "liver", "CT"), part(predictor, picture(), disk()))
    assert len(library) == 4


def test_features_are_compared_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    reduced = Predictor(tiny_predictor().network, precision="bfloat16", name="tiny")
    library = ReferenceLibrary(reduced)
    library.add(LibrarySlice("a", 3, "liver"), part(reduced, picture(), disk()))
    kinds = []

    def spied(keys: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        kinds.append((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)  # whatever multiplies here
        return affinity(keys, query)

    monkeypatch.setattr("KPrismLib.volumes.retrieval.affinity", spied)
    assert len(library.suggest(reduced.encode(picture(phase=0.2)), "liver")) == 1
    assert kinds == [torch.float32]
