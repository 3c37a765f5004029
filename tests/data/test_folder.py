"""Folders and zips of pictures: what is read, how it is cropped, and what is refused."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from ganedu.data import folder, image_folder

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def png(colour=RED, size=(8, 8), mode="RGB", **options) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, "PNG", **options)
    return out.getvalue()


def bomb(side: int = 30_000) -> bytes:
    """A PNG of a few hundred bytes whose header promises 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0" * 99))
        + chunk(b"IEND", b"")
    )


def fill(path, files: dict[str, bytes]):
    """``files`` as a folder, or as a zip where the name says so."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, raw in files.items():
                archive.writestr(name, raw)
        return path
    for name, raw in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


BOTH = pytest.mark.parametrize("kind", ["pictures", "pictures.zip"])


@BOTH
def test_pictures_come_in_the_order_of_their_names_and_nothing_else_comes(kind, tmp_path):
    files = {
        "b.png": png(GREEN),
        "a.PNG": png(RED),
        "sub/c.png": png(BLUE),
        "notes.txt": b"no picture",
        ".hidden.png": b"no picture",
        "__MACOSX/._a.png": b"no picture",
    }
    images = image_folder(fill(tmp_path / kind, files), size=4)
    assert images.pixels.shape == (3, 3, 4, 4)
    assert [tuple(pixel) for pixel in images.pixels[:, :, 0, 0].tolist()] == [RED, GREEN, BLUE]


@pytest.mark.parametrize(("size", "box"), [((12, 4), (4, 0)), ((4, 12), (0, 4))])
def test_the_crop_is_the_largest_centred_square(size, box, tmp_path):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    tmp_path.joinpath("p").mkdir()
    Image.fromarray(picture).save(tmp_path / "p" / "a.png")
    got = image_folder(tmp_path / "p", size=4).pixels[0].permute(1, 2, 0).numpy()
    left, top = box
    np.testing.assert_array_equal(got, picture[top : top + 4, left : left + 4])


def test_a_checkerboard_shrinks_to_its_average(tmp_path):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "a.png")
    pixels = image_folder(tmp_path, size=8).pixels
    assert abs(pixels.double() - 127.5).max() <= 2


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK"])
def test_every_8_bit_mode_becomes_rgb(mode, tmp_path):
    suffix = "tif" if mode == "CMYK" else "png"
    Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode).save(tmp_path / f"a.{suffix}")
    assert image_folder(tmp_path, size=4).pixels.unique().tolist() == [255]


def test_what_is_transparent_is_white_and_not_what_lies_under_it(tmp_path):
    Image.new("RGBA", (8, 8), (*RED, 0)).save(tmp_path / "a.png")
    Image.new("RGBA", (8, 8), (*RED, 255)).save(tmp_path / "b.png")
    clear, solid = image_folder(tmp_path, size=4, progress=False).pixels[:, :, 0, 0].tolist()
    assert clear == [255, 255, 255] and tuple(solid) == RED


def test_a_photograph_is_turned_upright(tmp_path):
    picture = Image.new("RGB", (8, 8), RED)
    picture.paste(GREEN, (0, 0, 8, 4))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to show it
    picture.save(tmp_path / "a.png", exif=exif)
    pixels = image_folder(tmp_path, size=8).pixels[0]
    assert tuple(pixels[:, 4, 7].tolist()) == GREEN and tuple(pixels[:, 4, 0].tolist()) == RED


def test_a_name_in_a_zip_cannot_write_outside(tmp_path):
    path = fill(tmp_path / "evil.zip", {"../../outside.png": png(), "/etc/absolute.png": png()})
    before = sorted(tmp_path.parent.iterdir())
    assert len(image_folder(path, size=4)) == 2
    assert sorted(tmp_path.parent.iterdir()) == before and list(tmp_path.iterdir()) == [path]


@BOTH
@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "cannot identify"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot identify"),
        (png()[:48], "(truncated|broken|cannot)"),
        (bomb(), "decompression bomb"),
        (bomb(9000), "expected at most 64000000 pixels"),
        (png(1000, mode="I;16"), "8 bits a channel"),
    ],
    ids="empty,postscript,cut,bomb,small bomb,16 bits".split(","),
)
def test_an_unusable_picture_is_named(kind, raw, why, tmp_path):
    path = fill(tmp_path / kind, {"good.png": png(), "sub/poor.png": raw})
    with pytest.raises(ValueError, match=f"sub/poor.png: not usable as a picture: .*{why}"):
        image_folder(path)


def test_a_zip_bomb_is_refused_by_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "LARGEST_FILE", 1000)
    path = fill(tmp_path / "a.zip", {"a.png": png() + bytes(1000)})
    with pytest.raises(ValueError, match="a.png.*expected at most 1000 bytes"):
        image_folder(path)


def test_a_damaged_member_of_a_zip_is_named(tmp_path):
    path = fill(tmp_path / "a.zip", {"a.png": png()})
    raw = bytearray(path.read_bytes())
    raw[60] ^= 255
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="a.png: not usable"):
        image_folder(path)


def test_where_no_pictures_are_it_says_so(tmp_path):
    for path, message in [
        (tmp_path / "nowhere", "expected a folder or a zip of images, there is no .*nowhere"),
        (fill(tmp_path / "empty.zip", {}), "expected pictures .*got none in .*empty.zip"),
        (fill(tmp_path / "texts", {"a.txt": b""}), "expected pictures .*jpg.*got none"),
        (tmp_path / "texts" / "a.txt", "expected a folder or a zip of images, got .*a.txt, which is neither"),
    ]:
        with pytest.raises(ValueError, match=f"path: {message}"):
            image_folder(path)


@pytest.mark.parametrize("size", [0, -1, 2.5, 100_000])
def test_an_absurd_size_is_named(size, tmp_path):
    with pytest.raises(ValueError, match="size: expected an int"):
        image_folder(fill(tmp_path / "a", {"a.png": png()}), size=size)


def test_all_pictures_that_are_not_usable_are_named_five_of_many(tmp_path):
    files = {f"{i}.png": b"broken" if i else png() for i in range(8)}
    with pytest.raises(ValueError, match="not usable as a picture") as error:
        image_folder(fill(tmp_path / "many", files), size=8)
    assert [f"/{i}.png: not usable" in str(error.value) for i in range(8)] == [
        False,
        *[True] * 5,
        False,
        False,
    ]
    assert str(error.value).endswith("; and 2 more")
