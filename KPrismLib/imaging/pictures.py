"""Pictures without physical geometry: PNG, JPEG, TIFF and BMP, of any bit depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from KPrismLib.errors import InvalidImage
from KPrismLib.image_checks import size_text
from KPrismLib.imaging.checksums import is_sound_png
from KPrismLib.imaging.deep_pictures import ORIENTATION_TAG, is_deep, read_deep

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")

_Pixels = npt.NDArray[Any]
_WHITE_AND_BLACK = [255, 255, 255, 0, 0, 0]
#: What Pillow raises for a file that is no picture, or half of one.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError)


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


def read_picture_mask(path: Path) -> _Pixels:
    """As :func:`read_picture_labels`, but with 1 for white also where the palette has white first.

    Programs that save few colours sort a black and white mask as they like; in a dataset folder, ``dataset.json`` says
    what the numbers mean.
    """
    return _read_pages(path, _as_mask)


def _read_pages(path: Path, convert: Callable[[Image.Image], _Pixels]) -> _Pixels:
    pages: list[_Pixels] = []
    orientation = 1
    try:
        # Pillow gets no name: a file that it maps into memory by its name comes scrambled when it is stored rotated.
        with path.open("rb") as stream:
            if not is_sound_png(stream):
                raise InvalidImage(f"{path.name} is damaged: its pixels are not those that were saved; copy it again.")
            with Image.open(stream) as image:
                if is_deep(image):
                    orientation = image.getexif().get(ORIENTATION_TAG, 1)
                else:
                    # Only TIFF pages are slices: the further frames of a JPEG or PNG are previews and animations.
                    count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
                    pages = [_page(image, number, convert) for number in range(count)]
    except UnidentifiedImageError:
        pass  # not a kind of pixel that Pillow knows; ITK and tifffile know more
    except InvalidImage:
        raise
    except Image.DecompressionBombError as error:
        raise InvalidImage(
            f"{path.name} is too large: a picture may have at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; make it "
            "smaller, or cut out the part that you need."
        ) from error
    except UNREADABLE as error:
        raise InvalidImage(f"{path.name} cannot be read as a picture ({error}); save it again, as PNG.") from error
    if not pages:
        pages = [_without_alpha(_native(page)) for page in read_deep(path, orientation)]
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


def _as_mask(image: Image.Image) -> _Pixels:
    numbers = _as_numbers(image)
    if image.mode == "P" and image.getpalette() == _WHITE_AND_BLACK and "transparency" not in image.info:
        return (numbers == 0).astype(np.uint8)
    return numbers


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
