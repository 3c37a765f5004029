"""The benchmark of InfoGAN on digits: its page, and that it goes."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks import infogan_mnist, rows
from ganedu.zoo import mnist_infogan


def row(seed: int, hits: int) -> dict:
    """As ``job`` and ``rows.fill`` make it."""
    accuracy = {"accuracy": hits / 1000, "hits": hits, "n": 1000, "low": 0.5, "high": 0.9, "chance": 0.101}
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
    text = infogan_mnist.page({"rows": {"b": row(2, 799), "a": row(1, 800), "c": row(10, 900)}})
    table = [line.split("|")[1:5] for line in text.splitlines() if line.startswith("| ")][2:]
    assert [[cell.strip() for cell in line] for line in table] == [
        ["1", "800", "1000", "0.800"],
        ["2", "799", "1000", "0.799"],
        ["10", "900", "1000", "0.900"],
    ]
    assert "At least 0.8 in 2 of 3 seeds; mean 0.833, worst 0.799." in text
    assert "at most 2.3026 nats" in text and "4 numbers of noise" in text and "goes on to 7." in text


@pytest.mark.slow
def test_it_trains_keeps_its_rows_and_is_not_asked_twice(tmp_path, monkeypatch, mnist_digits):
    import typer

    monkeypatch.setattr(infogan_mnist, "QUICK", 3)
    monkeypatch.setattr(mnist_infogan, "STARTS", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    quick = tmp_path / "ganedu" / "infogan_mnist_quick"
    app = typer.Typer()
    app.command()(infogan_mnist.main)
    done = CliRunner().invoke(app, ["--quick"])
    assert done.exit_code == 0, done.output
    found = json.loads((quick / "infogan_mnist_quick.json").read_text())
    assert found["rows"].keys() == {"seed 0", "seed 1"}
    for made in found["rows"].values():
        assert made["steps"] == 3 and made["matched_accuracy"]["of"] == "held-out"
    monkeypatch.setattr(infogan_mnist, "job", lambda *_: pytest.fail)
    assert CliRunner().invoke(app, ["--quick"]).exit_code == 0
    assert rows.load(quick / "infogan_mnist_quick.json") == found
    assert mnist_infogan.DATA in (quick / "infogan_mnist_quick.md").read_text()
