"""Pictures whose values Pillow does not know or would change: many bits per colour, signed bytes, 64-bit floats.

tifffile gives the numbers of a TIFF as they are stored. ITK decompresses what tifffile cannot, and reads PNG.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import tifffile
from PIL import Image, TiffImagePlugin

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.itk_paths import itk_paths

_Pixels = npt.NDArray[Any]

#: Where EXIF and TIFF tell which way up a picture is stored.
ORIENTATION_TAG = 0x0112

_EIGHT_BITS = ("L", "LA", "RGB", "RGBA")
#: How TIFF tells in which way numbers are stored and what they mean.
_UNSIGNED, _SIGNED = 1, 2
_BIG_ENDIAN = b"MM"
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow would change the values of an opened picture."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        # 16 bits per colour, which Pillow cuts to 8; its decoder names such data ``RGB;16B`` and the like.
        return image.mode in _EIGHT_BITS and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    bits = max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    formats = image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (_UNSIGNED,))
    if bits <= 8:
        return _SIGNED in formats  # which Pillow takes for 0 to 255
    if image.mode in ("I", "F"):
        # Above 2^31 negative with Pillow; and its big-endian numbers come scrambled when they were compressed.
        return _UNSIGNED in formats or image.tag_v2.prefix == _BIG_ENDIAN
    # 16 bits are cut to 8 for a colour, and not inverted where 0 is white.
    inverted = image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
    return image.mode in _EIGHT_BITS or (inverted and image.mode.startswith("I;16"))


def read_deep(path: Path, orientation: int = 1) -> list[_Pixels]:
    """The pages of a picture, each ``(rows, columns)`` or ``(rows, columns, colours)``, with the values of the file.

    Pages are turned upright; 0 becomes black where it is white.

    Args:
        path: the picture.
        orientation: as EXIF counts them; the pages of a TIFF bring their own.

    Raises:
        InvalidImage: no picture, damaged, or of a kind that cannot be read.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            return _tiff_pages(path, [page.aspage() for page in tiff.pages])
    except tifffile.TiffFileError:
        return [turned(page, orientation) for page in _itk_pages(path)]
    except InvalidImage:
        raise
    except Exception as error:  # tifffile raises whatever its decoders raise
        raise _unreadable(path) from error


def turned(pixels: _Pixels, orientation: int) -> _Pixels:
    """Stored ``(rows, columns, ...)`` as they are meant to be seen; ``orientation`` 1 to 8 as EXIF counts them."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def _tiff_pages(path: Path, pages: list[tifffile.TiffPage]) -> list[_Pixels]:
    if not all(_is_plain(page) for page in pages):
        return _by_itk(path, pages)
    try:
        return [turned(_numbers(page, page.asarray()), _orientation(page)) for page in pages]
    except ValueError:  # compressed in a way that tifffile does not know
        found = _by_itk(path, pages)
    if any((pixels.dtype, pixels.shape) != (page.dtype, page.shape) for pixels, page in zip(found, pages, strict=True)):
        raise _unreadable(path)  # ITK cuts what it does not know to 8 bits
    return [_numbers(page, pixels) for page, pixels in zip(pages, found, strict=True)]


def _is_plain(page: tifffile.TiffPage) -> bool:
    """Whether the numbers of a page are its grey values or its red, green and blue."""
    return page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) and page.axes in ("YX", "YXS", "SYX")


def _numbers(page: tifffile.TiffPage, stored: _Pixels) -> _Pixels:
    pixels = np.moveaxis(stored, 0, -1) if page.axes == "SYX" else stored
    if page.photometric == _WHITE_IS_ZERO and pixels.dtype.kind == "u":
        pixels = pixels.dtype.type(2**page.bitspersample - 1) - pixels
    return pixels.astype(np.float32) if pixels.dtype == np.float16 else pixels


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get(ORIENTATION_TAG)
    return 1 if tag is None else int(tag.value)


def _by_itk(path: Path, pages: list[tifffile.TiffPage]) -> list[_Pixels]:
    # ITK turns pages that are upside down, and no others.
    if not {_orientation(page) for page in pages} <= {1, 4}:
        raise InvalidImage(
            f"{path.name} is stored rotated, in a compression or colours in which K-Prism cannot turn it; turn it "
            "upright and save it again."
        )
    return _itk_pages(path)


def _itk_pages(path: Path) -> list[_Pixels]:
    try:
        with itk_paths([path]) as (name,):
            image = sitk.ReadImage(name)
    except RuntimeError as error:
        raise _unreadable(path) from error
    pixels = sitk.GetArrayFromImage(image)
    return [pixels] if image.GetDimension() == 2 else list(pixels)


def _unreadable(path: Path) -> InvalidImage:
    return InvalidImage(f"{path.name} is not a picture that can be read, or is damaged; save it again, as PNG or TIFF.")
