"""``ganedu train`` and ``ganedu evaluate``: what they are told, what they write and show."""

import json
import math

import pytest
import torch
from PIL import Image

from ganedu import checkpoints, zoo
from ganedu.training import GANRecipe, MLERecipe
from ganedu.zoo.entries import ENTRIES
from tests.test_cli import ganedu, refusal


@pytest.fixture
def recipes(monkeypatch) -> dict:
    from ganedu.zoo import recipes

    known = {}
    monkeypatch.setattr(recipes, "RECIPES", known)
    return known


def test_train_passes_on_what_it_was_told_and_lists_the_files(recipes, tmp_path):
    told = {}

    def make(folder, recipe, **options):
        told.update(options, epochs=recipe.epochs)
        checkpoints.save(folder / "state.safetensors", {"z": torch.zeros(1)})

    recipes["tiny"] = (make, GANRecipe())
    done = ganedu(
        *("train", "tiny", "--epochs", "3", "--device", "cpu", "--precision", "bfloat16"),
        *("--out", str(tmp_path)),
    )
    assert done.exit_code == 0, done.output
    assert told == {"epochs": 3, "device": torch.device("cpu"), "precision": "bfloat16"}
    assert done.stdout.splitlines() == [str(tmp_path / "state.safetensors")]


def test_a_stopped_training_says_how_to_go_on(recipes):
    def make(*_, **__):
        raise KeyboardInterrupt

    recipes["tiny"] = (make, GANRecipe())
    done = ganedu("train", "tiny", "--device", "cpu")
    assert done.exit_code == 130
    assert "same command again" in done.stderr
    assert "Traceback" not in done.output


def test_a_bug_keeps_its_traceback(recipes):
    def make(*_, **__):
        raise TypeError("a bug")

    recipes["tiny"] = (make, GANRecipe())
    assert isinstance(ganedu("train", "tiny", "--device", "cpu").exception, TypeError)


def test_a_length_that_the_recipe_does_not_count_in_is_refused(recipes):
    recipes.update(gan=(None, GANRecipe()), vae=(None, MLERecipe(steps=3)))
    assert "--steps: the length of gan is set by --epochs" in refusal("train", "gan", "--steps", "3")
    assert "--epochs: the length of vae is set by --steps" in refusal("train", "vae", "--epochs", "3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A real run, as short as can be."""
    folder = tmp_path_factory.mktemp("runs") / "vae"
    done = ganedu("train", "digits-vae", "--steps", "30", "--device", "cpu", "--out", str(folder))
    assert done.exit_code == 0, done.output
    names = ["best.safetensors", "loss.csv", "loss.png", "run.json", "state.safetensors"]
    assert done.stdout.splitlines() == [str(folder / name) for name in names]
    return folder


def test_a_vae_is_trained_for_so_many_steps_and_goes_on(trained):
    assert checkpoints.load(trained / "best.safetensors")[1]["step"] == 30
    assert (
        ganedu("train", "digits-vae", "--steps", "40", "--device", "cpu", "--out", str(trained)).exit_code
        == 0
    )
    assert checkpoints.load(trained / "state.safetensors")[1]["progress"]["step"] == 40
    with Image.open(trained / "loss.png") as picture:
        picture.load()


def test_a_folder_is_evaluated_as_the_model_that_it_holds(trained):
    done = ganedu("evaluate", str(trained), "--k", "3", "--device", "cpu", "--json")
    assert done.exit_code == 0, done.output
    got = json.loads(done.stdout)
    assert got["name"] == "digits-vae" and got["weights"] == str(trained / "best.safetensors")
    assert got["elbo"]["mean"] < zoo.card("digits-vae")["figures"]["elbo"]["mean"] - 10, "hardly trained"
    assert (got["n"], got["k"], got["seed"]) == (200, 3, 0)


def test_a_folder_that_train_has_not_finished_is_named(tmp_path):
    assert f"{tmp_path}: expected the folder of a VAE or flow" in refusal("evaluate", str(tmp_path))


@pytest.mark.parametrize("name", ["digits-vae", "digits-flow"])
def test_the_table_says_what_the_figures_are_of_and_which_side_they_bound_from(name):
    done = ganedu("evaluate", name, "--k", "4", "--seed", "7", "--device", "cpu")
    again = ganedu("evaluate", name, "--k", "4", "--seed", "7", "--device", "cpu", "--json")
    assert done.exit_code == again.exit_code == 0, done.output
    got, entry = json.loads(again.stdout), ENTRIES[name]
    for told in (entry.data, entry.likelihood, zoo.sha256(name)):
        assert told in done.stdout and told in again.stdout
    lines = {line[:16].strip(): line[16:].split() for line in done.stdout.splitlines()}
    assert lines["images:"] == ["200"] and lines["draws an image:"] == ["4"] and lines["seed:"] == ["7"]
    for shown, key, side in (
        ("ELBO ", "elbo", "lower"),
        ("IWAE-4 ", "iwae", "lower"),
        ("bits/dim, ELBO", "elbo_bits", "upper"),
        ("bits/dim, IWAE-4", "iwae_bits", "upper"),
    ):
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(shown))
        assert f"{got[key]['mean']:.3f}" in line and f"{got[key]['error']:.3f}" in line
        assert f"{side} bound" in line and got[key]["bound"] == side
    assert got["elbo_bits"]["mean"] == pytest.approx(-got["elbo"]["mean"] / (64 * math.log(2)))
    assert got["iwae"]["mean"] - got["elbo"]["mean"] == pytest.approx(got["gap"]["mean"])
    assert ("density is exact" in done.stdout) == (name == "digits-flow")
    assert "a larger k would tighten IWAE" in done.stdout


def test_mnist_that_is_not_here_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("GANEDU_DATA", raising=False)
    line = refusal("evaluate", "mnist-vae", "--device", "cpu")
    assert "GANEDU_DATA" in line and "ganedu data get mnist" in line
