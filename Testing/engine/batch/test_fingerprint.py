import os

from KPrismLib.batch.fingerprint import content_fingerprint, settings_fingerprint, stamp


def test_content_is_names_and_bytes_whatever_the_order_and_the_time(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    before = content_fingerprint([one, two])
    os.utime(one, (1, 1))
    assert content_fingerprint([two, one]) == before
    one.write_bytes(b"3")
    assert content_fingerprint([one, two]) != before
    one.write_bytes(b"12")
    two.write_bytes(b"")
    assert content_fingerprint([one, two]) != before


def test_a_stamp_changes_with_size_and_time_of_change(tmp_path):
    path = tmp_path / "one"
    path.write_bytes(b"1")
    before = stamp([path])
    assert stamp([path]) == before
    os.utime(path, (1, 1))
    touched = stamp([path])
    path.write_bytes(b"12")
    os.utime(path, (1, 1))
    assert len({before, touched, stamp([path])}) == 3


def test_settings_are_values_not_their_order():
    assert settings_fingerprint({"a": 1, "b": (2,)}) == settings_fingerprint({"b": [2], "a": 1})
    assert settings_fingerprint({"a": 1}) != settings_fingerprint({"a": 2})
