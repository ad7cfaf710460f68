import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed

from KPrismLib.batch.shard import Shard, wait_for_other_shards
from KPrismLib.errors import InvalidConfig

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


@given(st.lists(st.integers()), st.integers(1, 9))
def test_shards_share_everything_out_once_and_evenly(items, count):
    parts = [Shard(index + 1, count).take(items) for index in range(count)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_shards_as_people_type_them():
    assert Shard.parse("2/8") == Shard(2, 8)
    assert Shard(2, 8).suffix == "-2-of-8"
    assert Shard().suffix == ""


@pytest.mark.parametrize("text", ["0/8", "9/8", "-1/8", "1/0", "2", "a/b", "1/2/3", ""])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(InvalidConfig, match="shard"):
        Shard.parse(text)


def test_processes_of_torchrun_take_their_own():
    assert Shard.of_process(TORCHRUN) == Shard(2, 4)
    assert Shard.of_process({"WORLD_SIZE": "4"}) == Shard()  # a variable of somebody else's
    assert Shard.of_process({}) == Shard()


def test_alone_nobody_waits(monkeypatch):
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    wait_for_other_shards()
    for name, value in (TORCHRUN | {"RANK": "0", "WORLD_SIZE": "1"}).items():
        monkeypatch.setenv(name, value)
    wait_for_other_shards()


@pytest.fixture
def calls(monkeypatch):
    """What is asked of torch.distributed, under torchrun with four processes."""
    made = []
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "init_process_group", lambda backend, **_: made.append(backend))
    monkeypatch.setattr(distributed, "barrier", lambda: made.append("barrier"))
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: made.append("end"))
    return made


def test_under_torchrun_nobody_leaves_before_everybody_is_done(calls):
    wait_for_other_shards()
    assert calls == ["gloo", "barrier", "end"]


def test_nobody_waits_for_a_process_that_is_gone(calls, monkeypatch):
    def gone(*_, **__):
        raise RuntimeError("connection closed by peer")

    monkeypatch.setattr(distributed, "barrier", gone)
    wait_for_other_shards()
    assert calls == ["gloo"]
