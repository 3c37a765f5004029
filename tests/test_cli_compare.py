"""``ganedu compare``: its table, its files, and that what goes wrong is said in one line."""

import json

import pytest
from PIL import Image

from ganedu.training import comparison
from ganedu.training.comparison import DATA
from ganedu.training.games import GAMES
from tests.test_cli import ganedu, refusal

SMALL = ("--steps", "2", "--width", "4", "--n", "20", "--device", "cpu", "--out")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    done = ganedu("compare", "gan", "wgan-gp", "gan", "--seeds", "2", *SMALL, str(folder))
    assert done.exit_code == 0, done.output
    return folder, done


def test_a_table_has_a_row_a_game_and_says_what_it_is_of(made):
    folder, done = made
    lines = done.stdout.splitlines()
    assert lines[0] == "ring: 2 steps of the generator, width 4, latents in 2 dimensions"
    assert lines[1].split("  ")[0] == "game" and "modes of 8" in lines[1] and "critic steps" in lines[1]
    assert lines[2].startswith("GAN, minimax  ") and lines[3].startswith("WGAN-GP  ")
    assert lines[4] == "Means over seeds 0 to 1, and their range."
    assert lines[6].startswith("W2 of 20 draws to 20 of the data; 20 other draws of the data: ")
    assert lines[7:] == [str(folder / "comparison.json"), str(folder / "samples.png")]


def test_json_is_what_the_file_holds_and_the_table_shows(made):
    folder, done = made
    again = ganedu("compare", "gan", "wgan-gp", "--seeds", "2", *SMALL, str(folder), "--json")
    told = json.loads(again.stdout)
    assert told == json.loads((folder / "comparison.json").read_text())
    assert [(run["game"], run["seed"]) for run in told["runs"]] == [
        ("gan", 0), ("gan", 1), ("wgan-gp", 0), ("wgan-gp", 1),
    ]  # fmt: skip
    assert told["runs"][2]["critic_steps"] == 10 and told["modes"] == 8 and told["n"] == 20
    w2 = [run["w2"] for run in told["runs"] if run["game"] == "gan"]
    assert f"{sum(w2) / 2:.3f} ({min(w2):.3f} to {max(w2):.3f})" in done.stdout
    assert f"{told['w2_floor']:.3f}." in done.stdout
    with Image.open(folder / "samples.png") as picture:
        picture.load()


def test_a_stop_says_how_to_go_on_and_a_divergence_is_told(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "fit_adversarial", stop)
    done = ganedu("compare", "gan", *SMALL, str(tmp_path))
    assert done.exit_code == 130 and "same command again" in done.stderr and "Traceback" not in done.output

    def diverge(*_, **__):
        raise FloatingPointError("step 2 or shortly before: the loss of critic is nan; the rest")

    monkeypatch.setattr(comparison, "fit_adversarial", diverge)
    done = ganedu("compare", "gan", "--data", "moons", *SMALL, str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "GAN, minimax (1 of 1 stopped)" in done.stdout
    assert "gan, seed 0: step 2 or shortly before: the loss of critic is nan\n" in done.stdout


def test_without_modes_or_pot_there_are_dashes(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "w2", lambda x, y: None)
    done = ganedu("compare", "gan", "--data", "checkerboard", *SMALL, str(tmp_path))
    assert done.stdout.splitlines()[2].split()[2:6] == ["-", "-", "-", "2"]
    assert "W2 needs POT: pip install 'ganedu[metrics]'" in done.stdout


def test_bad_words_are_refused_and_nothing_is_written(tmp_path):
    out = tmp_path / "out"
    assert "game: there is no 'gna'; known: alpha-gan, " in refusal("compare", "gan", "gna", *SMALL, str(out))
    assert "data: there is no 'moon'" in refusal("compare", "gan", "--data", "moon", *SMALL, str(out))
    assert "device: 'tpu' can not be used" in refusal("compare", "gan", "--device", "tpu", "--out", str(out))
    assert not out.exists()
    for words in (("--steps", "0"), ("--seeds", "0"), ("--n", "1"), ()):
        assert ganedu("compare", *(["gan"] if words else []), *words, "--out", str(out)).exit_code == 2
    assert not out.exists()


def test_another_comparison_in_the_folder_is_named(made):
    folder, _ = made
    done = ganedu("compare", "gan", "--data", "moons", *SMALL, str(folder))
    assert done.exit_code == 2 and done.stdout == ""
    line = done.stderr.split("\r")[-1]  # after the bar
    assert line.startswith(
        f"ganedu: {folder}/gan/0: holds a run with {{'data': {{'Law': {{'name': 'ring'}}}}}}"
    )
    assert line.endswith("remove it or name another folder\n")


def test_help_names_every_game_and_law():
    told = " ".join(ganedu("compare", "--help").stdout.split()).replace("- ", "-")  # lines break there
    assert all(name in told for name in (*GAMES, *DATA))
