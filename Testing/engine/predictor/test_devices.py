"""Devices that are missing, full or misspelt."""

from __future__ import annotations

import pytest
import torch

from KPrismLib.devices import choose_device, memory_guard, synchronise
from KPrismLib.errors import DeviceUnavailable, InvalidConfig, OutOfMemory

CPU = torch.device("cpu")


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A computer without any accelerator; tests add some."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


def add_cuda(computer: pytest.MonkeyPatch, count: int) -> None:
    computer.setattr(torch.cuda, "is_available", lambda: True)
    computer.setattr(torch.cuda, "device_count", lambda: count)


def test_auto_takes_the_fastest_there_is(computer: pytest.MonkeyPatch) -> None:
    assert choose_device("auto") == CPU
    computer.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")
    add_cuda(computer, 1)
    assert choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize(("version", "works"), [("2.6.0", False), ("2.2.2", False), ("2.7.1", True), ("2.13.0", True)])
def test_mps_is_used_only_by_a_pytorch_that_can(computer: pytest.MonkeyPatch, version: str, works: bool) -> None:
    computer.setattr(torch.backends.mps, "is_available", lambda: True)
    computer.setattr(torch, "__version__", version)
    assert choose_device("auto").type == ("mps" if works else "cpu")
    if works:
        assert choose_device("mps").type == "mps"
    else:
        with pytest.raises(DeviceUnavailable, match=f"PyTorch {version} cannot run K-Prism on MPS, 2.7 and later"):
            choose_device("mps")


@pytest.mark.usefixtures("computer")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3", "mps"])
def test_a_missing_device_is_told_with_the_way_out(name: str) -> None:
    with pytest.raises(DeviceUnavailable, match="choose the device cpu"):
        choose_device(name)


def test_of_several_gpus_one_can_be_chosen_but_not_one_too_many(computer: pytest.MonkeyPatch) -> None:
    add_cuda(computer, 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert choose_device("cuda") == torch.device("cuda")
    assert choose_device("cuda:01") == torch.device("cuda:1")
    with pytest.raises(DeviceUnavailable, match="found: 2"):
        choose_device("cuda:2")


@pytest.mark.usefixtures("computer")
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "mps:0"])
def test_a_device_that_is_missing_is_told_too(name: str) -> None:
    with pytest.raises(DeviceUnavailable, match=f"There is no (device {name}|MPS device)"):
        choose_device(torch.device(name))
    assert choose_device(CPU) == CPU


@pytest.mark.usefixtures("computer")
@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "cuda:-1", "cuda:", "auto:1", "mps:0", "cpu:1", "CPU"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match="auto, cpu, cuda, mps"):
        choose_device(name)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["cuda", "numpy", "mps", "cpu on Linux", "cpu on Windows", "cublas"],
)
def test_every_face_of_a_full_memory_is_one_error(error: BaseException) -> None:
    with pytest.raises(OutOfMemory, match="close other programs") as caught, memory_guard(CPU):
        raise error
    assert caught.value.__cause__ is error


def test_what_this_computer_says_when_asked_for_too_much_is_understood() -> None:
    with pytest.raises(OutOfMemory), memory_guard(CPU):
        torch.empty(10**16)


def test_a_guard_inside_a_guard_has_the_word() -> None:
    with pytest.raises(OutOfMemory, match="The device cuda:1"), memory_guard(CPU), memory_guard(torch.device("cuda:1")):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shapes differ") as caught, memory_guard(CPU):
        raise RuntimeError("shapes differ")
    assert not isinstance(caught.value, OutOfMemory)


def test_waiting_asks_the_device_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: asked.append(str(device)))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: asked.append("mps"))
    for name in ("cpu", "cuda:1", "mps"):
        synchronise(torch.device(name))
    assert asked == ["cuda:1", "mps"]
