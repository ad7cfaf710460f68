"""References out of a library: those that look like the slice, of its modality, and never its own case."""

from __future__ import annotations

import numpy as np
import pytest

from KPrismLib.encoded_image import EncodedImage
from KPrismLib.errors import InvalidConfig, InvalidReference
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import LibrarySlice, ReferenceLibrary
from KPrismLib.volumes.descriptor import describe_layout
from Testing.engine.predictor.tiny_predictor import picture, tiny_predictor

PHASES = {"a": 0.0, "b": 0.5, "c": 1.5, "d": 3.0}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


@pytest.fixture(scope="module")
def library(predictor: Predictor) -> ReferenceLibrary:
    """Four cases of one slice; c shows the spleen, the others the liver; d is MR."""
    filled = ReferenceLibrary()
    for case, phase in PHASES.items():
        structures = frozenset({"spleen" if case == "c" else "liver"})
        slice_ = LibrarySlice(case, 3, structures, "MR" if case == "d" else "CT")
        filled.add(slice_, predictor.encode(picture(phase=phase)))
    return filled


def names(library: ReferenceLibrary, image: EncodedImage, **wanted: object) -> list[str]:
    return [suggestion.slice.case for suggestion in library.suggest(image, **wanted)]  # type: ignore[arg-type]


@pytest.mark.parametrize("case", PHASES)
def test_a_slice_that_is_in_the_library_is_its_own_best_reference(
    predictor: Predictor, library: ReferenceLibrary, case: str
) -> None:
    first, *rest = library.suggest(predictor.encode(picture(phase=PHASES[case])))
    assert first.slice.case == case
    assert first.similarity == pytest.approx(1.0, abs=1e-5)
    assert all(suggestion.similarity < 0.999 for suggestion in rest)
    assert len(rest) == 3


def test_similarity_is_the_cosine_of_the_layouts_without_what_all_share(
    predictor: Predictor, library: ReferenceLibrary
) -> None:
    layouts = np.stack([describe_layout(predictor.encode(picture(phase=phase))) for phase in PHASES.values()])
    image = predictor.encode(picture(phase=0.7))
    query, centred = describe_layout(image) - layouts.mean(0), layouts - layouts.mean(0)
    expected = centred @ query / np.linalg.norm(centred, axis=1) / np.linalg.norm(query)
    found = {suggestion.slice.case: suggestion.similarity for suggestion in library.suggest(image)}
    assert [found[case] for case in PHASES] == pytest.approx(expected.tolist(), abs=1e-5)
    assert list(found) == sorted(found, key=lambda case: -found[case])


def test_structure_modality_and_own_case_narrow_the_choice(predictor: Predictor, library: ReferenceLibrary) -> None:
    image = predictor.encode(picture())
    assert names(library, image, structure="spleen") == ["c"]
    assert names(library, image, modality="MR") == ["d"]
    assert "a" not in names(library, image, without="a")
    assert names(library, image, structure="liver", modality="CT", count=1) == ["a"]


def test_where_is_told_apart_not_only_what(predictor: Predictor) -> None:
    library = ReferenceLibrary()
    upright, turned = picture(48, 48), np.ascontiguousarray(picture(48, 48)[::-1])
    for case, pixels in (("upright", upright), ("turned", turned)):
        library.add(LibrarySlice(case, 0, frozenset({"liver"})), predictor.encode(pixels))
    assert names(library, predictor.encode(turned)) == ["turned", "upright"]


def test_a_case_of_unknown_modality_serves_where_no_other_does(predictor: Predictor) -> None:
    library = ReferenceLibrary()
    library.add(LibrarySlice("x", 0, frozenset({"liver"})), predictor.encode(picture()))
    assert names(library, predictor.encode(picture(phase=1.0)), modality="CT") == ["x"]


def test_what_is_wrong_is_said_in_one_sentence(predictor: Predictor, library: ReferenceLibrary) -> None:
    image = predictor.encode(picture())
    with pytest.raises(InvalidReference, match="The image is US but the references in the library are CT, MR; add"):
        library.suggest(image, modality="US")
    with pytest.raises(InvalidReference, match="shows 'aorta'; it has liver, spleen"):
        library.suggest(image, structure="aorta")
    with pytest.raises(InvalidReference, match="The library is empty"):
        ReferenceLibrary().suggest(image)
    with pytest.raises(InvalidConfig, match="At least 1 reference"):
        library.suggest(image, count=0)
    with pytest.raises(InvalidReference, match="has slice 3 of a already"):
        library.add(LibrarySlice("a", 3, frozenset({"liver"})), image)
    with pytest.raises(InvalidReference, match="shows no structure"):
        library.add(LibrarySlice("e", 0, frozenset()), image)
    assert len(library) == 4
