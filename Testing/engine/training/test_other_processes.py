"""The process that failed has the word; what the others miss is not told as an error of theirs."""

from __future__ import annotations

import pytest
from torch import distributed

from KPrismLib.errors import DeviceUnavailable
from KPrismLib.training import other_processes
from KPrismLib.training.other_processes import OtherProcessFailed, without_echo


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:18078."),
        RuntimeError("Rank 1 successfully reached monitoredBarrier, but received errors while waiting for rank 0."),
        distributed.DistBackendError("NCCL error: remote process exited or there was a network error"),
    ],
)
def test_a_lost_connection_points_to_the_other_process(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    waited: list[float] = []
    monkeypatch.setattr(other_processes.time, "sleep", waited.append)
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    sentence = "Another process of this run failed; what it said"
    with pytest.raises(OtherProcessFailed, match=sentence) as caught, without_echo():
        raise error
    assert str(caught.value).endswith(f"the connection failed: {error}")  # where no other process is at fault
    assert waited == [3.0]  # the one at fault ends first


@pytest.mark.parametrize(
    "error",
    [
        *(RuntimeError("shapes differ"), DeviceUnavailable("no cuda"), KeyError("x")),
        *(RuntimeError("no such file /home/igloo/a.pt"), DeviceUnavailable("monitoredBarrier")),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_errors_of_its_own_stay_what_they_are(monkeypatch: pytest.MonkeyPatch, error: Exception, several: bool) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: several)
    with pytest.raises(type(error)) as caught, without_echo():
        raise error
    assert caught.value is error
