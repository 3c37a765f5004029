"""MNIST's idx files: their layout, and every way to be damaged that we know of."""

import gzip
import hashlib
import importlib
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as arrays

from ganedu import data

module = importlib.import_module("ganedu.data.mnist")


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes(), compresslevel=1)


@given(array=arrays.arrays(np.uint8, arrays.array_shapes(max_dims=3, max_side=5)))
def test_an_idx_file_reads_back(array, tmp_path_factory):
    path = tmp_path_factory.mktemp("idx") / "x.gz"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(module.read_idx(path), array)


IMAGES = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not gzip",
        idx(IMAGES)[:-9],
        idx(IMAGES)[:30] + b"\xff\xff\xff" + idx(IMAGES)[33:],
        gzip.compress(b"\0\0"),
        gzip.compress(b"\0\0\x08\x03\0\0\0\x03"),
        gzip.compress(gzip.decompress(idx(IMAGES))[:-1]),
        gzip.compress(gzip.decompress(idx(IMAGES)) + b"x"),
        idx(IMAGES, kind=0x0D),
        gzip.compress(bytes(module.LARGEST_FILE + 2000)),
    ],
    ids="empty,text,cut,flipped,no header,no sizes,short,long,floats,bomb".split(","),
)
def test_a_damaged_file_is_named(raw, tmp_path):
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte.gz: expected"):
        module.read_idx(path)


@pytest.fixture
def empty(monkeypatch, tmp_path):
    monkeypatch.delenv("GANEDU_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_without_data_the_error_names_the_variable_and_the_command(empty):
    with pytest.raises(data.DataNotFound, match="GANEDU_DATA.*mnist/.*ganedu data get mnist"):
        data.mnist("test")


def test_files_are_fetched_once_and_the_test_set_needs_no_training_files(empty, server, monkeypatch):
    labels = np.arange(3, dtype=np.uint8)
    server.body = idx(IMAGES)
    sums = {"t10k-images-idx3-ubyte.gz": hashlib.sha256(server.body).hexdigest()}
    monkeypatch.setattr(module, "SHA256", sums)
    monkeypatch.setattr(module, "MIRRORS", [server.url.rsplit("/", 1)[0]])
    folder = module.get()
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    images = data.mnist("test", download=True)
    assert torch.equal(images.pixels, torch.from_numpy(IMAGES)[:, None])
    assert images.labels.tolist() == [0, 1, 2] and images.labels.dtype == torch.int64
    assert len(server.requests) == 1


def test_an_unknown_split_lists_the_known_ones():
    with pytest.raises(ValueError, match="test.*train.*got 'calibration'"):
        data.mnist("calibration")


def test_the_real_test_set():
    try:
        images = data.mnist("test", download=True)
    except data.DataNotFound as error:
        pytest.skip(str(error))
    assert images.pixels.shape == (10_000, 1, 28, 28)
    # The counts of the published test set, 0 to 9.
    assert images.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert images.labels[:5].tolist() == [7, 2, 1, 0, 4]
    names = module.SPLITS["test"]
    folder = module.files.find(module.FOLDER, names)
    for name in names:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == module.SHA256[name]
