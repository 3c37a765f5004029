"""What a game leaves to look at: the numbers of loss.csv, players apart from figures of merit."""

import csv
import math
from dataclasses import replace

import pytest
from PIL import Image

from ganedu import viz
from ganedu.training.files import read_columns
from tests.training.games import RECIPE, play


def test_a_run_draws_what_loss_csv_holds(tmp_path, monkeypatch):
    drawn, draw = [], viz.training.game
    monkeypatch.setattr(viz.training, "game", lambda *told: drawn.append(told) or draw(*told))
    play(tmp_path, replace(RECIPE, steps=30))
    ((steps, losses, judged),) = drawn
    with (tmp_path / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert steps == [15.0, 30.0]
    assert list(losses) == ["critic", "generator"] and list(judged) == ["means"]
    for name, values in {**losses, **judged}.items():
        assert values == pytest.approx([float(row[name]) for row in rows])
    with Image.open(tmp_path / "loss.png") as picture:
        picture.load()
    play(tmp_path, RECIPE)
    assert drawn[-1][0] == [15.0, 30.0, 45.0, 60.0, 70.0], "a run that goes on draws all of it"


def test_an_empty_cell_is_no_number(tmp_path):
    (tmp_path / "loss.csv").write_text("step,loss,means\n5,0.5,\n10,0.25,3\n")
    found = read_columns(tmp_path / "loss.csv")
    assert found["step"] == [5, 10] and math.isnan(found["means"][0]) and found["means"][1] == 3
