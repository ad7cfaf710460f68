"""Examples from files: an image and its mask, without nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from KPrismLib.errors import InvalidReference
from KPrismLib.imaging.geometry import same_grid
from KPrismLib.imaging.labels import binary_mask, read_label_volume
from KPrismLib.imaging.planes import Plane, pixel_spacing, placement
from KPrismLib.imaging.reading import read_volume
from KPrismLogic.guide import ReferenceSlice
from KPrismLogic.slice_source import SliceSource
from KPrismLogic.volume_window import VolumeWindow


def reference_from_files(image: Path, mask: Path, *, plane: str = "axial") -> ReferenceSlice:
    """The slice of an image in which a mask is largest.

    Args:
        image: a picture or volume.
        mask: drawn on it; everything in it that is not 0 is the structure.
        plane: "axial", "coronal" or "sagittal"; a picture has only its own.

    Raises:
        InvalidImage, InvalidMask: a file that cannot be read, or a mask of nothing.
        InvalidReference, GeometryMismatch: image and mask do not belong together.
    """
    volume = read_volume(image)
    labels = read_label_volume(mask, image=volume)
    if volume.shape != labels.shape:
        sizes = (" x ".join(map(str, shape)) for shape in (volume.shape, labels.shape))
        raise InvalidReference(
            f"{image.name} and its mask {mask.name} differ in size (slices x rows x columns): {' and '.join(sizes)}; "
            "give the mask that was drawn on this image."
        )
    if not (volume.is_picture or labels.is_picture):
        same_grid(volume, labels)
    inside = binary_mask(labels, None)
    view = Plane.AXIAL if volume.is_picture else Plane(plane)
    normal = placement(volume, view, 0).normal_axis
    index = int(np.argmax(inside.sum(axis=tuple(axis for axis in range(3) if axis != normal))))
    place = placement(volume, view, index)
    source = SliceSource(
        key=(str(image), view.value, index),
        pixels=place.extract(volume.array),
        spacing=pixel_spacing(volume, place) or (1.0, 1.0),
        window=VolumeWindow(object(), volume.array, volume.modality),
    )
    return ReferenceSlice(source, place.extract(inside), f"{mask.name} on {image.name}")
