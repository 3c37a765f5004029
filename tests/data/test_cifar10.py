"""CIFAR-10: the archive's way into the cache, the three splits, and what a damaged file says."""

import hashlib
import importlib
import io
import tarfile

import numpy as np
import pytest
import torch

from ganedu import data

# The name in the package is the function's.
module = importlib.import_module("ganedu.data.cifar10")
NAMES = [*module.TRAIN_FILES, *module.TEST_FILES]


def batches(per_file: int) -> dict[str, bytes]:
    rows = np.random.default_rng(0).integers(0, 256, (6, per_file, module.ROW), dtype=np.uint8)
    rows[:, :, 0] %= 10
    return {name: rows[i].tobytes() for i, name in enumerate(NAMES)}


def archive(contents: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, raw in contents.items():
            info = tarfile.TarInfo(f"{module.FOLDER}/{name}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return out.getvalue()


@pytest.fixture
def small(monkeypatch, tmp_path, server):
    """Twenty images a file, ten of them for calibration, on a local server, and an empty cache."""
    monkeypatch.delenv("GANEDU_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    contents = batches(20)
    server.body = archive(contents)
    monkeypatch.setattr(module, "URL", server.url)
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(server.body).hexdigest())
    monkeypatch.setattr(module, "IMAGES_PER_FILE", 20)
    monkeypatch.setattr(module, "CALIBRATION", 10)
    return contents


def test_without_data_the_error_names_the_variable_and_the_command(small):
    with pytest.raises(data.DataNotFound, match="GANEDU_DATA.*cifar-10-batches-bin.*ganedu data get cifar10"):
        data.cifar10("test")


def test_an_archive_is_fetched_unpacked_and_removed(small, tmp_path):
    images = data.cifar10("test", download=True)
    raw = np.frombuffer(small["test_batch.bin"], np.uint8).reshape(20, -1)
    assert torch.equal(images.labels, torch.from_numpy(raw[:, 0].astype(np.int64)))
    # Plane, then row, then column: red at (row 2, column 3) of image 7 is byte 1 + 2 * 32 + 3.
    assert images.pixels[7, 0, 2, 3] == raw[7, 1 + 2 * 32 + 3]
    assert images.pixels[7, 2, 31, 0] == raw[7, 1 + 2 * 1024 + 31 * 32]
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == sorted(NAMES)


def test_calibration_images_are_not_trained_on(small):
    train, held_out = data.cifar10("train", download=True), data.cifar10("calibration")
    official = torch.cat(
        [torch.frombuffer(bytearray(small[name]), dtype=torch.uint8).view(20, -1) for name in NAMES[:5]]
    )
    assert len(train) == 90 and len(held_out) == 10
    assert torch.equal(torch.cat([train.pixels, held_out.pixels]).flatten(1), official[:, 1:])


def test_an_interrupted_unpacking_is_finished_without_another_download(small, server, monkeypatch):
    class Interrupted(BaseException):
        pass

    def stop(tar, name):
        if name.endswith("data_batch_3.bin"):
            raise Interrupted
        return whole(tar, name)

    whole = tarfile.TarFile.extractfile
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(tarfile.TarFile, "extractfile", stop)
        module.get()
    assert module.locate() is None
    assert module.get() == module.locate()
    assert len(server.requests) == 1
    assert (module.locate() / NAMES[2]).read_bytes() == small[NAMES[2]]


def test_a_truncated_archive_is_never_unpacked(small, server, tmp_path):
    server.body = server.body[:-100]
    with pytest.raises(ValueError, match="SHA256"):
        module.get()
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_data_that_is_here_is_not_fetched(small, server):
    module.get()
    module.get()
    assert len(server.requests) == 1


def test_a_cut_file_is_named(small):
    path = module.get() / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[: module.ROW])
    with pytest.raises(ValueError, match=rf"data_batch_2.bin: expected {20 * module.ROW} bytes, got 3073"):
        data.cifar10("train")


def test_an_unknown_split_lists_the_known_ones():
    with pytest.raises(ValueError, match="calibration.*test.*train.*got 'validation'"):
        data.cifar10("validation")


def test_the_real_thing_has_a_tenth_of_each_class(cifar10_folder):
    assert cifar10_folder.name == module.FOLDER
    images = data.cifar10("test")
    assert images.pixels.shape == (10_000, 3, 32, 32)
    assert images.labels.bincount().tolist() == [1000] * 10
    # Ships and aeroplanes stand against blue, frogs do not: a swap of planes or labels shows.
    red, _, blue = images.pixels.double().mean((2, 3)).unbind(1)
    bluer = [(blue - red)[images.labels == k].mean().item() for k in range(10)]
    assert bluer[0] > 5 and bluer[8] > 5 and bluer[6] < -5
