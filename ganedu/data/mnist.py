"""MNIST from its official idx files (LeCun, Cortes and Burges 1998), gzipped as published."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from ganedu.data import files
from ganedu.data.images import Images

# The authors' own address no longer serves the files; these mirrors hold the same bytes.
MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
]
FOLDER = "mnist"
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
SPLITS = {"train": list(SHA256)[:2], "test": list(SHA256)[2:]}
UNSIGNED_BYTE = 8
LARGEST_FILE = 60_000 * 28 * 28


def mnist(split: str = "train", *, download: bool = False) -> Images:
    """MNIST: ``train`` (60,000) or ``test`` (10,000) digits, (n, 1, 28, 28).

    Raises ValueError for another split or a damaged file, ``DataNotFound`` where the split is
    not here and ``download`` is False or impossible.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {sorted(SPLITS)}, got {split!r}")
    names = SPLITS[split]
    folder = files.find(FOLDER, names)
    if folder is None and download:
        folder = get()
    if folder is None:
        raise files.not_found("mnist", FOLDER)
    pixels, labels = (read_idx(folder / name) for name in names)
    return Images(torch.from_numpy(pixels)[:, None], torch.from_numpy(labels.astype(np.int64)))


def locate() -> Path | None:
    """The folder with all four files, or None."""
    return files.find(FOLDER, list(SHA256))


def get() -> Path:
    """Download (12 MB) and check; returns the folder. Does nothing where it is here."""
    folder = locate()
    if folder is None:
        folder = files.cache_dir() / "data" / FOLDER
        for name, sha256 in SHA256.items():
            files.download([f"{mirror}/{name}" for mirror in MIRRORS], sha256, folder / name)
    return folder


def read_idx(path: Path) -> np.ndarray:
    """The bytes of a gzipped idx file: two zero bytes, type, rank, the sizes (big-endian), data.

    Raises ValueError where the file is damaged, of another type, or larger than MNIST's largest.
    """
    try:
        with gzip.open(path, "rb") as file:
            raw = file.read(LARGEST_FILE + 1024)
        zeros, kind, rank = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise ValueError(f"{path}: expected a gzipped idx file, got a damaged one ({error})") from error
    data = raw[4 + 4 * rank :]
    if zeros or kind != UNSIGNED_BYTE or len(data) != math.prod(shape):
        raise ValueError(
            f"{path}: expected unsigned bytes as many as the header says, got type {kind:#x}, "
            f"sizes {shape} and {len(data)} bytes"
        )
    return np.frombuffer(bytearray(data), dtype=np.uint8).reshape(shape)
