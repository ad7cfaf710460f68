"""Items written into a dataset folder, each file whole or not at all."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from PIL import Image

from KPrismLib.errors import CannotWrite, InvalidDataset, InvalidImage
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.geometry import Matrix
from KPrismLib.imaging.nifti import nifti_bytes
from KPrismLib.imaging.slice_store import StoredWindow, store_bytes
from KPrismLib.intensity import window_for
from Training.convert.about import About
from Training.convert.cases import Case, Piece


class Writer:
    """Writes the items of one set below a target folder."""

    def __init__(self, target: Path, about: About, *, store: bool = False) -> None:
        """Create the folders.

        Args:
            target: The dataset folder.
            about: Of which set.
            store: Write volumes as slice stores, of which training reads single slices, instead of NIfTI.

        Raises:
            CannotWrite: The folders cannot be made.
        """
        self.target = target
        self._about = about
        self._store = store
        try:
            for name in ("images", "masks"):
                (target / name).mkdir(parents=True, exist_ok=True)
                # What a killed run was writing; volumes are large. One conversion per target at a time.
                for left_over in (target / name).glob(".kprism-*.tmp"):
                    left_over.unlink()
        except OSError as error:
            raise CannotWrite(f"Cannot make {target}: {error.strerror or error}; choose another folder.") from error

    def write(self, case: Case, pieces: Sequence[Piece]) -> list[dict[str, Any]]:
        """Write the files of a case and describe them as entries of ``dataset.json``.

        Raises:
            CannotWrite: Disk full, no permission, ...
        """
        return [self._write_piece(case, piece) for piece in pieces]

    def describe(self, items: Sequence[Mapping[str, Any]], conversion: Mapping[str, Any]) -> Path:
        """Write ``dataset.json``; ``conversion`` says how the conversion went."""
        about = self._about
        content: dict[str, Any] = {
            "name": about.name,
            "modality": about.modality,
            "role": about.role,
            "labels": {str(value): text for value, text in sorted(about.labels.items())},
        }
        if about.classes is not None:
            content["classes"] = {name: list(values) for name, values in about.classes.items()}
        if about.window is not None:
            content["window"] = about.window
        content |= {
            "source": about.source,
            "citation": about.citation,
            "licence": about.licence,
            "split_rule": about.split_rule,
            "notes": about.notes,
            "conversion": dict(conversion),
            "items": [dict(item) for item in items],
        }
        text = json.dumps(content, indent=1, ensure_ascii=False)
        return write_atomically(self.target / "dataset.json", text.encode("utf-8"))

    def _write_piece(self, case: Case, piece: Piece) -> dict[str, Any]:
        name = case.id + piece.suffix
        if piece.affine is None:
            suffix, image, mask = *_picture_bytes(piece.image), _png(piece.labels.astype(np.uint8))
            mask_name = f"masks/{name}.png"
        else:
            voxels, labels = np.asarray(piece.image), piece.labels.astype(np.uint8)
            if self._store:
                suffix, image = ".h5", store_bytes(voxels.T, piece.affine, window=_stored_window(voxels, self._about))
                mask = store_bytes(labels.T, piece.affine)
            else:
                suffix, image = ".nii.gz", _volume_bytes(voxels, piece.affine)
                mask = nifti_bytes(labels.T, piece.affine, compress=True)
            mask_name = f"masks/{name}{suffix}"
        image_name = f"images/{name}{suffix}"
        write_atomically(self.target / image_name, image)
        write_atomically(self.target / mask_name, mask)
        item = {"id": name, "image": image_name, "mask": mask_name, "patient": case.patient, "split": case.split}
        empty = {} if piece.labels.any() else {"empty_mask": True}
        return item | dict(case.extras) | dict(piece.extras) | self._slice_counts(piece) | empty

    def _slice_counts(self, piece: Piece) -> dict[str, int]:
        """Of a volume; a slice is labelled that shows one of the classes, as Table 6 counts them."""
        if piece.affine is None:
            return {}
        classes = self._about.classes
        shown = piece.labels > 0 if classes is None else np.isin(piece.labels, np.concatenate([*classes.values()]))
        return {"slices": shown.shape[2], "labelled_slices": int(np.count_nonzero(shown.any(axis=(0, 1))))}


def _picture_bytes(image: Path | npt.NDArray[Any]) -> tuple[str, bytes]:
    if isinstance(image, Path):
        try:
            return image.suffix.lower(), image.read_bytes()
        except OSError as error:
            raise InvalidDataset(f"{image} cannot be read: {error.strerror or error}.") from error
    return ".png", _png(image)


def _png(pixels: npt.NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def _volume_bytes(voxels: npt.NDArray[Any], affine: Matrix) -> bytes:
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    # Noise does not compress: a higher level takes several times longer for a few percent.
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def _stored_window(voxels: npt.NDArray[Any], about: About) -> StoredWindow | None:
    """The window that the dataset folder will ask for; None where there is none, which reading then says."""
    rule = about.window or "auto"
    try:
        return StoredWindow((rule, about.modality), window_for(voxels, rule=rule, modality=about.modality or None))
    except InvalidImage:
        return None
