"""Weights files: exact round trips, and every way in which a file can be wrong."""

from __future__ import annotations

import contextlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from KPrismLib import weights
from KPrismLib.errors import CannotWrite, DeviceUnavailable, InvalidWeights
from KPrismLib.network import KPrism
from KPrismLib.predictor import Predictor
from KPrismLib.weights import FORMAT, load_weights, save_weights, shipped_path
from Testing.engine.network.tiny_network import filled, tiny_config

NETWORK = filled(KPrism(tiny_config()))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_weights(path, NETWORK.state_dict(), NETWORK.config, {"steps": 3})
    return path


def rewritten(path: Path, *, metadata: dict[str, str] | None = None, **changes: torch.Tensor | None) -> Path:
    """The file with other metadata, or with tensors changed (None: left out)."""
    loaded = load_weights(path)
    tensors = {n: t for n, t in {**loaded.tensors, **changes}.items() if t is not None}
    known = {"format": FORMAT, "config": json.dumps(loaded.config.to_dict()), "notes": "{}"}
    save_file(tensors, path, known | metadata if metadata is not None else known)
    return path


def test_a_file_gives_the_network_back_in_half_precision(stored: Path) -> None:
    loaded = load_weights(stored)
    assert loaded.config == NETWORK.config
    assert loaded.notes == {"steps": 3}
    assert loaded.source == stored
    assert {t.dtype for t in loaded.tensors.values()} == {torch.float16}
    built = loaded.build()
    for name, tensor in built.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, NETWORK.state_dict()[name].half().float()), name


def test_saving_what_was_loaded_loses_nothing_more(stored: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    loaded = load_weights(stored)
    save_weights(again, loaded.build().state_dict(), loaded.config, loaded.notes)
    second = load_weights(again)
    assert all(torch.equal(second.tensors[n], t) for n, t in loaded.tensors.items())


def test_channels_last_weights_are_saved_like_any_other(stored: Path, tmp_path: Path) -> None:
    placed = Predictor(filled(KPrism(tiny_config()))).network
    other = tmp_path / "other.safetensors"
    save_weights(other, placed.state_dict(), placed.config, {"steps": 3})
    tensors = load_weights(other).tensors
    assert all(torch.equal(tensors[name], tensor) for name, tensor in load_weights(stored).tensors.items())


def test_a_predictor_loads_a_file_and_takes_its_name(stored: Path) -> None:
    predictor = Predictor.load(stored, device="cpu")
    assert predictor.name == str(stored)
    assert predictor.classes == ("liver", "spleen")
    with pytest.raises(DeviceUnavailable):
        Predictor.load(stored, device="cuda:99")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged or not a weights file"),
        (b"not weights at all", "damaged or not a weights file"),
        (pickle.dumps({"weights": [1, 2, 3]}), "damaged or not a weights file"),
        (b"\xff" * 200, "damaged or not a weights file"),
    ],
    ids=["empty", "text", "pickle", "noise"],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidWeights, match=words):
        load_weights(path)


def test_a_pickled_checkpoint_is_refused_without_running_it(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(InvalidWeights, match="no weights file, but a checkpoint of a training, or another file"):
        load_weights(path)


@pytest.mark.parametrize("kept", [4, 8, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(stored: Path, kept: float) -> None:
    content = stored.read_bytes()
    stored.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(InvalidWeights, match="damaged"):
        load_weights(stored)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 9000), value=st.integers(0, 255))
def test_a_changed_byte_is_never_more_than_invalid_weights(stored: Path, place: int, value: int) -> None:
    """The header holds the settings; whatever is broken there, the error is one that a user understands."""
    content = bytearray(stored.read_bytes())
    content[place % len(content)] = value
    broken = stored.with_name("broken.safetensors")
    broken.write_bytes(bytes(content))
    with contextlib.suppress(InvalidWeights):
        load_weights(broken).build()


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}, {"format": "kprism-0"}])
def test_weights_of_something_else_are_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"conv.weight": torch.zeros(2, 2)}, path, metadata)
    with pytest.raises(InvalidWeights, match="something else"):
        load_weights(path)


@pytest.mark.parametrize(
    "metadata",
    [
        {"config": "{"},
        {"config": "[]"},
        {"config": "7"},
        {"config": '{"dim": 16}'},
        {"config": json.dumps(NETWORK.config.to_dict() | {"heads": 0})},
        {"config": "[" * 100_000},
        {"config": json.dumps(NETWORK.config.to_dict() | {"dim": 16 * 10**9})},
        {"config": json.dumps(NETWORK.config.to_dict() | {"encoder_channels": 5})},
        {"config": json.dumps(NETWORK.config.to_dict() | {"encoder_channels": [16, 16]})},
        {"config": json.dumps(NETWORK.config.to_dict() | {"new_switch": True})},
        {"config": json.dumps(NETWORK.config.to_dict() | {"dim": 16.0})},
        {"config": json.dumps(NETWORK.config.to_dict() | {"ffn_dim": 2**40})},
        {"config": json.dumps(NETWORK.config.to_dict() | {"ffn_dim": 10**30})},
        {"notes": "?"},
        {"notes": "[1, 2]"},
        {"notes": "null"},
    ],
    ids=lambda m: str(m)[:40],
)
def test_settings_that_make_no_network_are_refused(stored: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidWeights, match=r"tiny\.safetensors"):
        load_weights(rewritten(stored, metadata=metadata)).build()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"semantic_table.table": None}, "semantic_table.table"),
        ({"surplus": torch.zeros(3)}, "surplus"),
        ({"semantic_table.table": torch.zeros(2, 2, 15)}, "semantic_table.table"),
        ({"semantic_table.table": torch.zeros(2, 2, 16, dtype=torch.int32)}, "semantic_table.table"),
    ],
    ids=["missing", "left over", "other shape", "whole numbers"],
)
def test_tensors_that_do_not_fit_are_named(stored: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidWeights, match=f"1 tensors differ, first {named}"):
        load_weights(rewritten(stored, **changes)).build()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_numbers_that_are_none_are_found(stored: Path, value: float) -> None:
    """One broken number would make every mask empty, and no file says so by itself."""
    table = load_weights(stored).tensors["semantic_table.table"].clone()
    table[1, 0, 3] = value
    with pytest.raises(InvalidWeights, match=r"semantic_table\.table holds NaN or infinite"):
        load_weights(rewritten(stored, **{"semantic_table.table": table})).build()


def test_numbers_too_large_for_half_precision_are_not_saved(tmp_path: Path) -> None:
    state = dict(NETWORK.state_dict())
    state["semantic_table.table"] = state["semantic_table.table"] + 1e6
    with pytest.raises(InvalidWeights, match="half precision"):
        save_weights(tmp_path / "large.safetensors", state, NETWORK.config, {})
    assert not list(tmp_path.iterdir())


def test_equal_weights_give_equal_files(tmp_path: Path) -> None:
    """Also for the reader of the file who knows the format only: lengths, offsets and alignment are right."""
    files = []
    for number in range(6):
        path = tmp_path / f"{number}.safetensors"
        save_weights(path, NETWORK.state_dict(), NETWORK.config, {"steps": 3, "datasets": ["Ünïcode"]})
        files.append(path.read_bytes())
    assert len(set(files)) == 1
    assert (8 + int.from_bytes(files[0][:8], "little")) % 8 == 0
    assert all(torch.equal(t, NETWORK.state_dict()[n].half()) for n, t in load_file(path).items())
    assert load_weights(path).notes == {"steps": 3, "datasets": ["Ünïcode"]}


def test_a_built_network_learns_and_shares_nothing_with_the_file(stored: Path) -> None:
    loaded = load_weights(rewritten(stored, **{"semantic_table.table": torch.ones(2, 2, 16)}))
    state = torch.random.get_rng_state()
    network = loaded.build()
    assert torch.equal(torch.random.get_rng_state(), state)  # nothing is drawn
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    with torch.no_grad():
        network.semantic_table.table.zero_()
    assert (loaded.tensors["semantic_table.table"] == 1).all()


def test_names_and_paths_without_weights_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidWeights, match="no weights for 'base'; shipped are small"):
        load_weights("base")
    with pytest.raises(InvalidWeights, match="There is no weights file"):
        load_weights(tmp_path / "missing.safetensors")
    with pytest.raises(InvalidWeights, match="There is no weights file"):
        load_weights(str(tmp_path))


def test_a_name_stands_for_what_is_shipped(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shipped_path("small").parts[-3:] == ("KPrismLib", "weights", "small.safetensors")
    monkeypatch.setattr(weights, "shipped_path", lambda name: stored.with_name(f"{name}.safetensors"))
    assert load_weights("tiny").source == stored


def test_a_full_disk_leaves_the_old_file_and_nothing_else(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CannotWrite, match="No space left"):
        save_weights(stored, NETWORK.state_dict(), NETWORK.config, {"steps": 4})
    assert stored.read_bytes() == before
    assert list(stored.parent.iterdir()) == [stored]
