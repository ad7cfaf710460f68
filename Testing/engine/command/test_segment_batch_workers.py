"""The processes of a batch: how many, on which devices, and what is said of one that died."""

from __future__ import annotations

import pytest

from KPrismLib.batch.cases import Case
from KPrismLib.command.batch_devices import devices_for, number_of_workers
from KPrismLib.command.segment_request import Request
from KPrismLib.command.segment_work import Places, SegmentWork, Task


class TestDevices:
    @pytest.fixture
    def gpus(self, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        monkeypatch.setattr("torch.cuda.device_count", lambda: 3)

    def test_a_processor_takes_as_many_as_wanted(self) -> None:
        assert number_of_workers(None, "cpu", {}) == 1
        assert number_of_workers(7, "cpu", {}) == 7
        assert devices_for("cpu", 7, {}) == ("cpu",)

    def test_gpus_take_one_each(self, gpus, capsys) -> None:
        assert number_of_workers(None, "auto", {}) == 3
        assert number_of_workers(2, "cuda", {}) == 2
        assert number_of_workers(8, "cuda", {}) == 3
        assert "Taking --workers 3" in capsys.readouterr().err
        assert number_of_workers(None, "cuda:1", {}) == 1
        assert devices_for("cuda", 3, {}) == ("cuda:0", "cuda:1", "cuda:2")
        assert devices_for("cuda:1", 1, {}) == ("cuda:1",)

    def test_processes_of_torchrun_take_a_gpu_each(self, gpus) -> None:
        environment = {"RANK": "5", "WORLD_SIZE": "6", "LOCAL_RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
        assert number_of_workers(None, "auto", environment) == 1
        assert devices_for("cuda", 1, environment) == ("cuda:2",)


@pytest.mark.parametrize(
    ("reason", "way_out"),
    [
        ("signal SIGKILL", "was ended ({}), most often for want of memory; use fewer --workers."),
        ("exit status 3221225495", "was ended ({}), most often for want of memory; use fewer --workers."),
        ("signal SIGSEGV", "crashed ({}): the file may be damaged; look at it, or leave it out."),
        ("exit status 1", "crashed ({}): the file may be damaged; look at it, or leave it out."),
    ],
)
def test_a_process_that_died_is_a_failed_case(tmp_path, reason, way_out) -> None:
    work = SegmentWork(Request(classes=("liver",)), Places(tmp_path, ".nii"), "small", ("cpu",), 2, "")
    outcome = work.died(Task(Case("a", (tmp_path / "a.png",))), reason)
    assert outcome.record["status"] == "failed"
    assert outcome.record["sentence"] == f"The process that segmented it {way_out.format(reason)}"
    assert outcome.stop is None
