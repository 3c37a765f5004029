"""Bytes and floats, and the loader between them; the digits and the catalogue."""

import pytest
import torch

from ganedu import data
from ganedu.data import Images, to_bytes, to_float
from ganedu.rng import generator

EVERY_BYTE = torch.arange(256, dtype=torch.uint8)


def images(n: int) -> Images:
    pixels = torch.randint(0, 256, (n, 3, 4, 4), generator=generator(0), dtype=torch.uint8)
    return Images(pixels, torch.arange(n))


def test_bytes_become_floats_from_minus_one_to_one_and_back():
    x = to_float(EVERY_BYTE)
    torch.testing.assert_close(x.double(), torch.linspace(-1, 1, 256, dtype=torch.float64), rtol=0, atol=1e-7)
    assert torch.equal(to_bytes(x), EVERY_BYTE)


def test_what_a_screen_cannot_show_is_clipped_and_the_argument_is_left_alone():
    x = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])
    assert to_bytes(x).tolist() == [0, 0, 128, 255, 255]
    assert x.tolist() == [-3.0, -1.0, 0.0, 1.0, 3.0]


def test_batches_in_order_give_every_image_once():
    whole = images(10)
    batches = list(whole.batches(4))
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([x for x, _ in batches]), whole.x())
    assert torch.equal(torch.cat([labels for _, labels in batches]), whole.labels)


def test_a_shuffle_keeps_labels_with_their_images_and_follows_the_generator():
    whole = images(10)
    once, again, other = (list(whole.batches(4, rng=generator(seed))) for seed in (1, 1, 2))
    x, labels = (torch.cat(parts) for parts in zip(*once, strict=True))
    assert sorted(labels.tolist()) == list(range(10)) and labels.tolist() != list(range(10))
    assert torch.equal(x, whole.x()[labels])
    assert torch.equal(labels, torch.cat([labels for _, labels in again]))
    assert not torch.equal(labels, torch.cat([labels for _, labels in other]))


def test_a_short_last_batch_can_be_left_out():
    assert [len(x) for x, _ in images(10).batches(4, drop_last=True)] == [4, 4]
    assert [len(x) for x, _ in images(8).batches(4, drop_last=True)] == [4, 4]


def test_a_slice_is_images_again():
    part = images(10)[3:5]
    assert torch.equal(part.pixels, images(10).pixels[3:5]) and part.labels.tolist() == [3, 4]
    assert Images(part.pixels)[:1].labels is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Images(torch.zeros(2, 3, 4, 4)), "pixels: expected uint8.*float32"),
        (lambda: Images(torch.zeros(3, 4, 4, dtype=torch.uint8)), r"pixels.*\(3, 4, 4\)"),
        (lambda: Images(images(4).pixels, torch.zeros(3)), "labels: expected 4, got 3"),
        (lambda: next(images(4).batches(0)), "batch_size: expected at least 1, got 0"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    digits, bunch = data.digits(), load_digits()
    assert digits.pixels.shape == (1797, 1, 8, 8)
    assert digits.labels.tolist() == bunch.target.tolist()
    shades = torch.from_numpy(bunch.images)
    assert (digits.pixels[:, 0].double() * 16 / 255 - shades).abs().max() < 0.04  # half a byte
    assert digits.pixels.max() == 255 and digits.pixels.min() == 0


def test_the_catalogue_says_where_a_data_set_lies_or_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.delenv("GANEDU_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    where = {entry.name: entry.where for entry in data.available()}
    assert where["mnist"] == "not here; run: ganedu data get mnist"
    assert where["cifar10"] == "not here; run: ganedu data get cifar10"
    assert "sklearn" in where["digits"] and str(data.get("digits")) == where["digits"]

    monkeypatch.setenv("GANEDU_DATA", str(tmp_path))
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        (folder / name).touch()
    where = {entry.name: entry.where for entry in data.available()}
    assert where["cifar10"] == str(folder) == str(data.get("cifar10"))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="expected one of cifar10, mnist, digits.*got 'imagenet'"):
        data.get("imagenet")
