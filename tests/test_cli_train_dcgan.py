"""``ganedu train dcgan --data folder:PATH``: any pictures, one's own, on a folder made here."""

import json

import numpy as np
import pytest
from PIL import Image

from ganedu import checkpoints
from ganedu.rng import generator
from ganedu.samplers.gan import rep_gan
from ganedu.training.dcgan import load_dcgan
from tests.test_cli import ganedu, refusal

TINY = ("--latent", "4", "--width", "2", "--batch-size", "4", "--epochs", "1", "--device", "cpu")


def draw(folder, n=6, seed=0, suffix="png"):
    """Discs of some colour on noise, no two of one size."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        height, width = 70 + 3 * i, 90 + 5 * i
        page = rng.integers(0, 80, (height, width, 3))
        y, x = np.mgrid[:height, :width]
        page[(y - height / 2) ** 2 + (x - width / 2) ** 2 < 600] = rng.integers(100, 256, 3)
        Image.fromarray(page.astype(np.uint8)).save(folder / f"{i}.{suffix}")
    return folder


def train(data, out, *more):
    return ganedu("train", "dcgan", "--data", f"folder:{data}", *TINY, *more, "--out", str(out))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    done = train(draw(folder / "discs"), folder / "run")
    assert done.exit_code == 0, done.output
    return folder, done


def test_a_folder_of_pictures_is_learned_at_size_64_by_default(trained):
    folder, done = trained
    names = ["ema.safetensors", "epoch-00.png", "epoch-00.safetensors", "loss.csv", "state.safetensors"]
    assert done.stdout.splitlines() == [str(folder / "run" / name) for name in names]
    with Image.open(folder / "run" / "epoch-00.png") as sheet:
        assert sheet.size == (8 * 64, 8 * 64) and sheet.mode == "RGB"
    told = checkpoints.load(folder / "run" / "state.safetensors")[1]["recipe"]
    expect = {"epochs": 1, "batch_size": 4, "latent_dim": 4, "width": 2, "size": 64, "channels": 3}
    assert {name: told[name] for name in expect} == expect
    assert told["images"].startswith("uint8 (6, 3, 64, 64), ")


def test_a_dcgan_of_ones_own_can_be_sampled(trained, tmp_path):
    run = trained[0] / "run"
    words = ("--n", "3", "--steps", "4", "--seed", "7", "--device", "cpu", "--json")
    done = ganedu("sample", f"folder:{run}", "--out", str(tmp_path), *words)
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures == json.loads(done.stdout) and figures["network"] == f"folder:{run}"
    gan = load_dcgan(run)
    draws = rep_gan(gan, 3, steps=4, rng=generator(7))
    assert figures["mean_logit_after"] == pytest.approx(gan.logit(draws.x).mean().item(), abs=1e-5)
    assert not any("calibrated" in key or "outliers" in key for key in figures)
    line = refusal("sample", f"folder:{tmp_path}", "--out", str(tmp_path / "out"))
    assert f"{tmp_path}: expected a training of a DCGAN, found no state.safetensors" in line


def test_it_goes_on_with_its_own_pictures_and_no_others(trained, tmp_path):
    folder, _ = trained
    more = train(folder / "discs", folder / "run", "--epochs", "2")
    assert more.exit_code == 0 and str(folder / "run" / "epoch-01.png") in more.stdout
    before = {path.name: path.read_bytes() for path in (folder / "run").iterdir()}
    other = draw(tmp_path / "other", seed=1)
    for done in (
        train(other, folder / "run", "--epochs", "3"),
        train(folder / "discs", folder / "run", "--size", "32"),
    ):
        assert done.exit_code == 2 and done.stdout == ""
        line = done.stderr.split("\r")[-1]  # after the bar
        assert line.startswith(f"ganedu: {folder / 'run'}: holds a run with ") and "'images': " in line
        assert line.count("\n") == 1
    assert {path.name: path.read_bytes() for path in (folder / "run").iterdir()} == before


def test_pictures_that_can_not_be_read_are_named_all_in_one_line(tmp_path):
    data = draw(tmp_path / "data", suffix="jpg")
    (data / "1.jpg").write_bytes(b"no picture")
    (data / "sub").mkdir()
    (data / "sub" / "x.png").write_bytes((data / "0.jpg").read_bytes()[:100])
    done = train(data, tmp_path / "run")
    line = done.stderr.split("\r")[-1]
    assert done.exit_code == 2 and line.startswith(f"ganedu: {data}/1.jpg: not usable as a picture: ")
    assert f"; {data}/sub/x.png: not usable as a picture: " in line and line.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_what_can_not_be_trained_on_is_said_before_anything_is_written(tmp_path):
    data, run = draw(tmp_path / "data", n=3), tmp_path / "run"
    done = train(data, run)
    line = done.stderr.split("\r")[-1]
    assert done.exit_code == 2 and "--data: expected at least 4 pictures, a batch, got 3; give more" in line
    words = ("train", "dcgan", *TINY, "--out", str(run))
    assert "--data: expected folder:PATH, the pictures to learn, got 'none'" in refusal(*words)
    assert "--data: expected folder:PATH, the pictures to learn, got 'cifar10'" in refusal(
        *words, "--data", "cifar10"
    )
    assert "got 'folder:'" in refusal(*words, "--data", "folder:")
    (tmp_path / "empty").mkdir()
    for path, said in (("nowhere", "expected a folder or a zip"), ("empty", "expected pictures")):
        assert said in refusal(*words, "--data", f"folder:{tmp_path / path}")
    line = refusal(*words, "--data", f"folder:{data}", "--size", "48")
    assert "size: expected a power of two, 32 or more, got 48" in line
    line = refusal(*words, "--data", f"folder:{data}", "--steps", "3")
    assert "--steps: the length of dcgan is set by --epochs" in line
    assert not run.exists()


def test_an_entry_of_the_zoo_has_its_own_data_and_networks(tmp_path):
    line = refusal("train", "digits-vae", "--size", "64", "--batch-size", "4", "--out", str(tmp_path / "run"))
    assert "--size, --batch-size: for dcgan alone; digits-vae has its own" in line
    assert not (tmp_path / "run").exists()
