import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from KPrismLib.errors import InvalidConfig, InvalidImage
from KPrismLib.imaging.voxel_values import percentiles
from KPrismLib.intensity import FIXED_WINDOWS, IntensityWindow, looks_like_hounsfield, window_for


def _ct(rng):
    return np.concatenate([np.full(500, -1000), rng.integers(-100, 300, 1500)]).reshape(2, 25, 40).astype(np.int16)


def test_a_window_is_linear_and_clipped():
    window = IntensityWindow(-125, 275, "ct-abdomen")
    pixels = window.apply(np.array([[-1000, -125, 75, 275, 3000]], np.int16))
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[0, 0, 128, 255, 255]]  # 75 lies at 127.5: the even neighbour


def test_halves_are_rounded_to_even():
    window = IntensityWindow(0, 510, "0,510")
    assert window.apply(np.array([1, 3, 5, 7])).tolist() == [0, 2, 2, 4]


@given(hnp.arrays(np.int16, hnp.array_shapes(max_dims=3), elements=st.integers(-2000, 3000)))
def test_a_value_gives_the_same_pixel_from_every_dtype(values):
    window = IntensityWindow(-991, 500, "ct-wide")
    expected = window.apply(values)
    for dtype in (np.int32, np.float32, np.float64):
        assert np.array_equal(window.apply(values.astype(dtype)), expected)


def test_eight_bit_data_pass_unchanged():
    data = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    window = window_for(data)
    assert window == IntensityWindow(0, 255, "identity")
    assert np.array_equal(window.apply(data), data)
    # The same numbers from a node that holds 16 bits or floats give the same pixels.
    assert np.array_equal(window.apply(data.astype(np.int16)), data)
    assert np.array_equal(window.apply(data.astype(np.float32)), data)


@pytest.mark.parametrize("modality", ["CT", "ct", "CT (abdomen)"])
def test_ct_is_windowed_in_hounsfield_units(rng, modality):
    assert window_for(rng.integers(0, 60, (2, 9, 9)).astype(np.int16), modality=modality).rule == "ct-abdomen"


def test_hounsfield_units_are_recognised_without_a_modality(rng):
    data = _ct(rng)
    assert window_for(data) == IntensityWindow(-125, 275, "ct-abdomen")
    assert window_for(data.astype(np.float32)).rule == "ct-abdomen"
    assert window_for(data, modality="MR").rule == "percentile-0.5-99.8"


@pytest.mark.parametrize(
    ("low", "high", "dtype", "expected"),
    [
        (-1024, 3071, np.int16, True),
        (-3024, 1500, np.int16, True),  # padding outside the scanner's circle
        (-1000.5, 800.25, np.float32, True),  # resampled
        (0, 4000, np.uint16, False),
        (0, 4000, np.int16, False),
        (-899, 500, np.int16, False),
        (-1000, 100, np.int16, False),
        (-32768, 3000, np.int16, False),
        (-1024, 4096, np.int16, True),
        (-1024, 4097, np.int16, False),  # more than 12 bits of CT
        (-1024, 20000, np.int16, False),
        (-3142, 3141, np.int16, False),  # a phase image
    ],
)
def test_hounsfield_is_told_by_air_and_metal(low, high, dtype, expected):
    assert looks_like_hounsfield(np.array([low, high], dtype), low, high) is expected


def test_mr_is_windowed_between_percentiles(rng):
    data = rng.gamma(2.0, 100.0, (4, 30, 30)).astype(np.uint16)
    window = window_for(data, modality="MR")
    low, high = np.percentile(data, [0.5, 99.8])
    assert window == IntensityWindow(low, high, "percentile-0.5-99.8")


def test_pictures_of_many_bits_are_stretched_from_minimum_to_maximum(rng):
    data = rng.integers(1000, 50000, (1, 40, 40)).astype(np.uint16)
    assert window_for(data) == IntensityWindow(data.min(), data.max(), "min-max")
    assert window_for(data / 50000.0).rule == "min-max"


def test_a_few_extreme_values_do_not_squeeze_the_rest(rng):
    data = rng.integers(0, 400, (1, 100, 100)).astype(np.uint16)
    data[0, 0, :3] = 60000
    window = window_for(data)
    assert window.rule == "percentile-0.5-99.8"
    assert window.high < 401


@pytest.mark.parametrize(("share", "rule"), [(0.4, "percentile-0.5-99.8"), (0.6, "min-max"), (0.9, "min-max")])
def test_values_that_fill_half_of_the_range_are_not_squeezed(rng, share, rule):
    data = rng.integers(0, int(1000 * share), (1, 100, 100)).astype(np.uint16)
    data[0, 0, :3] = 1000
    assert window_for(data).rule == rule


@pytest.mark.parametrize("rule", FIXED_WINDOWS)
def test_named_windows_are_those_of_the_protocol(rng, rule):
    expected = {
        "ct-abdomen": (-125, 275),
        "ct-wide": (-991, 500),
        "ct-kidney-liver-tumour": (-200, 250),
        "ct-lung": (-1000, 400),
    }[rule]
    assert window_for(_ct(rng), rule=rule) == IntensityWindow(*expected, rule)


def test_two_numbers_are_a_rule(rng):
    assert window_for(_ct(rng), rule="-100, 240.5") == IntensityWindow(-100, 240.5, "-100,240.5")


@pytest.mark.parametrize("rule", ["-1024.56789,3071.12345", "0.1,0.30000000000000004", "1e-09,2e+20", "0,1000000"])
def test_the_recorded_rule_chooses_the_same_window_again(rng, rule):
    window = window_for(_ct(rng), rule=rule)
    assert window.rule == rule
    assert window_for(_ct(rng), rule=window.rule) == window


def test_percentiles_beyond_what_signed_integers_hold():
    values = np.array([2**63, 2**63 + 4096, 2**63 + 8192], np.uint64)
    assert percentiles(values, [0, 50, 100]) == [2.0**63, 2.0**63 + 4096, 2.0**63 + 8192]


def test_percentiles_that_coincide_give_way_to_the_whole_range():
    data = np.zeros((1, 100, 100), np.uint16)
    data[0, 0, :3] = [5, 9, 7]
    assert window_for(data, rule="percentile-2-98") == IntensityWindow(0, 9, "min-max")


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32]),
        hnp.array_shapes(max_dims=3, max_side=9),
        elements=st.integers(0, 200),
    ),
    st.lists(st.floats(0, 100), min_size=1, max_size=3),
)
def test_percentiles_are_those_of_numpy(values, percents):
    assert percentiles(values, percents) == pytest.approx(
        np.percentile(values.astype(np.float64), percents).tolist(), abs=1e-9
    )


def test_percentiles_of_integers_too_far_apart_to_count(rng):
    values = rng.integers(-(2**30), 2**30, 1001)
    assert percentiles(values, [2, 50, 98]) == pytest.approx(np.percentile(values, [2, 50, 98]).tolist())


def test_memory_mapped_and_scattered_arrays_give_the_same_window(tmp_path, rng):
    data = rng.integers(-500, 3000, (3, 40, 50)).astype(np.int16)
    np.save(tmp_path / "volume.npy", data)
    mapped = np.load(tmp_path / "volume.npy", mmap_mode="r")
    for other in (mapped, data.transpose(2, 0, 1), data[::-1], data.astype(np.float32)):
        assert window_for(other, rule="percentile-2-98") == window_for(data, rule="percentile-2-98")


def test_the_window_belongs_to_the_volume_not_to_the_slice(rng):
    volume = rng.integers(0, 1000, (4, 20, 20)).astype(np.int16)
    volume[2] *= 3
    window = window_for(volume, modality="MR")
    assert np.array_equal(window.apply(volume)[2], window.apply(volume[2]))
    assert window != window_for(volume[2:3], modality="MR")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.zeros((0, 3, 3)), "empty"),
        (np.full((1, 3, 3), 7, np.int16), "constant"),
        (np.full((1, 3, 3), 7, np.uint8), "constant"),
        (np.array([[[0.0, np.nan]]]), "NaN"),
        (np.array([[[0.0, np.inf]]]), "infinite"),
    ],
)
@pytest.mark.parametrize("rule", ["auto", "ct-abdomen", "percentile-2-98", "0,1"])
def test_images_with_nothing_to_see_are_refused(data, sentence, rule):
    with pytest.raises(InvalidImage, match=sentence):
        window_for(data, rule=rule)


def test_identity_needs_eight_bit_values(rng):
    with pytest.raises(InvalidImage, match="between 0 and 255"):
        window_for(_ct(rng), rule="identity")
    assert window_for(np.array([[[0, 200]]]), rule="identity").rule == "identity"


def test_nan_is_refused_when_a_window_is_applied():
    with pytest.raises(InvalidImage, match="NaN"):
        IntensityWindow(0, 1, "0,1").apply(np.array([0.5, np.nan]))


@pytest.mark.parametrize("rule", ["", "ct", "5", "1,2,3", "a,b"])
def test_an_unknown_rule_lists_the_rules(rng, rule):
    with pytest.raises(InvalidConfig, match="percentile-2-98"):
        window_for(_ct(rng), rule=rule)


@pytest.mark.parametrize("rule", ["5,5", "7,3", "nan,3", "0,inf"])
def test_a_window_needs_low_below_high(rng, rule):
    with pytest.raises(InvalidConfig, match="LOW < HIGH"):
        window_for(_ct(rng), rule=rule)


def test_a_window_survives_its_record():
    window = IntensityWindow(-0.1, 273.5, "percentile-2-98")
    assert IntensityWindow.from_dict(window.to_dict()) == window


@pytest.mark.parametrize("record", [{}, {"low": 0, "high": 1}, {"low": "x", "high": 1, "rule": "r"}])
def test_a_broken_record_is_refused(record):
    with pytest.raises(InvalidConfig, match="needs numbers"):
        IntensityWindow.from_dict(record)


@pytest.mark.parametrize("highest", [1000, 1023, 1100])
def test_twelve_bits_about_zero_are_hounsfield_units(highest: int) -> None:
    assert looks_like_hounsfield(np.array([-1024, highest], np.int16), -1024, highest)
