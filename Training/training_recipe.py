"""The stages of a training, and the commands that repeat them, for a model card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from KPrismLib.errors import InvalidConfig
from KPrismLib.training.config import TrainingConfig


def stage_table(stages: Mapping[str, TrainingConfig]) -> str:
    """One line for each stage: its steps and rate."""
    lines = ["| stage | steps x samples (size) | peak rate |", "|---|---|---|"]
    for name, config in stages.items():
        phases = ", ".join(f"{p.steps} x {p.batch} ({p.size} px)" for p in config.phases)
        lines.append(f"| `{name}` | {phases} | {config.learning_rate:g} |")
    return "\n".join(lines)


def training_commands(names: Iterable[str], means: Mapping[str, Mapping[int, float]] | None = None) -> str:
    """The commands that train and export every stage, each from the one before or from a mean of earlier ones.

    Args:
        names: the configuration files, in order.
        means: shares of stages, by what begins from their mean: the number of a stage, or "small" for what ships.

    Raises:
        InvalidConfig: a mean names a stage that is not there yet.
    """
    means, lines, start, number = means or {}, [], "", 0
    for number, name in enumerate(names, 1):
        if str(number) in means:
            start = f"start-{number}.safetensors"
            lines.append(_export(means[str(number)], number - 1, start))
        lines.append(f"    kprism train {name} --data DATA --output RUN{number}{f' --from {start}' if start else ''}")
        start = f"stage-{number}.safetensors"
        lines.append(_export({number: 1.0}, number, start))
    if "small" in means:
        lines.append(_export(means["small"], number, "small.safetensors"))
    return "\n".join(lines)


def _export(shares: Mapping[int, float], last: int, output: str) -> str:
    unknown = [stage for stage in shares if not 1 <= stage <= last]
    if unknown:
        raise InvalidConfig(f"There is no stage {unknown[0]} before {output}; stages are 1 to {last}.")
    runs = " ".join(f"RUN{stage}/checkpoint.pt" for stage in shares)
    weights = f" --shares {','.join(f'{share:g}' for share in shares.values())}" if len(shares) > 1 else ""
    return f"    kprism export {runs}{weights} -o {output}"


def parse_mean(text: str) -> tuple[str, dict[int, float]]:
    """``"5=3:0.6,4:0.4"`` to ("5", {3: 0.6, 4: 0.4}).

    Raises:
        InvalidConfig: the text says something else.
    """
    try:
        target, parts = text.split("=")
        pairs = [part.split(":") for part in parts.split(",")]
        return target.strip(), {int(stage): float(share) for stage, share in pairs}
    except ValueError as error:
        raise InvalidConfig(f"A mean is given as 5=3:0.6,4:0.4, not as {text!r}.") from error
