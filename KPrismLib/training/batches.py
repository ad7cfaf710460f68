"""From samples to tensors: load, augment, stack."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from KPrismLib.canvas import Canvas
from KPrismLib.dataset import class_mask
from KPrismLib.network import normalise
from KPrismLib.training.augmentation import AugmentationConfig, place, random_grid, random_intensity
from KPrismLib.training.modes import Mode
from KPrismLib.training.packing import PackedSlice
from KPrismLib.training.sampling import Sample


class Batch(NamedTuple):
    """One training batch; a tuple, because that is what data-parallel wrappers know how to take apart.

    Attributes:
        mode: the knowledge that is given.
        step: which step it belongs to; seeds the strokes of the simulated user.
        image: (B, 3, S, S) normalised.
        mask: (B, 1, S, S) in {0, 1}.
        class_index: (B,) int64 rows of the semantic table.
        reference_image: (B, R, 3, S, S) and reference_mask (B, R, 1, S, S), or None outside the in-context mode.
    """

    mode: Mode
    step: int
    image: Tensor
    mask: Tensor
    class_index: Tensor
    reference_image: Tensor | None
    reference_mask: Tensor | None

    def to(self, device: torch.device) -> Batch:
        """The batch on a device, images in the channels-last layout that convolutions like."""
        layout = torch.channels_last
        return Batch(
            self.mode,
            self.step,
            self.image.to(device, non_blocking=True).contiguous(memory_format=layout),
            self.mask.to(device, non_blocking=True),
            self.class_index.to(device, non_blocking=True),
            None if self.reference_image is None else self.reference_image.to(device, non_blocking=True),
            None if self.reference_mask is None else self.reference_mask.to(device, non_blocking=True),
        )


class BatchMaker:
    """Turns samples into augmented batches; the same step and rank always give the same batch.

    Args:
        classes: names of the rows of the semantic table.
        augmentation: strengths, or None for validation.
        seed: of the whole run.
        upside_down: sets of which every second slice is turned by 180 degrees.
    """

    def __init__(
        self,
        classes: Sequence[str],
        augmentation: AugmentationConfig | None,
        seed: int,
        *,
        upside_down: Collection[str] = (),
    ) -> None:
        self._row = {name: row for row, name in enumerate(classes)}
        self._upside_down = frozenset(upside_down)
        self._augmentation = augmentation
        self._seed = seed

    def make(self, samples: Sequence[Sample], *, mode: Mode, size: int, step: int, rank: int) -> Batch:
        """Load and stack ``samples`` on a ``size`` x ``size`` canvas."""
        generator = np.random.default_rng((self._seed, step, rank, 2))
        # One draw for a sample: its reference was acquired in the same way.
        turned = [s.dataset.name in self._upside_down and generator.random() < 0.5 for s in samples]
        pairs = [self._load(s, s.target, size, generator, mode, turn) for s, turn in zip(samples, turned, strict=True)]
        references = [
            self._load(s, s.reference, size, generator, mode, turn)
            for s, turn in zip(samples, turned, strict=True)
            if s.reference is not None
        ]
        return Batch(
            mode=mode,
            step=step,
            image=normalise(torch.stack([image for image, _ in pairs])),
            mask=torch.stack([mask for _, mask in pairs]),
            class_index=torch.tensor([self._row[s.name] for s in samples]),
            reference_image=normalise(torch.stack([i for i, _ in references]))[:, None] if references else None,
            reference_mask=torch.stack([m for _, m in references])[:, None] if references else None,
        )

    def _load(
        self,
        sample: Sample,
        entry: PackedSlice,
        size: int,
        generator: np.random.Generator,
        mode: Mode,
        turned: bool,
    ) -> tuple[Tensor, Tensor]:
        pixels, labels = sample.dataset.load(entry)
        mask = class_mask(labels, sample.dataset.classes[sample.name])
        if self._augmentation is None:
            return place(pixels, mask, size, None)
        content = Canvas.fit((mask.shape[0], mask.shape[1]), size).content
        # A class name binds the side of the body, and so does a reference; clicks do not.
        flips = sample.dataset.free_orientation or (mode is Mode.INTERACTIVE)
        for _ in range(4):
            grid = random_grid(generator, self._augmentation, size, flips=flips, half_turn=turned, content=content)
            image, placed = place(pixels, mask, size, grid)
            if not mask.any() or placed.sum() >= 8:  # otherwise the structure was moved out of view: draw again
                break
        else:
            image, placed = place(pixels, mask, size, None)
        return random_intensity(image, generator, self._augmentation), placed
