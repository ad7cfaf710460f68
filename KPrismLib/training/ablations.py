"""The paper's ablations (Tables 5 and 7) by name: what each changes in a training configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from KPrismLib.errors import InvalidConfig
from KPrismLib.training.modes import TrainingMode


def _network(**changes: Any) -> Mapping[str, Any]:
    return {"network_settings": changes}


def _only(mode: TrainingMode) -> Mapping[str, Any]:
    return {"modes": {other.value: float(other is mode) for other in TrainingMode}}


ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    **{f"experts-{number}": _network(num_experts=number) for number in (1, 2, 3, 4)},  # Tables 7(b), 8; paper: 5
    "no-moe-attention": _network(moe_attention=False),  # Table 5(a) "w/o MoE CA"
    "no-moe-ffn": _network(moe_ffn=False),
    "no-moe": _network(moe_attention=False, moe_ffn=False),  # Table 5(a) "w/o MoE FFN & CA"
    "no-dense-prompts": _network(dense_prompts=False),  # Table 5(b, c) "w/o 2-D fusion"
    "no-sparse-prompts": _network(sparse_prompts=False),  # Table 5(b, c) "w/o 1-D queries"
    **{f"{mode.value}-only": _only(mode) for mode in TrainingMode},  # Table 5(b, c) trains single modes
}


def ablation(name: str) -> Mapping[str, Any]:
    """The settings that an ablation changes, as they would stand in a TOML file.

    Raises:
        InvalidConfig: an unknown name.
    """
    try:
        return ABLATIONS[name]
    except KeyError:
        raise InvalidConfig(f"There is no ablation {name!r}; choose from {', '.join(ABLATIONS)}.") from None


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` with ``changes``; tables are changed key by key, anything else is replaced."""
    result = dict(settings)
    for name, value in changes.items():
        before = result.get(name)
        result[name] = merged(before, value) if isinstance(value, Mapping) and isinstance(before, Mapping) else value
    return result
