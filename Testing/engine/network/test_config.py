"""Settings of the network: what is refused, and that JSON brings them back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from KPrismLib.errors import InvalidConfig
from KPrismLib.network import NetworkConfig, base_config, named_config, small_config


def test_base_is_the_paper() -> None:
    base = base_config()
    assert (base.image_size, base.dim, base.heads, base.num_experts, base.rounds) == (512, 256, 8, 5, 2)
    assert base.encoder_channels == (96, 192, 384)
    assert (base.ffn_dim, base.semantic_queries, base.reference_queries, base.click_radius) == (256, 2, 6, 1)
    assert len(base.classes) == len(set(base.classes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"num_experts": -1}, "num_experts is -1"),
        ({"prompt_channels": 0}, "prompt_channels"),
        ({"heads": 5}, "heads 5"),
        ({"dim": 9, "heads": 3}, "even"),
        ({"reference_queries": 3}, "half is foreground"),
        ({"reference_queries": 0}, "half is foreground"),
        ({"image_size": 250}, "multiple of 16"),
        ({"attention": "flash"}, "absorbed, loop"),
        ({"classes": ("liver", "spleen", "liver")}, "'liver' and 'liver' have one name"),
        ({"classes": ("lungs", "liver", "Lung (left)")}, "'lungs' and 'Lung .left.' have one name"),
        ({"classes": ("kidney tumor", "kidney_tumour")}, "'kidney tumor' and 'kidney_tumour' have one name"),
        ({"heads": 0}, "heads is 0"),
        ({"encoder_channels": (16, 16)}, "3 numbers"),
        ({"encoder_channels": [16, 16, 0]}, "at least 1"),
        ({"encoder_blocks": (1, 1, 1)}, "4 numbers"),
        ({"encoder_channels": 16}, "do not fit"),
        ({"dim": 96.0}, "dim cannot be 96.0"),
        ({"rounds": True}, "rounds cannot be True"),
        ({"moe_ffn": 1}, "moe_ffn cannot be 1"),
        ({"classes": "liver"}, "classes cannot be 'liver'"),
        ({"classes": ("liver", 2)}, "classes cannot be"),
        ({"encoder_blocks": (1, 1, 1, 0.5)}, "encoder_blocks cannot be"),
        ({"click_radius": -1}, "click_radius is -1"),
        ({"colour": "blue"}, "no network setting 'colour'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidConfig, match=words) as caught:
        small_config(**changes)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("config", [base_config(), small_config(classes=("a",), moe_ffn=False, attention="loop")])
def test_json_brings_a_config_back(config: NetworkConfig) -> None:
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("change", [{"unknown": 1}, {"dim": None}, {"dim": "wide"}])
def test_settings_of_another_version_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match="do not fit this version"):
        NetworkConfig.from_dict(small_config().to_dict() | change)


def test_a_missing_setting_is_refused() -> None:
    values = small_config().to_dict()
    del values["dim"]
    with pytest.raises(InvalidConfig, match="dim"):
        NetworkConfig.from_dict(values)


def test_lists_as_toml_has_them_become_tuples() -> None:
    assert small_config(encoder_blocks=[1, 0, 1, 1]).encoder_blocks == (1, 0, 1, 1)


def test_networks_have_names() -> None:
    assert named_config("base") == base_config()
    assert named_config("small", dim=64).dim == 64
    with pytest.raises(InvalidConfig, match="base, small"):
        named_config("huge")
