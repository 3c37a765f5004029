"""Of a PNG only the picture is passed on; what is not one is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ganedu.grading import png
from ganedu.grading.png import TooManyPixels, still


def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width=1, height=1, depth=8, colours=0, rest=b"\0\0\0"):
    return chunk(b"IHDR", struct.pack(">IIBB", width, height, depth, colours) + rest)


PIXELS = chunk(b"IDAT", zlib.compress(b"\0\x7f"))
END = chunk(b"IEND")
SMALL = png.SIGNATURE + header() + PIXELS + END


def pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.info, np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_the_pixels_of_every_kind_of_picture_stay(mode):
    colours = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    image = Image.fromarray(colours[..., 0].astype(np.uint16)) if mode == "I;16" else image.convert(mode)
    comment = PngImagePlugin.PngInfo()
    comment.add_text("Comment", "<script>alert(1)</script>")
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=comment, dpi=(300, 300))
    clean = still(file.getvalue())
    assert b"script" in file.getvalue() and b"script" not in clean
    (_, before), (info, after) = pillow(file.getvalue()), pillow(clean)
    assert np.array_equal(before, after) and "dpi" not in info


def test_transparency_of_a_palette_stays():
    file = io.BytesIO()
    Image.new("P", (4, 4)).save(file, "PNG", transparency=0)
    assert pillow(still(file.getvalue()))[1][0, 0, 3] == 0


@pytest.mark.parametrize(
    "extra", [chunk(b"tEXt", b"a\0<script>"), chunk(b"eXIf", b"x" * 99), chunk(b"acTL", bytes(8)),
              chunk(b"fdAT", bytes(20)), chunk(b"iCCP", b"p\0\0" + bytes(9)), chunk(b"zzZz")]
)  # fmt: skip
def test_what_is_no_part_of_a_still_picture_is_left_out(extra):
    assert still(png.SIGNATURE + header() + extra + PIXELS + extra + END) == SMALL


def test_what_follows_the_end_is_left_out():
    assert still(SMALL + b"<html><script>alert(1)</script>PK\x03\x04") == SMALL


@pytest.mark.parametrize(
    "data",
    [
        b"", png.SIGNATURE, SMALL[:-1], SMALL[:20], b"GIF89a" + SMALL, b"<svg onload='alert(1)'>",
        png.SIGNATURE + PIXELS + END,
        png.SIGNATURE + header() + header() + PIXELS + END,
        png.SIGNATURE + header(0, 1) + PIXELS + END,
        png.SIGNATURE + header(depth=3) + PIXELS + END,
        png.SIGNATURE + header(colours=5) + PIXELS + END,
        png.SIGNATURE + header(rest=b"\1\0\0") + PIXELS + END,
        png.SIGNATURE + header(rest=b"\0\0\2") + PIXELS + END,
        png.SIGNATURE + header(rest=b"") + PIXELS + END,
        png.SIGNATURE + header() + struct.pack(">I4s", 0xFFFFFFFF, b"IDAT") + b"x" * 50,
        SMALL.replace(b"IDAT", b"IDAX"),
    ],
)  # fmt: skip
def test_what_is_not_a_whole_png_is_refused(data):
    with pytest.raises(ValueError, match="data: "):
        still(data)


def test_a_picture_that_unpacks_to_gigabytes_is_refused():
    with pytest.raises(TooManyPixels, match="60000 x 60000"):
        still(png.SIGNATURE + header(60_000, 60_000) + PIXELS + END)
    assert still(png.SIGNATURE + header(4000, 4000) + PIXELS + END)
