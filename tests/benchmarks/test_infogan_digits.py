"""The benchmark of InfoGAN on digits: its page, and that it goes."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks import infogan_digits, rows
from ganedu.zoo import digits_infogan


def row(seed: int, hits: int) -> dict:
    """As ``job`` and ``rows.fill`` make it."""
    accuracy = {"accuracy": hits / 200, "hits": hits, "n": 200, "low": 0.5, "high": 0.9, "chance": 0.101}
    information = {"category": 2.25, "most": 2.302585, "n": 10_000}
    return {
        "matched_accuracy": accuracy,
        "information": information,
        "seed": seed,
        "steps": 7,
        "seconds": 3,
        "load": 1.5,
        "machine": "m",
    }


def test_the_page_has_a_row_a_seed_and_counts_those_that_reach_four_fifths():
    text = infogan_digits.page({"rows": {"b": row(2, 159), "a": row(1, 160), "c": row(10, 180)}})
    table = [line.split("|")[1:5] for line in text.splitlines() if line.startswith("| ")][2:]
    assert [[cell.strip() for cell in line] for line in table] == [
        ["1", "160", "200", "0.800"],
        ["2", "159", "200", "0.795"],
        ["10", "180", "200", "0.900"],
    ]
    assert "At least 0.8 in 2 of 3 seeds; mean 0.832, worst 0.795." in text
    assert "at most 2.3026 nats" in text and "4 numbers of noise" in text and "goes on to 7." in text


@pytest.mark.slow
def test_it_trains_keeps_its_rows_and_is_not_asked_twice(tmp_path, monkeypatch):
    import typer

    monkeypatch.setattr(infogan_digits, "RESULTS", tmp_path)
    monkeypatch.setattr(infogan_digits, "QUICK", 3)
    monkeypatch.setattr(digits_infogan, "STARTS", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    app = typer.Typer()
    app.command()(infogan_digits.main)
    done = CliRunner().invoke(app, ["--quick"])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "infogan_digits_quick.json").read_text())
    assert found["rows"].keys() == {"seed 2", "seed 3"}
    for made in found["rows"].values():
        assert made["steps"] == 3 and made["matched_accuracy"]["of"] == "held-out"
    monkeypatch.setattr(infogan_digits, "job", lambda *_: pytest.fail)
    assert CliRunner().invoke(app, ["--quick"]).exit_code == 0
    assert rows.load(tmp_path / "infogan_digits_quick.json") == found
    assert digits_infogan.DATA in (tmp_path / "infogan_digits_quick.md").read_text()
