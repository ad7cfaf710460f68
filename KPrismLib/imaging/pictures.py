"""Pictures without physical geometry: PNG, JPEG, TIFF and BMP, of any bit depth."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from KPrismLib.errors import InvalidImage
from KPrismLib.image_checks import size_text
from KPrismLib.imaging.itk_paths import itk_paths

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")

_Pixels = npt.NDArray[Any]
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError)
_ORIENTATION_TAG = 0x0112


def read_picture(path: Path) -> _Pixels:
    """The pixels of a picture as they are meant to be seen.

    EXIF orientation is applied, a palette becomes its colours, transparent parts become black, black and white
    becomes 0 and 255. The pages of a TIFF become slices.

    Returns:
        ``(slices, rows, columns)`` or ``(slices, rows, columns, 3)``; uint8, or the file's own 16-bit, 32-bit or
        floating point type.
    """
    return _read_pages(path, _as_seen)


def read_picture_labels(path: Path) -> _Pixels:
    """The numbers in a picture that is a label map, ``(slices, rows, columns)``, or with colours as a last axis.

    Differs from :func:`read_picture` where looks and numbers differ: a palette gives its indices, black and white
    gives 0 and 1.
    """
    return _read_pages(path, _as_numbers)


def _read_pages(path: Path, convert: Callable[[Image.Image], _Pixels]) -> _Pixels:
    try:
        with Image.open(path) as image:
            if _loses_depth(image):
                upright = image.getexif().get(_ORIENTATION_TAG, 1) == 1
                pages: list[_Pixels] | None = [] if upright else None
            else:
                # Only TIFF pages are slices: the further frames of a JPEG or PNG are previews and animations.
                count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
                pages = [_page(image, number, convert) for number in range(count)]
    except UnidentifiedImageError:
        pages = []  # not a kind of pixel that Pillow knows; ITK and tifffile know more
    except Image.DecompressionBombError as error:
        raise InvalidImage(
            f"{path.name} is too large: a picture may have at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; make it "
            "smaller, or cut out the part that you need."
        ) from error
    except _UNREADABLE as error:
        raise InvalidImage(f"{path.name} cannot be read as a picture ({error}); save it again, as PNG.") from error
    if pages is None:
        raise InvalidImage(f"{path.name} is stored rotated with 16 bits per colour; turn it upright and save it again.")
    if not pages:
        pages = list(_read_deep(path))
    if not pages or not all(page.size for page in pages):
        raise InvalidImage(f"{path.name} holds no pixels; save it again, as PNG or TIFF.")
    sizes = {page.shape for page in pages}
    if len(sizes) > 1:
        listed = ", ".join(size_text(size) for size in sorted(sizes))
        raise InvalidImage(f"{path.name} holds pages of different sizes ({listed}); save the one page you need.")
    return np.stack(pages)


def _page(image: Image.Image, number: int, convert: Callable[[Image.Image], _Pixels]) -> _Pixels:
    if number:
        image.seek(number)
    pixels = convert(ImageOps.exif_transpose(image))
    # Pillow before 11 hands out the 16 bits of a grey PNG as 32.
    return pixels.astype(np.uint16) if image.format == "PNG" and pixels.dtype == np.int32 else pixels


def _loses_depth(image: Image.Image) -> bool:
    """Whether Pillow would cut 16 bits per colour to 8; its decoder names such data ``RGB;16B`` and the like."""
    return image.mode in ("L", "LA", "RGB", "RGBA") and any(
        ";16" in str(tile[3]) for tile in getattr(image, "tile", ())
    )


def _as_seen(image: Image.Image) -> _Pixels:
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in ("PA", "La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "I", "F") and not image.mode.startswith("I;16"):
        image = image.convert("RGB")
    return _without_alpha(_native(np.asarray(image)))


def _as_numbers(image: Image.Image) -> _Pixels:
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "P":
        return np.asarray(image)
    return _as_seen(image)


def _without_alpha(pixels: _Pixels) -> _Pixels:
    """Put ``(..., 2)`` grey+alpha or ``(..., 4)`` RGB+alpha on black; other pixels pass unchanged."""
    if pixels.ndim < 3 or pixels.shape[-1] not in (2, 4):
        return pixels
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    full = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1.0
    blended = colours.astype(np.float64) * (alpha / full)
    result = np.rint(blended).astype(pixels.dtype) if pixels.dtype.kind in "ui" else blended.astype(pixels.dtype)
    return result[..., 0] if result.shape[-1] == 1 else result


def _native(pixels: _Pixels) -> _Pixels:
    """The same values in this computer's byte order, which every other library expects."""
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _read_deep(path: Path) -> _Pixels:
    try:
        if _is_half(path):
            raise RuntimeError  # which ITK takes for whole numbers
        with itk_paths([path]) as (name,):
            image = sitk.ReadImage(name)
        pixels = sitk.GetArrayFromImage(image)
        spatial = image.GetDimension()
    except RuntimeError:
        # ITK has no floats of 64 or 16 bits.
        try:
            pixels = tifffile.imread(path)
            pixels = pixels.astype(np.float32) if pixels.dtype == np.float16 else pixels
        except Exception as error:  # tifffile raises whatever its decoders raise
            raise InvalidImage(
                f"{path.name} is not a picture that can be read, or is damaged; save it again, as PNG or TIFF."
            ) from error
        spatial = pixels.ndim - (pixels.ndim > 2 and pixels.shape[-1] in (2, 3, 4))
    pixels = _without_alpha(_native(pixels)) if pixels.ndim > spatial else _native(pixels)
    return pixels[np.newaxis] if spatial == 2 else pixels


def _is_half(path: Path) -> bool:
    """Whether a TIFF holds floats of 16 bits."""
    try:
        with tifffile.TiffFile(path) as tiff:
            return bool(tiff.pages[0].dtype == np.float16)
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, KeyError, TypeError, struct.error):
        return False  # whoever reads on will say what is wrong
