"""From samples to tensors: load, augment, stack."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from KPrismLib.canvas import Canvas
from KPrismLib.dataset import class_mask
from KPrismLib.network import normalise
from KPrismLib.training.augmentation import AugmentationConfig, Scratch, place, random_intensity, random_sampling
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.packing import PackedSlice
from KPrismLib.training.sampling import Sample

#: An image (S, S, 1 or 3) uint8 and a mask (S, S) bool.
_Picture = tuple[NDArray[np.uint8], NDArray[np.bool_]]

#: Of a structure that shows so many pixels of the canvas enough is in view.
_IN_VIEW = 8


class Batch(NamedTuple):
    """One training batch; a tuple, because that is what data-parallel wrappers know how to take apart.

    Images and masks are bytes until :meth:`to` brings them to a device: that is a quarter of what worker processes
    and the bus to the device would otherwise carry.

    Attributes:
        mode: the knowledge that is given.
        step: which step it belongs to; ``first`` the position of its first sample in the global batch of that step.
            Together they seed the strokes of the simulated user, whatever process draws them.
        image: (B, 3, S, S) uint8; on a device float32, normalised.
        mask: (B, 1, S, S) bool; on a device float32 in {0, 1}.
        class_index: (B,) int64 rows of the semantic table.
        reference_image: (B, R, 3, S, S) and reference_mask (B, R, 1, S, S), or None outside the in-context mode.
    """

    mode: TrainingMode
    step: int
    first: int
    image: Tensor
    mask: Tensor
    class_index: Tensor
    reference_image: Tensor | None
    reference_mask: Tensor | None

    def to(self, device: torch.device) -> Batch:
        """The batch on a device as the network takes it, images in the layout that convolutions like."""

        def images(pixels: Tensor) -> Tensor:
            return normalise(pixels.to(device, non_blocking=True))

        def masks(inside: Tensor) -> Tensor:
            return inside.to(device, non_blocking=True).float()

        return self._replace(
            image=images(self.image).contiguous(memory_format=torch.channels_last),
            mask=masks(self.mask),
            class_index=self.class_index.to(device, non_blocking=True),
            reference_image=None if self.reference_image is None else images(self.reference_image),
            reference_mask=None if self.reference_mask is None else masks(self.reference_mask),
        )


class BatchMaker:
    """Turns samples into augmented batches; the same sample of the same step always looks the same.

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

    def make(self, samples: Sequence[Sample], *, mode: TrainingMode, size: int, step: int, first: int) -> Batch:
        """Load and stack ``samples`` on a ``size`` x ``size`` canvas; ``first`` is the position of the first one."""
        targets, references = [], []
        scratch = Scratch(size)
        for position, sample in enumerate(samples, start=first):
            generator = np.random.default_rng((self._seed, step, position, 2))
            # One draw for a sample: its reference was acquired in the same way.
            turned = sample.dataset.name in self._upside_down and generator.random() < 0.5
            targets.append(self._load(sample, sample.target, scratch, size, generator, mode, turned))
            if sample.reference is not None:
                references.append(self._load(sample, sample.reference, scratch, size, generator, mode, turned))
        image, mask = _stacked(targets)
        shown, outlined = _stacked(references) if references else (None, None)
        return Batch(
            mode=mode,
            step=step,
            first=first,
            image=image,
            mask=mask,
            class_index=torch.tensor([self._row[s.name] for s in samples]),
            reference_image=None if shown is None else shown[:, None],
            reference_mask=None if outlined is None else outlined[:, None],
        )

    def _load(
        self,
        sample: Sample,
        entry: PackedSlice,
        scratch: Scratch,
        size: int,
        generator: np.random.Generator,
        mode: TrainingMode,
        turned: bool,
    ) -> _Picture:
        pixels, labels = sample.dataset.load(entry)
        mask = class_mask(labels, sample.dataset.classes[sample.name])
        if self._augmentation is None:
            return place(pixels, mask, size, None)
        content = Canvas.fit((mask.shape[0], mask.shape[1]), size).content
        # A class name binds the side of the body, and so does a reference; clicks do not.
        flips = sample.dataset.free_orientation or (mode is TrainingMode.INTERACTIVE)
        shows = mask.any()
        plain: _Picture | None = None
        for _ in range(4):
            sampling = random_sampling(
                generator, self._augmentation, size, flips=flips, half_turn=turned, content=content
            )
            image, placed = place(pixels, mask, size, sampling, scratch)
            if not shows or np.count_nonzero(placed) >= _IN_VIEW:
                break
            # Moved out of view, or no larger: then it is all there.
            plain = plain or place(*(_half_turned(pixels, mask) if turned else (pixels, mask)), size, None)
            if np.count_nonzero(placed) >= np.count_nonzero(plain[1]):
                break
        else:
            assert plain is not None
            image, placed = plain
        return random_intensity(image, generator, self._augmentation), placed


def _half_turned(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return np.ascontiguousarray(pixels[::-1, ::-1]), np.ascontiguousarray(mask[::-1, ::-1])


def _stacked(pictures: Sequence[_Picture]) -> tuple[Tensor, Tensor]:
    """Images (B, 3, S, S), grey repeated over the channels, and masks (B, 1, S, S)."""
    size = len(pictures[0][1])
    images = np.empty((len(pictures), size, size, 3), dtype=np.uint8)
    for slot, (image, _) in zip(images, pictures, strict=True):
        if image.shape[2] == 1:
            cv2.cvtColor(image, cv2.COLOR_GRAY2RGB, dst=slot)  # many times faster than numpy's broadcast
        else:
            slot[...] = image
    masks = np.stack([mask for _, mask in pictures])
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks)[:, None]
