import zlib

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.reading import read_volume


def _read(path):
    volume = read_volume(path)
    assert volume.is_picture
    assert volume.modality is None
    assert volume.source == path
    return volume.array


def test_grey_and_colour_png_come_as_they_are(tmp_path, rng):
    grey = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    colour = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(colour).save(tmp_path / "colour.png")
    assert np.array_equal(_read(tmp_path / "grey.png"), grey[None])
    assert np.array_equal(_read(tmp_path / "colour.png"), colour[None])


def test_names_may_have_any_letters(tmp_path):
    folder = tmp_path / "Größe ηπαρ 肝臓"
    folder.mkdir()
    for name in ("печень.png", "肝.PNG"):
        Image.new("L", (3, 2), 9).save(folder / name)
        assert _read(folder / name).tolist() == [[[9] * 3] * 2]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_kept(tmp_path, rng, suffix):
    grey = rng.integers(0, 65536, (5, 7), dtype=np.uint16)
    colour = rng.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    for name, pixels in (("grey", grey), ("colour", colour)):
        path = tmp_path / f"{name}.{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 3), str(path))
        array = _read(path)
        assert array.dtype == np.uint16
        assert np.array_equal(array, pixels[None])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float16, np.float32, np.float64])
def test_tiff_of_every_depth_keeps_its_values(tmp_path, rng, dtype):
    values = (rng.random((5, 7)) * 200 - (100 if np.dtype(dtype).kind in "if" else 0)).astype(dtype)
    tifffile.imwrite(tmp_path / "picture.tif", values)
    array = _read(tmp_path / "picture.tif")
    assert np.array_equal(array[0], values)
    assert array.dtype.isnative


def test_colour_tiff_of_floats(tmp_path, rng):
    values = rng.random((5, 7, 3)).astype(np.float32)
    tifffile.imwrite(tmp_path / "picture.tif", values, photometric="rgb")
    assert np.array_equal(_read(tmp_path / "picture.tif"), values[None])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_the_pages_of_a_tiff_are_slices(tmp_path, rng, dtype):
    pages = (rng.random((4, 5, 7)) * 99).astype(dtype)
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    assert np.array_equal(_read(tmp_path / "stack.tif"), pages)


def test_pages_of_different_sizes_are_refused(tmp_path):
    first, second = Image.new("L", (7, 5)), Image.new("L", (3, 2))
    first.save(tmp_path / "stack.tif", save_all=True, append_images=[second])
    with pytest.raises(InvalidImage, match=r"different sizes \(2 x 3, 5 x 7\)"):
        read_volume(tmp_path / "stack.tif")


def test_a_palette_becomes_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    picture.putpalette([10, 20, 30, 200, 100, 0, 5, 5, 5])
    picture.save(tmp_path / "palette.png")
    assert _read(tmp_path / "palette.png")[0].tolist() == [
        [[10, 20, 30], [200, 100, 0]],
        [[5, 5, 5], [200, 100, 0]],
    ]
    picture.save(tmp_path / "clear.png", transparency=1)
    assert _read(tmp_path / "clear.png")[0].tolist() == [[[10, 20, 30], [0, 0, 0]], [[5, 5, 5], [0, 0, 0]]]


def test_transparency_lies_on_black(tmp_path):
    Image.fromarray(np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 51]]], np.uint8)).save(
        tmp_path / "rgba.png"
    )
    assert _read(tmp_path / "rgba.png")[0].tolist() == [[[200, 100, 50], [0, 0, 0], [40, 20, 10]]]
    Image.fromarray(np.array([[[200, 255], [200, 0]]], np.uint8), "LA").save(tmp_path / "la.png")
    assert _read(tmp_path / "la.png").tolist() == [[[200, 0]]]


def test_black_and_white_is_0_and_255(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    assert _read(tmp_path / "bits.png").tolist() == [[[255, 0]]]


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=100)
    assert _read(tmp_path / "print.jpg")[0, 4, 4] == pytest.approx([255, 0, 0], abs=3)


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (3, 5)), (6, (0, 3)), (8, (5, 0))])
def test_exif_orientation_is_honoured(tmp_path, orientation, corner):
    pixels = np.zeros((4, 6), np.uint8)
    pixels[0, 0] = 255
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "photo.png", exif=exif)
    array = _read(tmp_path / "photo.png")[0]
    assert array.shape == ((4, 6) if orientation in (1, 3) else (6, 4))
    assert tuple(np.argwhere(array == 255)[0]) == corner


def test_deep_colours_of_a_png_are_turned_upright(tmp_path, rng):
    pixels = rng.integers(0, 65536, (4, 6, 3), dtype=np.uint16)
    path = tmp_path / "photo.png"
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(path))
    content, exif = path.read_bytes(), Image.Exif()
    exif[0x0112] = 6
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    header = 8 + 25  # the signature of PNG and its first chunk
    length, check = (len(chunk) - 4).to_bytes(4, "big"), zlib.crc32(chunk).to_bytes(4, "big")
    path.write_bytes(content[:header] + length + chunk + check + content[header:])
    assert np.array_equal(_read(path)[0], np.rot90(pixels, -1))


def test_only_the_first_frame_of_an_animation_is_read(tmp_path):
    Image.new("L", (3, 2), 1).save(tmp_path / "moves.png", save_all=True, append_images=[Image.new("L", (3, 2), 2)])
    assert _read(tmp_path / "moves.png").shape == (1, 2, 3)


def test_a_picture_too_large_for_memory_is_refused(tmp_path, monkeypatch):
    Image.new("L", (100, 100)).save(tmp_path / "slide.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InvalidImage, match=r"slide\.png is too large: .* at most 2000 pixels; make it smaller"):
        read_volume(tmp_path / "slide.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("part", [0.02, 0.5])
def test_damaged_pictures_are_refused(tmp_path, rng, suffix, part):
    path = tmp_path / f"broken.{suffix}"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InvalidImage, match=rf"broken\.{suffix}") as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)


def test_text_named_png_is_refused(tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(InvalidImage, match=r"notes\.png is not a picture"):
        read_volume(tmp_path / "notes.png")
