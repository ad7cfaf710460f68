"""What made an image, read from codes and from words, and what follows from it: window, kind, orientation."""

import numpy as np
import pytest

from KPrismLib.imaging.kinds import kind_of
from KPrismLib.imaging.modality import X_RAY, has_free_orientation, modality_of
from KPrismLib.intensity import window_for


@pytest.mark.parametrize(
    ("text", "modality"),
    [
        ("CT", "CT"), ("ct", "CT"), ("CT (abdomen)", "CT"), ("abdominal CT", "CT"), ("contrast-enhanced CT", "CT"),
        ("Computed tomography of the chest", "CT"), ("abdomen (CT)", "CT"),
        ("MR", "MR"), ("MRI (3-D LGE / GE-MRI)", "MR"), ("cardiac MRI", "MR"), ("magnetic resonance imaging", "MR"),
        ("US", "US"), ("ultrasound (breast)", "US"),
        ("DX", X_RAY), ("X-ray (chest)", X_RAY), ("Chest X-rays", X_RAY), ("chest radiographs", X_RAY),
        ("PT", "PT"), ("NM", "NM"), ("NM (bone)", "NM"),
        ("fundus (RGB)", None), ("optical coherence tomography", None), ("OT", None), ("FLAIR", None),
        ("PET/CT", None), ("CT and MRI", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_texts_and_codes(text, modality):
    assert modality_of(text) == modality


@pytest.fixture(scope="module")
def hounsfield():
    """int16, as CT with air and bone in it, but with most of it in soft tissue."""
    return np.random.default_rng(0).normal(40, 20, (4, 32, 32)).clip(-1000, 1500).astype(np.int16)


@pytest.mark.parametrize("text", ["CT", "abdominal CT", "contrast-enhanced CT", "computed tomography", "a scan", ""])
def test_a_ct_in_any_words_gets_the_window_of_ct(hounsfield, text):
    hounsfield[0, 0, :2] = -1000, 1499  # unknown words: the values tell
    window = window_for(hounsfield, modality=text)
    assert window.rule == "ct-abdomen"
    assert kind_of(text, window, colour=False) == "CT"


@pytest.mark.parametrize("text", ["MR", "cardiac MRI", "MRI (brain)"])
def test_an_mr_in_any_words_gets_the_window_of_mr(hounsfield, text):
    assert window_for(hounsfield, modality=text).rule == "percentile-0.5-99.8"


def test_words_that_do_not_follow_the_code_count_for_the_orientation():
    assert has_free_orientation("breast ultrasound")
    assert has_free_orientation("dermoscopy (mostly plain photographs)")
    assert not has_free_orientation("abdominal CT")
    assert not has_free_orientation("CT (of a pathology)")
