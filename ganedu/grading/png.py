"""A PNG file cut down to the picture in it: what a hostile file carries besides is not passed on."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXEL_LIMIT = 16_000_000  # a small file can unpack to gigabytes in a browser
KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # all that a still picture is drawn from
COLOUR_TYPES = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # and their depths


class TooManyPixels(ValueError):
    """A whole PNG, but a larger one than anybody needs to see."""


def still(data: bytes) -> bytes:
    """The still picture in a PNG: its header, palette, transparency and pixels, and not a byte more.

    Text, profiles, animation, unknown chunks and whatever follows the end are gone; the pixels are not
    decoded. Raises ValueError for what is not a whole PNG and `TooManyPixels` above `PIXEL_LIMIT`.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("data: not a PNG: its first bytes are others")
    parts, place, kind = [SIGNATURE], len(SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, place) if place + 8 <= len(data) else (0, b"")
        end = place + 12 + length
        if not kind or end > len(data):
            raise ValueError("data: a PNG that breaks off")
        if zlib.crc32(data[place + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ValueError(f"data: a PNG whose chunk {kind!r} has another checksum")
        if (len(parts) == 1) != (kind == b"IHDR"):
            raise ValueError("data: a PNG has one header, and it comes first")
        if kind == b"IHDR":
            _check_header(data[place + 8 : end - 4])
        if kind in KEPT:
            parts.append(data[place:end])
        place = end
    return b"".join(parts)


def _check_header(header: bytes) -> None:
    if len(header) != 13:
        raise ValueError(f"data: a PNG's header has 13 bytes, this one {len(header)}")
    width, height, depth, colours, compression, filtering, interlace = struct.unpack(">IIBBBBB", header)
    if not (width and height) or depth not in COLOUR_TYPES.get(colours, ()):
        raise ValueError("data: a PNG of no size or of an unknown kind")
    if compression or filtering or interlace > 1:
        raise ValueError("data: a PNG of an unknown kind")
    if width * height > PIXEL_LIMIT:
        raise TooManyPixels(f"data: {width} x {height} pixels, more than {PIXEL_LIMIT:,}")
