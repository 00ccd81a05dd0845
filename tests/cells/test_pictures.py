"""Pictures: what Pillow can make of a file is a cell in RGB, or a reason."""

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukoscope.cells.pictures import Upload, inspect, read_picture
from leukoscope.errors import BadInputError

RED = (204, 51, 0)


def bytes_of(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    with BytesIO() as file:
        picture.save(file, form, **options)
        return file.getvalue()


def read(content: bytes) -> Image.Image:
    return read_picture(Upload("cell", content))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("form", ["BMP", "PNG", "JPEG", "TIFF"])
def test_every_kind_of_pixel_becomes_rgb(mode: str, form: str) -> None:
    kept = {"BMP": "RGB RGBA P", "PNG": "RGB RGBA P", "JPEG": "RGB CMYK", "TIFF": "RGB RGBA P CMYK"}
    if mode not in kept[form].split():
        pytest.skip(f"{form} has no {mode}")
    picture = read(bytes_of(Image.new("RGB", (20, 10), RED).convert(mode), form))
    assert (picture.mode, picture.size) == ("RGB", (20, 10))
    np.testing.assert_allclose(np.asarray(picture)[5, 5], RED, atol=3)


def test_what_is_transparent_is_black_whatever_colour_lies_under_it() -> None:
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[:4, :, 3] = 0
    found = np.asarray(read(bytes_of(Image.fromarray(pixels))))
    assert (found[:4] == 0).all()
    assert (found[4:] == 255).all()
    palette = Image.new("P", (4, 4))
    palette.putpalette([255, 255, 255])
    assert (np.asarray(read(bytes_of(palette, transparency=0))) == 0).all()


def test_grey_of_16_bits_keeps_its_shades() -> None:
    deep = np.array([[0, 256, 32768, 65535]], np.uint16)
    found = np.asarray(read(bytes_of(Image.fromarray(deep), "PNG")))
    np.testing.assert_array_equal(found[0], np.repeat([[0], [1], [128], [255]], 3, axis=1))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_white_are_refused(mode: str) -> None:
    with pytest.raises(BadInputError, match="32 bits"):
        read(bytes_of(Image.new(mode, (4, 4)), "TIFF"))


def test_a_small_file_that_unpacks_to_a_huge_picture_is_refused_before_it_does() -> None:
    side = 9000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    with pytest.raises(BadInputError, match="9000 × 9000 pixels, too many for one cell"):
        read(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_several_pictures_in_one_file_are_refused(form: str) -> None:
    first, second = Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), RED)
    with pytest.raises(BadInputError, match="holds several pictures"):
        read(bytes_of(first, form, save_all=True, append_images=[second]))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PPM", "ICO"])
def test_other_formats_are_refused(form: str) -> None:
    with pytest.raises(BadInputError, match="not a BMP, PNG, JPEG or TIFF picture"):
        read(bytes_of(Image.new("RGB", (16, 16)), form))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.bmp")
    for path in (tmp_path / "pipe.bmp", Path("/dev/zero"), tmp_path):
        assert inspect(path) == "not a file"
    with pytest.raises(BadInputError, match="no such file"):
        read_picture(tmp_path / "gone.bmp")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_picture(Path("a\0b.bmp"))
