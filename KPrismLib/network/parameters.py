"""How many parameters each box of Figure 2 has, and how that compares with the paper's Tables 5(a) and 7(b).

Networks are built on torch's meta device: shapes without numbers, so that counting takes no time and no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from KPrismLib.network.config import NetworkConfig, base_config
from KPrismLib.network.kprism import KPrism

#: Totals that the paper prints, in parameters (it prints millions with two digits).
PAPER_TOTALS: dict[str, int] = {
    "5 experts": 43_290_000,
    "4 experts": 39_340_000,
    "3 experts": 35_390_000,
    "2 experts": 31_430_000,
    "without MoE attention": 30_640_000,
    "without MoE FFN": 40_130_000,
    "without both": 27_480_000,
}

#: What those changes are exactly, by the arithmetic of the decoder.
PAPER_PER_EXPERT = 3_952_146
PAPER_MOE_ATTENTION = 12_647_484
PAPER_MOE_FFN = 3_165_726

#: Counted in the paper's total, though no mode ever reaches them.
PAPER_NEVER_USED = 2_896_896
#: The click MLP (Eq. 18), which the paper's total misses.
PAPER_CLICK_MLP = 65_920

# The first beginning that fits decides. Names are those of KPrism's parameters; layers are "decoder.layers.N.".
_LAYER_BOXES = (
    ("read.gate", "decoder.gates"),
    ("write.gate", "decoder.gates"),
    ("ffn.gate", "decoder.gates"),
    ("read", "decoder.moe_attention"),
    ("write", "decoder.moe_attention"),
    ("self_attention", "decoder.self_attention"),
    ("ffn", "decoder.moe_ffn"),
    ("pixel_ffn", "decoder.pixel_ffn"),
    ("norms", "decoder.norms"),
)


def build_on_meta(config: NetworkConfig) -> KPrism:
    """The network as shapes only."""
    with torch.device("meta"):
        return KPrism(config)


def total(config: NetworkConfig) -> int:
    """All trainable parameters."""
    return sum(parameter.numel() for parameter in build_on_meta(config).parameters())


def per_module(config: NetworkConfig) -> dict[str, int]:
    """Parameters of each box of Figure 2; the decoder's parts have names that begin with ``decoder.``.

    The values add up to :func:`total`.
    """
    counts: dict[str, int] = {}
    for name, parameter in build_on_meta(config).named_parameters():
        box = _box(name)
        counts[box] = counts.get(box, 0) + parameter.numel()
    return counts


def per_expert(config: NetworkConfig) -> int:
    """What one more expert costs."""
    return total(config.replace(num_experts=config.num_experts + 1)) - total(config)


def moe_attention_delta(config: NetworkConfig) -> int:
    """What the mixture costs in the attention: the row "w/o MoE CA" of Table 5(a) against the whole."""
    return total(config) - total(config.replace(moe_attention=False))


def moe_ffn_delta(config: NetworkConfig) -> int:
    """What the mixture costs in the query FFN: the row "w/o MoE FFN" of Table 5(a) against the whole."""
    return total(config) - total(config.replace(moe_ffn=False))


def compare_with_paper() -> dict[str, Any]:
    """The paper's totals beside those of ``base``, and where the difference of the whole comes from."""
    base = base_config()
    ours = total(base)
    theirs = PAPER_TOTALS["5 experts"]
    modules = per_module(base)
    explained = {
        "never reached by any mode in the paper's network: left out": -PAPER_NEVER_USED,
        "click MLP (Eq. 18): missing from the paper's total": PAPER_CLICK_MLP,
    }
    rest = "encoders, heads and tables: sizes the paper leaves open (and its rounding)"
    return {
        "total": theirs,
        "ours": ours,
        "difference": ours - theirs,
        "difference_itemised": explained | {rest: ours - theirs - sum(explained.values())},
        "pinned_by_the_paper": {
            "per_expert": PAPER_PER_EXPERT,
            "moe_attention": PAPER_MOE_ATTENTION,
            "moe_ffn": PAPER_MOE_FFN,
        },
        "ours_of_the_pinned": {
            "per_expert": per_expert(base),
            "moe_attention": moe_attention_delta(base),
            "moe_ffn": moe_ffn_delta(base),
        },
        "encoder_and_others": {name: count for name, count in modules.items() if not name.startswith("decoder.")},
        "ablations": [
            {"row": row, "paper": PAPER_TOTALS[row], "ours": count, "paper_delta": PAPER_TOTALS[row] - theirs,
             "our_delta": count - ours}
            for row, count in _ablations(base)
        ],
    }  # fmt: skip


def _ablations(base: NetworkConfig) -> Iterator[tuple[str, int]]:
    yield "5 experts", total(base)
    for experts in (4, 3, 2):
        yield f"{experts} experts", total(base.replace(num_experts=experts))
    yield "without MoE attention", total(base.replace(moe_attention=False))
    yield "without MoE FFN", total(base.replace(moe_ffn=False))
    yield "without both", total(base.replace(moe_attention=False, moe_ffn=False))


def _box(name: str) -> str:
    module, _, rest = name.partition(".")
    if module != "decoder":
        return module
    part, _, rest = rest.partition(".")
    if part != "layers":
        return f"decoder.{part}"
    inside = rest.partition(".")[2]
    return next(box for beginning, box in _LAYER_BOXES if inside.startswith(beginning))
