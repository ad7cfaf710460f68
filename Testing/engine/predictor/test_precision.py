"""In which precision a predictor computes, and that the masks do not depend much on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from KPrismLib.errors import InvalidConfig
from KPrismLib.network import KPrism, base_config
from KPrismLib.precision import choose_precision, multiplies_bfloat16, multiplying
from KPrismLib.predictor import Predictor
from Testing.engine.network.tiny_network import filled, tiny_config
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """What the processor can, to be changed by a test."""
    abilities: dict[str, bool] = {}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    return abilities


@pytest.mark.parametrize("ability", ["avx512_bf16", "amx_bf16"])
def test_auto_trades_digits_only_for_large_networks_where_it_saves_time(
    processor: dict[str, bool], ability: str
) -> None:
    assert choose_precision("auto", CPU, base_config()) is torch.float32
    processor[ability] = True
    assert choose_precision("auto", CPU, base_config()) is torch.bfloat16
    assert choose_precision("auto", CPU, tiny_config()) is torch.float32


def test_what_is_asked_is_taken_wherever_it_runs(processor: dict[str, bool]) -> None:
    assert choose_precision("bfloat16", CPU, tiny_config()) is torch.bfloat16
    processor["amx_bf16"] = True
    assert choose_precision("float32", CPU, base_config()) is torch.float32
    with pytest.raises(InvalidConfig, match="auto, float32, bfloat16"):
        choose_precision("float16", CPU, base_config())


def test_gpus_are_asked_and_others_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: {0: (8, 0), 1: (7, 5)}[device.index])
    monkeypatch.setattr(torch.version, "hip", None)
    assert multiplies_bfloat16(torch.device("cuda:0"))
    assert not multiplies_bfloat16(torch.device("cuda:1"))  # a Turing GPU would emulate it
    monkeypatch.setattr(torch.version, "hip", "6.0")
    assert multiplies_bfloat16(torch.device("cuda:1"))
    assert not multiplies_bfloat16(torch.device("mps"))
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bfloat16(CPU)  # an older PyTorch cannot tell


def test_a_mac_with_an_older_pytorch_is_asked_for_no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = tiny_predictor()
    predictor.device = torch.device("mps")

    def before_2_5(device_type: str, *_: object, **__: object) -> None:
        raise RuntimeError(f"User specified an unsupported autocast device_type {device_type!r}")

    monkeypatch.setattr(torch, "autocast", before_2_5)
    with pytest.raises(InvalidConfig, match="no bfloat16 on MPS; choose float32"):
        choose_precision("bfloat16", predictor.device, tiny_config())
    with predictor.computing():
        assert torch.is_inference_mode_enabled()


def test_the_autocast_of_a_caller_does_not_change_the_mask() -> None:
    predictor = tiny_predictor()
    alone = predictor.segment(predictor.encode(picture()), cls="liver").probability
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(predictor.segment(predictor.encode(picture()), cls="liver").probability, alone)


def test_the_autocast_of_a_caller_is_switched_off_on_a_mac_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def autocast(device_type: str, *_: object, enabled: bool = True) -> AbstractContextManager[None]:
        asked.append((device_type, enabled))
        return nullcontext()

    monkeypatch.setattr(torch, "autocast", autocast)
    with multiplying(torch.float32, torch.device("mps")):
        assert asked == [("mps", False)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_threads_that_share_a_predictor_get_the_masks_of_one_alone(precision: str) -> None:
    predictor = Predictor(filled(KPrism(tiny_config())), precision=precision)

    def work(number: int) -> list[np.ndarray[Any, Any]]:
        image = predictor.encode(picture(phase=number))
        session = predictor.session(image, cls="liver")
        session.click(5 + number, 20)
        return [predictor.segment(image, cls="spleen").probability, session.click(30, 9, positive=False).probability]

    expected = [work(number) for number in range(6)]
    with ThreadPoolExecutor(4) as threads:
        for found, alone in zip(threads.map(work, range(6)), expected, strict=True):
            assert all(np.array_equal(one, other) for one, other in zip(found, alone, strict=True))


def test_a_predictor_in_bfloat16_gives_nearly_the_same_masks() -> None:
    exact, coarse = (Predictor(filled(KPrism(tiny_config())), precision=p) for p in ("float32", "bfloat16"))
    found = []
    for predictor in (exact, coarse):
        image = predictor.encode(picture())
        reference = predictor.reference([(picture(phase=1.0), disk())])
        session = predictor.session(image, reference=reference)
        found.append(
            [predictor.segment(image, cls="liver").probability, session.probability, session.click(9, 9).probability]
        )
    assert coarse.dtype is torch.bfloat16
    for one, other in zip(*found, strict=True):
        assert other.dtype == np.float32
        assert not np.array_equal(one, other)
        assert np.abs(one - other).mean() < 0.01
