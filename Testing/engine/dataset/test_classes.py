"""Names of classes: shared between datasets, whatever their label texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.dataset import DatasetFolder, class_mask, classes_of
from KPrismLib.dataset.classes import classes_from_labels
from KPrismLib.terminology import shared_name
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("liver", "liver"),
        ("liver (including tumours)", "liver"),
        ("Left  Kidney", "left kidney"),
        ("left ventricle cavity", "left ventricle"),
        ("Lungs", "lung"),
        ("kidney_tumor [cyst]", "kidney tumour"),
        ("Non-neoplastic polyp", "non-neoplastic polyp"),
        ("prostate/uterus", "prostate/uterus"),
        ("(unnamed)", "(unnamed)"),
    ],
)
def test_label_texts_become_class_names(label: str, name: str) -> None:
    assert shared_name(label) == name
    assert classes_from_labels({1: label}) == {name: (1,)}


def test_a_disc_is_rim_and_cup_together() -> None:
    labels = {0: "background", 1: "optic disc (rim)", 2: "optic cup"}
    assert classes_from_labels(labels) == {"optic disc": (1, 2), "optic cup": (2,)}


def test_a_disc_label_alone_is_the_disc() -> None:
    assert classes_from_labels({1: "optic disc (rim)"}) == {"optic disc": (1,)}


def test_a_brain_tumour_is_its_core() -> None:
    labels = {0: "background", 1: "necrosis", 2: "oedema", 3: "non-enhancing tumour", 4: "enhancing tumour"}
    assert classes_from_labels(labels) == {"brain tumour": (1, 3, 4)}


def test_labels_of_one_name_are_one_class() -> None:
    assert classes_from_labels({3: "lung (left)", 1: "lung (right)", 2: "heart"}) == {"lung": (1, 3), "heart": (2,)}
    assert classes_from_labels({1: "renal tumor", 2: "kidney_tumour"}) == {"kidney tumour": (1, 2)}


def test_background_is_no_class_whatever_it_is_called() -> None:
    assert classes_from_labels({0: "liver", 1: "spleen"}) == {"spleen": (1,)}


def test_declared_classes_win(tmp_path: Path) -> None:
    labels = {"1": "kidney", "2": "kidney tumour"}
    content = describe([listed("a")], labels=labels, classes={"kidney": [2, 1, 2]})
    assert classes_of(DatasetFolder.open(write_folder(tmp_path, content))) == {"kidney": (1, 2)}


@given(st.dictionaries(st.integers(0, 9), st.sampled_from(["a", "b (x)", "b (y)", "optic cup", "optic disc (rim)"])))
def test_every_label_belongs_to_a_class(labels: dict[int, str]) -> None:
    classes = classes_from_labels(labels)
    assert {value for values in classes.values() for value in values} == set(labels) - {0}


def test_mask_is_the_union_of_the_values() -> None:
    labels = np.array([[0, 1, 2], [3, 2, 1]])
    np.testing.assert_array_equal(class_mask(labels, (1, 3)), [[False, True, False], [True, False, True]])
