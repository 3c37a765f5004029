"""CIFAR-10 from the official binary archive (no pickle)."""

import tarfile
from pathlib import Path

import numpy as np
import torch

from ganedu.data import files
from ganedu.data.images import Images

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = [f"data_batch_{i}.bin" for i in range(1, 6)]
TEST_FILES = ["test_batch.bin"]
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
ROW = 1 + 3 * 32 * 32
IMAGES_PER_FILE = 10_000
CALIBRATION = 5_000


def cifar10(split: str = "train", *, download: bool = False) -> Images:
    """CIFAR-10: ``train`` (45,000), ``calibration`` (5,000) or ``test`` (10,000) images.

    The official training set is split in two: what calibrates a discriminator must not have
    trained it (Turner et al. 2019, sec. 4; seed slide 000). The last 5,000 are for that.

    Raises ValueError for another split or a file of the wrong size, ``DataNotFound`` where
    the files are not here and ``download`` is False or impossible.
    """
    names = {"train": TRAIN_FILES, "calibration": TRAIN_FILES, "test": TEST_FILES}
    if split not in names:
        raise ValueError(f"split: expected one of {sorted(names)}, got {split!r}")
    folder = locate() or (get() if download else None)
    if folder is None:
        raise files.not_found("cifar10", FOLDER)
    rows = np.concatenate([_read(folder / name) for name in names[split]])
    kept = {"train": slice(0, -CALIBRATION), "calibration": slice(-CALIBRATION, None)}
    rows = rows[kept.get(split, slice(None))]
    pixels = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy())
    return Images(pixels, torch.from_numpy(rows[:, 0].astype(np.int64)))


def locate() -> Path | None:
    """The folder with the six binary files, or None."""
    return files.find(FOLDER, [*TRAIN_FILES, *TEST_FILES])


def get() -> Path:
    """Download (170 MB), check and unpack; returns the folder. Does nothing where it is here."""
    folder = locate()
    if folder is not None:
        return folder
    root = files.cache_dir() / "data"
    archive = files.download([URL], SHA256, root / "cifar10" / URL.rsplit("/", 1)[1])
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "r:gz") as tar:
        for name in [*TRAIN_FILES, *TEST_FILES]:
            part = folder / (name + ".part")
            part.write_bytes(tar.extractfile(f"{FOLDER}/{name}").read())
            part.replace(folder / name)
    archive.unlink()  # last: interrupted before, the next call unpacks again and fetches nothing
    return folder


def _read(path: Path) -> np.ndarray:
    size = path.stat().st_size
    if size != IMAGES_PER_FILE * ROW:
        raise ValueError(
            f"{path}: expected {IMAGES_PER_FILE * ROW} bytes, got {size}; remove it and run: "
            "ganedu data get cifar10"
        )
    return np.fromfile(path, dtype=np.uint8).reshape(-1, ROW)
