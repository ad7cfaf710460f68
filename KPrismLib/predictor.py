"""Predictor: numpy in, numpy out, over the network's three kinds of knowledge."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from KPrismLib.canvas import Canvas, image_tensor
from KPrismLib.class_names import row_of_class
from KPrismLib.devices import choose_device, memory_guard, synchronise
from KPrismLib.encoded_image import EncodedImage, ReadReferences, ReferenceSet, Segmentation
from KPrismLib.errors import InvalidImage, InvalidPrompt, InvalidReference
from KPrismLib.image_checks import Pixels, check_reference, checked_mask, checked_pixels, size_text
from KPrismLib.intensity import IntensityWindow, window_for
from KPrismLib.lockstep import Lockstep
from KPrismLib.network import DensePrompt, EncodedReference, ImageFeatures, KPrism, NetworkConfig, normalise
from KPrismLib.precision import choose_precision, multiplying, precision_name
from KPrismLib.session import Session
from KPrismLib.weights import load_weights

#: More references than this make the read-out slower than they make it better (Table 10 ends at nine).
MAXIMUM_REFERENCES = 64


class Predictor:
    """K-Prism ready to segment; several threads may share it, for no call changes it.

    Pixel coordinates are always (row, column), (0, 0) is the top left pixel. Masks are ``bool`` arrays of the image's
    (rows, columns).

    Args:
        network: the network; after this call it is in evaluation mode and asks for no gradients.
        device: where it runs.
        precision: ``auto``, ``float32`` or ``bfloat16``; see :func:`~KPrismLib.precision.choose_precision`.
        name: what to call it in reports.

    Example:
        >>> predictor = Predictor.load("small")                     # doctest: +SKIP
        >>> image = predictor.encode(pixels)                        # doctest: +SKIP
        >>> predictor.segment(image, cls="liver").mask.sum()        # doctest: +SKIP
    """

    def __init__(
        self, network: KPrism, *, device: str | torch.device = "cpu", precision: str = "auto", name: str = ""
    ) -> None:
        self.device = choose_device(device)
        with memory_guard(self.device):
            placed = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: KPrism = placed.eval().requires_grad_(False)
        self.dtype = choose_precision(precision, self.device, network.config)
        self.name = name

    @classmethod
    def load(
        cls, model: str | Path = "small", *, device: str | torch.device = "auto", precision: str = "auto"
    ) -> Predictor:
        """A predictor with shipped weights (``small``) or a weights file.

        Raises:
            InvalidWeights: unknown name, missing or damaged file.
            DeviceUnavailable: the asked device does not exist.
            InvalidConfig: no device or no precision has such a name.
        """
        chosen = choose_device(device)
        weights = load_weights(model)
        return cls(weights.build(), device=chosen, precision=precision, name=str(model))

    @property
    def config(self) -> NetworkConfig:
        """Sizes and switches of the network."""
        return self.network.config

    @property
    def precision(self) -> str:
        """``float32`` or ``bfloat16``, as it is computed in."""
        return precision_name(self.dtype)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that the semantic mode knows."""
        return self.config.classes

    def encode(
        self,
        pixels: Pixels,
        *,
        window: IntensityWindow | str | None = None,
        spacing: tuple[float, float] | None = None,
    ) -> EncodedImage:
        """Encode an image once; clicks, classes and references then cost the decoder only.

        Args:
            pixels: (rows, columns) or (rows, columns, 3), any real dtype.
            window: intensity window, the name of a rule, or None for ``auto`` on these pixels. For a slice of a volume
                give the window of the whole volume, so that every path to the slice gives the same mask.
            spacing: pixel size along (rows, columns), where pixels are not square.

        Raises:
            InvalidImage: wrong dimensions, empty, NaN or infinite, constant, or a spacing that is none.
            InvalidConfig: no rule for windows has such a name.
            OutOfMemory: the device is full.
        """
        return self.encode_batch([pixels], window=window, spacing=spacing)[0]

    def encode_batch(
        self,
        images: Sequence[Pixels],
        *,
        window: IntensityWindow | str | None = None,
        spacing: tuple[float, float] | None = None,
    ) -> list[EncodedImage]:
        """Encode images of one size in one pass, slices of a volume say; each as :meth:`encode` would.

        Raises:
            InvalidImage: as for :meth:`encode`, or images of different sizes.
        """
        start = time.perf_counter()
        if not len(images):  # an array of slices has no truth
            return []
        checked = [checked_pixels(pixels) for pixels in images]
        sizes = {(pixels.shape[0], pixels.shape[1]) for pixels in checked}
        if len(sizes) != 1:
            raise InvalidImage("Images must have one size to be encoded together; encode them one by one.")
        windows = [w if isinstance(w := window, IntensityWindow) else window_for(p, rule=w or "auto") for p in checked]
        canvas = Canvas.fit(sizes.pop(), self.config.image_size, spacing)
        with self.computing():
            inputs = [self._input(pixels, chosen, canvas) for pixels, chosen in zip(checked, windows, strict=True)]
            features = self.network.encode_image(torch.cat(inputs))
            synchronise(self.device)
        spent = _milliseconds(start) / len(checked)
        return [EncodedImage(features.one(k), canvas, chosen, spent) for k, chosen in enumerate(windows)]

    def reference(
        self,
        pairs: Iterable[tuple[Pixels, NDArray[Any]]],
        *,
        window: IntensityWindow | str | None = None,
        spacing: tuple[float, float] | None = None,
    ) -> ReferenceSet:
        """Encode reference slices; references may differ in size from each other and from the images they serve.

        Args:
            pairs: (pixels, mask) each; the mask is bool or non-zero inside, of the pixels' (rows, columns).
            window: as for :meth:`encode`.
            spacing: as for :meth:`encode`.

        Raises:
            InvalidReference: no pair, too many, or image and mask of different size.
            InvalidMask: an empty mask.
            InvalidImage: as for :meth:`encode`.
        """
        start = time.perf_counter()
        pairs = list(pairs)
        if not pairs:
            raise InvalidReference("There is no reference; give at least one image with its mask.")
        check_count(len(pairs))
        for pixels, mask in pairs:  # what is wrong with a pair is said before any of them is computed
            check_reference(checked_pixels(pixels), checked_mask(mask))
        parts = [
            self.encode_reference(self.encode(pixels, window=window, spacing=spacing), pixels, mask)
            for pixels, mask in pairs
        ]
        combined = self.combine(parts)
        return ReferenceSet(combined.memory, combined.parts, _milliseconds(start))

    def encode_reference(self, image: EncodedImage, pixels: Pixels, mask: NDArray[Any]) -> EncodedReference:
        """Make a reference of an image that is encoded already (Eq. 4); for :meth:`combine`.

        Args:
            image: the encoded image.
            pixels: what it was encoded from; the mask encoder reads them too.
            mask: bool or non-zero inside, of the pixels' (rows, columns).

        Raises:
            InvalidReference: image and mask of different size, or pixels that are not those of the image.
            InvalidMask: an empty mask.
        """
        checked, inside = checked_pixels(pixels), checked_mask(mask)
        check_reference(checked, inside)
        if inside.shape != image.shape:
            raise InvalidReference(
                f"The encoded image is {size_text(image.shape)} but its pixels {size_text(inside.shape)}; give those "
                "that it was encoded from."
            )
        with self.computing():
            encoded = self.network.encode_reference(
                image.features,
                self._input(checked, image.window, image.canvas)[None],
                image.canvas.place_mask(inside).to(self.device)[None],
            )
            synchronise(self.device)
        return encoded

    def combine(self, parts: Sequence[EncodedReference]) -> ReferenceSet:
        """A reference set from already encoded references.

        Raises:
            InvalidReference: no part, or more than 64.
        """
        check_count(len(parts))
        with self.computing():
            memory = self.network.remember(parts)
        return ReferenceSet(memory, tuple(parts), 0.0)

    def read_out(self, image: EncodedImage, reference: ReferenceSet) -> ReadReferences:
        """The same references for several masks of one image, which need not be compared with it each time (Eq. 15).

        Sessions do this by themselves. Masks are the same, bit for bit, also those of other images.
        """
        if isinstance(reference, ReadReferences) and reference.image is image:
            return reference
        with self.computing():
            seen = self.network.read_out(image.features, reference.memory)
        return ReadReferences(reference.memory, reference.parts, reference.milliseconds, image, seen)

    def segment(
        self, image: EncodedImage, *, cls: str | None = None, reference: ReferenceSet | None = None
    ) -> Segmentation:
        """Segment by class (Eq. 2) or by example (Eq. 3-7).

        Raises:
            UnknownClass: ``cls`` is not among :attr:`classes`; the message suggests the nearest.
            InvalidPrompt: neither or both kinds of knowledge.
        """
        if cls is None and reference is None:
            raise InvalidPrompt("Nothing says what to segment; give a class, references, or start a session to click.")
        start = time.perf_counter()
        logits = self.predict_logits(image, cls=cls, reference=reference, prompt=None)
        return self.to_segmentation(image, logits, start)

    def class_probabilities(self, images: Sequence[EncodedImage], classes: Sequence[str]) -> NDArray[np.float32]:
        """Segment images by classes, every image by every class in one pass of the decoder (Eq. 2).

        Args:
            images: encoded images of one size, slices of a volume say; their features are shared by all classes.
            classes: names among :attr:`classes`.

        Returns:
            float32 (images, classes, rows, columns) in [0, 1].

        Raises:
            UnknownClass: as for :meth:`segment`.
            InvalidPrompt: no class.
            InvalidImage: no image, or images of different sizes.
        """
        classes = (classes,) if isinstance(classes, str) else classes
        if not classes:
            raise InvalidPrompt("Nothing says what to segment; give at least one class.")
        if not images:
            raise InvalidImage("There is no image to segment; give at least one.")
        if len({image.canvas for image in images}) != 1:
            raise InvalidImage("Images must have one size to be segmented together; segment them one by one.")
        rows = [row_of_class(name, self.classes) for name in classes]
        with self.computing():
            features = ImageFeatures.join([image.features for image in images for _ in rows])
            index = torch.tensor(rows * len(images), device=self.device)
            logits = self.network(features, class_index=index).logits.float()
            probability = images[0].canvas.recover(logits)[:, 0].sigmoid().unflatten(0, (len(images), len(rows)))
            return np.asarray(probability.cpu().numpy())

    def session(
        self,
        image: EncodedImage,
        *,
        cls: str | None = None,
        reference: ReferenceSet | None = None,
        mask: NDArray[np.bool_] | None = None,
        drawn: bool = True,
        honour: bool = True,
    ) -> Session:
        """Start interactive work; class or references give the first mask, clicks and scribbles refine it.

        Args:
            image: the encoded image.
            cls: refine the semantic mask of this class.
            reference: refine the in-context mask.
            mask: bool (rows, columns), a mask to start from instead of predicting the first one.
            drawn: somebody drew ``mask``: a prompt that corrects it changes only the part that it touches, until one
                that contradicts nothing asks for the whole mask anew. False for a mask that a model made, in which
                prompts may change whatever they want.
            honour: masks hold what clicks and scribbles say of their pixels, also where the network overlooks them, and
                what was drawn; without it they are the network's alone, as the paper measures it.

        Raises:
            UnknownClass, InvalidPrompt: as for :meth:`segment`.
            InvalidMask: ``mask`` has another size.
        """
        self._row(cls, reference)  # a wrong name is told now, not at the first click
        return Session(self, image, cls=cls, reference=reference, mask=mask, drawn=drawn, honour=honour)

    def together(self, batch: int = 4, *, honour: bool = True) -> Lockstep:
        """For many questions at once, when nobody waits for the single answer: up to ``batch`` masks in one pass.

        ``honour`` is that of :meth:`session`.
        """
        return Lockstep(self, batch=batch, honour=honour)

    def predict_logits(
        self,
        image: EncodedImage,
        *,
        cls: str | None,
        reference: ReferenceSet | None,
        prompt: DensePrompt | None,
    ) -> Tensor:
        """One pass of the decoder; -> (1, 1, H, W) float32 logits on the canvas."""
        row = self._row(cls, reference)
        index = None if row is None else torch.tensor([row], device=self.device)
        with self.computing():
            prediction = self.network(
                image.features,
                class_index=index,
                reference=None if reference is None else reference.seen_by(image),
                prompt=prompt,
            )
            synchronise(self.device)
        return prediction.logits.float()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Around every use of the network: no gradients, the chosen precision, and one error for a full device."""
        with torch.inference_mode(), memory_guard(self.device), multiplying(self.dtype, self.device):
            yield

    def _row(self, cls: str | None, reference: ReferenceSet | None) -> int | None:
        """The row of the semantic table that ``cls`` names, None without ``cls``."""
        if cls is not None and reference is not None:
            raise InvalidPrompt("Give either a class or references, not both; clicks can refine either.")
        return None if cls is None else row_of_class(cls, self.classes)

    def to_segmentation(self, image: EncodedImage, logits: Tensor, start: float) -> Segmentation:
        """Canvas logits to an image-sized mask; ``start`` is when the prediction began (``perf_counter``)."""
        with self.computing():
            probability = image.canvas.recover(logits)[0, 0].sigmoid().cpu().numpy()
        return Segmentation(probability >= 0.5, probability, _milliseconds(start), image.window)

    def on_canvas(self, pixels: Pixels, window: IntensityWindow, canvas: Canvas) -> Tensor:
        """(rows, columns[, 3]) -> (1, 3, H, W) float32 grey values from 0 to 255, before they are normalised."""
        return canvas.place(image_tensor(window.apply(pixels)).to(self.device))

    def _input(self, pixels: Pixels, window: IntensityWindow, canvas: Canvas) -> Tensor:
        return normalise(self.on_canvas(pixels, window, canvas)).contiguous(memory_format=torch.channels_last)


def check_count(references: int) -> None:
    """Raise InvalidReference if so many references cannot be used together."""
    if not 1 <= references <= MAXIMUM_REFERENCES:
        raise InvalidReference(f"Give 1 to {MAXIMUM_REFERENCES} references, not {references}.")


def _milliseconds(start: float) -> float:
    return (time.perf_counter() - start) * 1000
