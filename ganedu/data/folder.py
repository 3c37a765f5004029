"""Images of your own: any folder or zip of them (CelebA's ``img_align_celeba.zip``, say)."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from ganedu.data.images import Images

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"}
# No format whose decoder starts another program (EPS runs Ghostscript).
FORMATS = ["JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF"]
LARGEST_FILE = 64 << 20
LARGEST_PICTURE = 64_000_000
LARGEST_SIZE = 1024
NAMED = 5  # of the pictures that are not usable

Reader = Callable[[], bytes]


def image_folder(path: str | Path, size: int = 32, *, progress: bool = True) -> Images:
    """Every picture in a folder (and its subfolders) or in a zip, as (n, 3, size, size) in RGB.

    Each is cropped to its largest centred square and resized (Lanczos), in the order of the
    names; hidden files are passed over, and what is transparent is white. A zip is read in memory and
    never unpacked, so no name in it can write outside; what would need absurd memory once decoded is refused.

    Raises ValueError where ``path`` is neither, holds no picture, or some of them are damaged,
    too large, or not of 8 bits a channel; the message names the files, the first five of many.
    """
    from tqdm.auto import tqdm

    if not isinstance(size, int) or not 1 <= size <= LARGEST_SIZE:
        raise ValueError(f"size: expected an int from 1 to {LARGEST_SIZE}, got {size!r}")
    path = Path(path).expanduser()
    readers = dict(_open(path))
    if not readers:
        raise ValueError(f"path: expected pictures ({' '.join(sorted(SUFFIXES))}), got none in {path}")
    pixels = np.empty((len(readers), size, size, 3), dtype=np.uint8)
    bad = []
    bar = tqdm(sorted(readers.items()), desc=path.name, leave=False, disable=not progress)
    for row, (name, read) in enumerate(bar):
        try:
            pixels[row] = _decode(f"{path}/{name}", read, size)
        except ValueError as error:
            bad.append(str(error))
    if bad:
        more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise ValueError("; ".join(bad[:NAMED]) + more)
    return Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())


def _open(path: Path) -> Iterator[tuple[str, Reader]]:
    """Pairs (name, reader of its bytes) of what looks like a picture."""
    if path.is_dir():
        for file in path.rglob("*"):
            name = file.relative_to(path).as_posix()
            if _wanted(name) and file.is_file():
                yield name, file.read_bytes
    elif zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        for info in archive.infolist():
            if _wanted(info.filename) and not info.is_dir():
                yield info.filename, lambda info=info: _unzip(archive, info)
    elif not path.exists():
        raise ValueError(f"path: expected a folder or a zip of images, there is no {path}")
    else:
        raise ValueError(f"path: expected a folder or a zip of images, got {path}, which is neither")


def _wanted(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") and part != ".." or part == "__MACOSX" for part in parts)
    return not hidden and PurePosixPath(name).suffix.lower() in SUFFIXES


def _unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > LARGEST_FILE:
        raise ValueError(f"expected at most {LARGEST_FILE} bytes, got {info.file_size}")
    return archive.read(info)  # reads no more than file_size, and checks the CRC


def _decode(name: str, read: Reader, size: int) -> np.ndarray:
    """(size, size, 3) bytes."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(read()), formats=FORMATS) as picture:
            # The header alone has been read so far: a bomb goes off only when it is decoded.
            if picture.width * picture.height > LARGEST_PICTURE:
                raise ValueError(f"expected at most {LARGEST_PICTURE} pixels, got {picture.size}")
            if picture.mode.startswith(("I", "F")):
                raise ValueError(f"expected 8 bits a channel, got mode {picture.mode}")
            picture = ImageOps.exif_transpose(picture)
            if picture.has_transparency_data:  # the colours under it are whatever a program left there
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            picture = picture.convert("RGB")
            return np.asarray(ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS))
    except UnidentifiedImageError:  # whose own words are an address in memory
        raise ValueError(f"{name}: not usable as a picture: cannot identify its format") from None
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: not usable as a picture: {error}") from error
