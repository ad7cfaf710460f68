"""TIFF as it is meant to be seen, whichever way up, compressed and of whatever depth it is stored."""

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from KPrismLib.errors import InvalidImage, InvalidMask
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.imaging.reading import read_volume

ORIENTATION = 0x0112
#: Where orientations 1 to 8 show the first pixel of 5 rows and 7 columns, and the last of its first row.
CORNERS = {
    1: ((0, 0), (0, 6)),
    2: ((0, 6), (0, 0)),
    3: ((4, 6), (4, 0)),
    4: ((4, 0), (4, 6)),
    5: ((0, 0), (6, 0)),
    6: ((0, 4), (6, 4)),
    7: ((6, 4), (0, 4)),
    8: ((6, 0), (0, 0)),
}
DEPTHS = ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"]


def _values(rng, dtype, shape=(5, 7)):
    """Values from all over the range of a type."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.random(shape) * 2000 - 1000).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def _write(path, pixels, *, orientation=1, colour=False, **how):
    tags = [(ORIENTATION, "H", 1, orientation, False)]
    tifffile.imwrite(path, pixels, **{"photometric": "rgb" if colour else "minisblack", "extratags": tags} | how)
    return path


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", DEPTHS)
def test_every_orientation_is_turned_upright(tmp_path, rng, dtype, compression, orientation):
    pixels = _values(rng, dtype, (2, 5, 7))
    path = _write(tmp_path / "a.tif", pixels, orientation=orientation, compression=compression)
    array = read_volume(path).array
    assert array.shape == ((2, 5, 7) if orientation <= 4 else (2, 7, 5))
    assert np.array_equal(np.sort(array, axis=None), np.sort(pixels, axis=None))
    first, last = CORNERS[orientation]
    assert [array[(1, *first)], array[(1, *last)]] == [pixels[1, 0, 0], pixels[1, 0, 6]]


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize(("dtype", "shape"), [("u1", (5, 7)), ("u1", (5, 7, 3)), ("u2", (5, 7)), ("f4", (5, 7))])
def test_every_compression_is_turned_upright(tmp_path, rng, dtype, shape, compression, orientation):
    pixels = _values(rng, dtype, shape)
    path = tmp_path / "a.tif"
    Image.fromarray(pixels).save(path, compression=compression, tiffinfo={ORIENTATION: orientation})
    array = read_volume(path).array[0]
    first, last = CORNERS[orientation]
    assert array[first].tolist() == pixels[0, 0].tolist()
    assert array[last].tolist() == pixels[0, 6].tolist()


@pytest.mark.parametrize("byte_order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", DEPTHS)
def test_every_depth_keeps_its_values(tmp_path, rng, dtype, compression, byte_order):
    grey, colour = _values(rng, dtype), _values(rng, dtype, (5, 7, 3))
    how = {"compression": compression, "byteorder": byte_order}
    planes = np.ascontiguousarray(np.moveaxis(colour, -1, 0))
    for path, pixels in (
        (_write(tmp_path / "grey.tif", grey, **how), grey),
        (_write(tmp_path / "colour.tif", colour, colour=True, **how), colour),
        (_write(tmp_path / "planes.tif", planes, colour=True, planarconfig="separate", **how), colour),
    ):
        array = read_volume(path).array
        assert array.dtype.isnative
        assert np.array_equal(array[0], pixels)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_zero_is_black_also_where_a_file_has_it_as_white(tmp_path, rng, dtype):
    pixels = _values(rng, dtype)
    path = _write(tmp_path / "film.tif", pixels, photometric="miniswhite")
    assert np.array_equal(read_volume(path).array[0], np.iinfo(dtype).max - pixels)


def test_labels_above_2_31_are_told_as_they_are(tmp_path):
    path = _write(tmp_path / "mask.tif", np.array([[0, 4_000_000_000]], np.uint32))
    with pytest.raises(InvalidMask, match="values from 0 to 4000000000"):
        read_label_volume(path)


def _lzw(path, pixels, orientation=1):
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(path), useCompression=True, compressor="LZW")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        assert tiff.pages[0].compression == 5
        tiff.pages[0].tags[ORIENTATION].overwrite(orientation)
    return path


def test_deep_colours_are_decompressed(tmp_path, rng):
    pixels = _values(rng, "u2", (5, 7, 3))
    assert np.array_equal(read_volume(_lzw(tmp_path / "a.tif", pixels)).array[0], pixels)
    assert np.array_equal(read_volume(_lzw(tmp_path / "a.tif", pixels, orientation=4)).array[0], pixels[::-1])


def test_deep_colours_that_cannot_be_turned_say_so(tmp_path, rng):
    path = _lzw(tmp_path / "photo.tif", _values(rng, "u2", (5, 7, 3)), orientation=6)
    with pytest.raises(InvalidImage, match=r"photo\.tif is stored rotated.* turn it upright"):
        read_volume(path)
