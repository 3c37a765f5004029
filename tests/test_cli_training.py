"""``ganedu train`` and ``ganedu evaluate``: what they are told, what they write and show."""

import json
import math
import re
import shutil

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
    told_on = {"device": torch.device("cpu"), "precision": "bfloat16", "progress": False}  # no terminal
    assert told == {"epochs": 3} | told_on
    assert done.stdout.splitlines() == [str(tmp_path / "state.safetensors")]


def test_a_stopped_training_says_how_to_go_on(recipes):
    def make(*_, **__):
        raise KeyboardInterrupt

    recipes["tiny"] = (make, GANRecipe())
    done = ganedu("train", "tiny", "--device", "cpu")
    assert done.exit_code == 130
    assert "same command again" in done.stderr
    assert "Traceback" not in done.output


def test_help_names_every_recipe():
    from ganedu.zoo.recipes import RECIPES

    told = ganedu("train", "--help").stdout
    assert all(name in told for name in RECIPES)


def test_what_cannot_work_is_refused_before_the_first_step(recipes, tmp_path):
    def make(*_, **__):
        raise AssertionError("no step is taken")

    recipes["tiny"] = (make, GANRecipe())
    tiny = ("train", "tiny", "--device", "cpu")
    line = refusal(*tiny, "--precision", "float16")
    assert "precision: there is no 'float16'; known: bfloat16, float32" in line
    line = refusal("train", "tiny", "--device", "gpu")
    assert line.endswith(
        "device: 'gpu' can not be used here (torch knows cpu, cuda, mps, xpu and rarer ones)"
    )
    (tmp_path / "file").write_text("here already")
    for out in ("file", "file/sub"):
        line = refusal(*tiny, "--out", str(tmp_path / out))
        assert f"--out: can not write to {tmp_path / out} (" in line


def test_two_trainings_do_not_share_a_folder(recipes, tmp_path):
    """The second is refused, whether or not it is the same process; the first's end sets the folder free."""
    first = ("train", "first", "--device", "cpu", "--out", str(tmp_path))
    second = ("train", "second", "--device", "cpu", "--out", str(tmp_path))

    def make(folder, recipe, **_):
        line = refusal(*second)
        assert f"another training is writing to {tmp_path}" in line

    recipes.update(first=(make, GANRecipe()), second=(lambda *_, **__: None, GANRecipe()))
    assert ganedu(*first).exit_code == 0
    assert ganedu(*second).exit_code == 0


def test_a_disk_that_is_full_is_told_in_one_line(recipes, tmp_path):
    from safetensors import SafetensorError

    def make(*_, **__):
        raise SafetensorError("I/O error: No space left on device")

    recipes["tiny"] = (make, GANRecipe())
    line = refusal("train", "tiny", "--device", "cpu", "--out", str(tmp_path))
    assert f"{tmp_path}: weights could not be read or written (I/O error: No space left" in line


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


def test_what_came_of_a_training_is_told_and_what_to_do_next(trained):
    again = ganedu("train", "digits-vae", "--steps", "30", "--device", "cpu", "--out", str(trained))
    assert again.exit_code == 0, again.output
    assert "Trained to step 30." in again.stderr
    assert "weights of step 30: lowest held-out loss, " in again.stderr
    assert f"Its likelihood: ganedu evaluate {trained}" in again.stderr


def test_a_longer_training_is_not_taken_for_a_shorter_one(trained):
    words = ("train", "digits-vae", "--steps", "20", "--device", "cpu", "--out", str(trained))
    assert "holds a run of 30, more than the 20 asked for; ask for 30" in refusal(*words)


def test_a_training_that_patience_ended_says_so(tmp_path):
    from ganedu.cli.training import came_to

    progress = {"step": 90, "best_step": 70, "best_loss": 12.345678, "stale": 2}
    checkpoints.save(tmp_path / "state.safetensors", {"z": torch.zeros(1)}, progress=progress)
    told = came_to("digits-vae", tmp_path, MLERecipe(steps=100))
    assert "Trained to step 90 of 100: 2 looks in a row saw no lower held-out loss." in told
    assert "Kept the weights of step 70: lowest held-out loss, 12.35 in loss.csv." in told


def test_a_folder_of_another_model_or_another_program_is_left_alone(trained, tmp_path):
    flow = ("train", "digits-flow", "--steps", "2", "--device", "cpu", "--out")
    assert f"{trained}: holds digits-vae, not digits-flow" in refusal(*flow, str(trained))
    (tmp_path / "run.json").write_text('{"a": 1}')
    assert f"{tmp_path}: holds another run.json, not digits-flow" in refusal(*flow, str(tmp_path))
    assert (tmp_path / "run.json").read_text() == '{"a": 1}'
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


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


@pytest.mark.parametrize(
    "content", ["{nope", '["x"]', '{"a": 1}', '{"name": ["x"]}', '{"name": "imagenet"}', "\x80"]
)
def test_a_run_json_that_is_not_ours_is_no_run(content, tmp_path):
    (tmp_path / "run.json").write_bytes(content.encode("latin-1"))
    assert f"{tmp_path}: expected the folder of a VAE or flow" in refusal("evaluate", str(tmp_path))


def test_what_is_neither_a_folder_nor_a_model_is_named():
    line = refusal("evaluate", "no/such")
    assert "folder or model with a likelihood: there is no 'no/such'; known: digits-flow" in line


def break_weights(folder, how: str) -> None:
    path = folder / "best.safetensors"
    tensors, meta = checkpoints.load(path)
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "of another model":
        checkpoints.save(path, {"model.x": torch.zeros(1)}, **meta)
    else:
        checkpoints.save(path, tensors)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("missing", "best.safetensors: expected the weights of digits-vae, found no such file"),
        ("cut", "best.safetensors: not whole, or not of ganedu train"),
        ("empty", "best.safetensors: not whole, or not of ganedu train"),
        ("of another model", "holds a run of another model: model."),
        ("of another program", "best.safetensors: not whole, or not of ganedu train ('step')"),
    ],
)
def test_weights_that_are_broken_are_told_in_one_line(how, told, trained, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    break_weights(folder, how)
    assert told in refusal("evaluate", str(folder), "--device", "cpu")


def test_a_checkpoint_that_is_cut_off_is_told_in_one_line(trained, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    state = folder / "state.safetensors"
    state.write_bytes(state.read_bytes()[:3000])
    line = refusal("train", "digits-vae", "--steps", "50", "--device", "cpu", "--out", str(folder))
    assert f"{folder}: weights could not be read or written (" in line


def test_one_draw_is_not_called_few():
    done = ganedu("evaluate", "digits-vae", "--k", "1", "--device", "cpu")
    assert "IWAE-1 is ELBO: give a larger k" in done.stdout
    assert "a few of the" not in done.stdout


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
    assert "upper bound of -log2 P(image) / 64" in done.stdout and got["dim"] == 64
    assert re.search(r"bits/dim, uniform +4\.087 .* 17 values", done.stdout) and got["levels"] == 17
    assert lines["weights:"] == ["shipped", "with", "ganedu"]
    assert ("density is exact" in done.stdout) == (name == "digits-flow")
    assert "a larger k would tighten IWAE" in done.stdout


def test_mnist_that_is_not_here_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("GANEDU_DATA", raising=False)
    line = refusal("evaluate", "mnist-vae", "--device", "cpu")
    assert "GANEDU_DATA" in line and "ganedu data get mnist" in line
