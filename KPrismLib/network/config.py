"""Sizes and switches of the network; ``base`` is the paper's, ``small`` is the one we ship."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from KPrismLib.errors import InvalidConfig
from KPrismLib.terminology import plain_name

#: Classes of the paper's twelve training sets (Table 6); CT and MR of one organ share a class.
PAPER_CLASSES = (
    "spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "liver", "stomach", "aorta",
    "inferior vena cava", "pancreas", "right adrenal gland", "left adrenal gland", "duodenum",
    "left ventricle", "myocardium", "right ventricle", "liver tumour", "kidney tumour", "left atrium",
    "lung", "breast lesion", "glomerulus", "optic disc", "neoplastic polyp", "non-neoplastic polyp", "skin lesion",
)  # fmt: skip

ATTENTION_FORMS = ("absorbed", "loop")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Everything that decides the shapes of the network (paper A.3).

    Args:
        image_size: long side in pixels to which an image is resized before it is padded to a multiple of 16.
        classes: names of the rows of the semantic table, in order.
        detail_channels: channels of the encoder's 1/2-scale features that the final mask head uses.
        encoder_channels: channels at 1/4, 1/8 and 1/16.
        encoder_blocks: residual blocks at 1/2, 1/4, 1/8 and 1/16.
        prompt_channels: channels of the first, 1/2-scale, convolution of the mask and the prompt encoder.
        dim: channels C of queries and decoder features.
        heads: attention heads.
        ffn_dim: hidden channels of the query FFN.
        pixel_ffn_dim: hidden channels of the convolutional pixel FFN.
        mask_head_dim: hidden channels of the mask heads.
        num_experts: M of Eq. 11.
        rounds: how often the decoder visits the three scales; two rounds are the paper's six layers.
        semantic_queries: p, queries per class.
        reference_queries: n_s, half foreground, half background.
        click_radius: radius in pixels of a click's disk in the dense maps (A.2: 1), its middle pixel not counted in:
            0, 1 and 2 are disks of 1, 9 (3 x 3) and 21 pixels.
        moe_attention: off for Table 5(a) "w/o MoE CA".
        moe_ffn: off for Table 5(a) "w/o MoE FFN".
        dense_prompts: off for Table 5(b, c) "w/o 2-D fusion".
        sparse_prompts: off for Table 5(b, c) "w/o 1-D queries".
        attention: ``absorbed`` (default) or ``loop``, the per-expert form that it must equal.

    Raises:
        InvalidConfig: if a size is not positive, or the heads do not divide the channels.
        TypeError: a value of another kind than its field.
    """

    image_size: int
    classes: tuple[str, ...] = PAPER_CLASSES
    detail_channels: int
    encoder_channels: tuple[int, int, int]
    encoder_blocks: tuple[int, int, int, int]
    prompt_channels: int
    dim: int
    heads: int
    ffn_dim: int
    pixel_ffn_dim: int
    mask_head_dim: int
    num_experts: int
    rounds: int = 2
    semantic_queries: int = 2
    reference_queries: int = 6
    click_radius: int = 1
    moe_attention: bool = True
    moe_ffn: bool = True
    dense_prompts: bool = True
    sparse_prompts: bool = True
    attention: str = field(default="absorbed")

    def __post_init__(self) -> None:
        self._check_kinds()
        for name in ("image_size", "detail_channels", "dim", "heads", "ffn_dim", "pixel_ffn_dim", "mask_head_dim",
                     "num_experts", "rounds", "semantic_queries", "prompt_channels"):  # fmt: skip
            if getattr(self, name) < 1:
                raise InvalidConfig(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name, length, least in (("encoder_channels", 3, 1), ("encoder_blocks", 4, 0)):
            if len(getattr(self, name)) != length or min(getattr(self, name)) < least:
                raise InvalidConfig(
                    f"{name} is {getattr(self, name)}; it must be {length} numbers of at least {least}."
                )
        if self.click_radius < 0:
            raise InvalidConfig(f"click_radius is {self.click_radius}; it must be at least 0.")
        if self.dim % self.heads or self.dim % 2:
            raise InvalidConfig(f"dim {self.dim} must be even and divisible by heads {self.heads}.")
        if self.reference_queries < 2 or self.reference_queries % 2:
            raise InvalidConfig(f"reference_queries is {self.reference_queries}; it must be even, half is foreground.")
        if self.image_size % 16:
            raise InvalidConfig(f"image_size {self.image_size} must be a multiple of 16.")
        if self.attention not in ATTENTION_FORMS:
            raise InvalidConfig(f"attention is {self.attention!r}; choose one of {', '.join(ATTENTION_FORMS)}.")
        self._check_classes()

    def _check_classes(self) -> None:
        """Every class is asked for by name, whatever its spelling: no two names may mean the same."""
        spelled: dict[str, str] = {}
        for name in self.classes:
            plain = plain_name(name)
            if plain in spelled:
                raise InvalidConfig(
                    f"The classes {spelled[plain]!r} and {name!r} have one name; give each class a name of its own, "
                    "and write it alike in every set."
                )
            spelled[plain] = name

    def _check_kinds(self) -> None:
        """Files hold whatever somebody wrote into them: 96.0 for 96, a word for a list of words."""
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            items = value if isinstance(value, tuple) else (value,)
            wanted = str if setting.name in ("classes", "attention") else bool if setting.type == "bool" else int
            is_list = str(setting.type).startswith("tuple")
            if isinstance(value, tuple) != is_list or not all(type(item) is wanted for item in items):
                raise TypeError(f"{setting.name} cannot be {value!r}")

    def replace(self, **changes: Any) -> NetworkConfig:
        """A copy with ``changes``; an unknown setting raises InvalidConfig."""
        known = {f.name for f in dataclasses.fields(self)}
        for name in changes:
            if name not in known:
                raise InvalidConfig(f"There is no network setting {name!r}; settings are {', '.join(sorted(known))}.")
        return self.from_dict({name: getattr(self, name) for name in known} | changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values as JSON keeps them, tuples as lists; :meth:`from_dict` restores an equal config."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """The config that :meth:`to_dict` wrote; unknown or missing settings raise InvalidConfig."""
        restored: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        try:
            return cls(**restored)
        except TypeError as error:
            raise InvalidConfig(f"The network settings do not fit this version of K-Prism: {error}.") from error


def base_config(**changes: Any) -> NetworkConfig:
    """The paper's sizes: C = 256, eight heads, five experts, 512 x 512 (A.3)."""
    return NetworkConfig(
        image_size=512,
        detail_channels=48,
        encoder_channels=(96, 192, 384),
        encoder_blocks=(1, 2, 3, 3),
        prompt_channels=32,
        dim=256,
        heads=8,
        ffn_dim=256,
        pixel_ffn_dim=256,
        mask_head_dim=32,
        num_experts=5,
    ).replace(**changes)


def small_config(**changes: Any) -> NetworkConfig:
    """Ours: the whole network in 16 MiB of half-precision weights, a click in a fraction of a second on two cores."""
    return NetworkConfig(
        image_size=256,
        detail_channels=32,
        encoder_channels=(64, 128, 256),
        encoder_blocks=(1, 2, 3, 2),
        prompt_channels=16,
        dim=96,
        heads=4,
        ffn_dim=96,
        pixel_ffn_dim=64,
        mask_head_dim=32,
        num_experts=3,
        click_radius=2,
    ).replace(**changes)


def named_config(name: str, **changes: Any) -> NetworkConfig:
    """``base`` or ``small``, with ``changes``; another name raises InvalidConfig."""
    configs = {"base": base_config, "small": small_config}
    if name not in configs:
        raise InvalidConfig(f"There is no network {name!r}; choose one of {', '.join(configs)}.")
    return configs[name](**changes)
