"""The page of benchmarks.likelihood, from rows of known content."""

import json

import pytest

from benchmarks import likelihood_report
from benchmarks.likelihood_mnist import PEERS

COMMON = {"load": 0.1, "machine": "test", "seconds": 2.0}


def plane_row(library: str, seed: int, nats: float) -> dict:
    return COMMON | {
        "density": "moons",
        "model": "spline",
        "library": library,
        "seed": seed,
        "nats": nats,
        "error": 0.01,
        "floor": 0.3,
        "parameters": 1234,
        "rate": 0.005 if library == "ours" else 0.02,
        "steps": 10,
        "cpu_seconds": 7.0,
    }


@pytest.fixture
def rows() -> dict[str, dict]:
    ours, zuko = [0.40, 0.50, 0.60], [0.30, 0.42, 0.54]
    found = {}
    for library, values in (("ours", ours), ("zuko", zuko)):
        for seed, nats in enumerate(values):
            found[f"plane/moons/spline/{library}/{seed}"] = plane_row(library, seed, nats)
    for kind, peer in PEERS.items():
        for code in ("ours", peer):
            found[f"mnist/{kind}/{code}/0"] = COMMON | {
                "nats": 100.0,
                "bits_per_dim": 1.25,
                "parameters": 555,
                "version": code,
            }
    found["proposals/banana/0"] = COMMON | {
        "acceptance": 0.9,
        "ess_per_evaluation": 0.7,
        "mala": 0.002,
        "mala_best": "0.5",
        "training_evaluations": 1000,
        "even": None,
    }
    part = {
        "gain": 50.0,
        "log_evidence": 1.5,
        "error": 0.1,
        "prior_log_evidence": 1.0,
        "prior_error": 0.2,
        "pareto_k": 0.3,
    }
    found["proposals/evidence/0"] = (
        COMMON | {"log_evidence": 1.0} | dict.fromkeys(("ReverseKL", "ForwardKL", "WeightVariance"), part)
    )
    return found


def page(rows: dict[str, dict], folder) -> str:
    path = folder / "likelihood_test.json"
    path.write_text(json.dumps({"rows": rows}))
    written = likelihood_report.write(path)
    assert all(file.is_file() and file.stat().st_size for file in written)
    return path.with_suffix(".md").read_text()


def test_the_page_has_paired_differences_and_says_which_miss_the_aim(rows, tmp_path):
    """Differences 0.10, 0.08, 0.06: mean 0.08, sd 0.02, t(2) 4.303."""
    text = page(rows, tmp_path)
    assert (
        "| moons | spline | 3 | 0.500 | 0.420 | 0.080 ± 0.050 | **no** | 0.300 | 0.005, 0.02 "
        "| 1,234, 1,234 | 7, 7 |" in text
    )
    for seed in range(3):
        rows[f"plane/moons/spline/ours/{seed}"]["nats"] -= 0.04
    assert "| 0.040 ± 0.050 | yes |" in page(rows, tmp_path)


def test_only_seeds_that_both_sides_have_are_compared(rows):
    del rows["plane/moons/spline/zuko/1"]
    (pair,) = likelihood_report.pairs(rows)
    assert pair.ours == [0.40, 0.60] and pair.zuko == [0.30, 0.54]


def test_a_flow_that_one_draw_breaks_is_named_and_left_out(rows, tmp_path):
    rows["plane/moons/spline/zuko/2"]["nats"] = 2e35
    (pair,) = likelihood_report.pairs(rows)
    assert pair.zuko == [0.30, 0.42]
    text = page(rows, tmp_path)
    assert "| moons | spline | 2 | 0.450 | 0.360 |" in text
    assert "zuko's spline of moons, seed 2." in text


def test_images_and_proposals_are_told(rows, tmp_path):
    text = page(rows, tmp_path)
    for kind, peer in PEERS.items():
        assert f"| {kind} | ours | 1 | 100.00 | 1.2500 | 555 | ours |" in text
        assert f"| {kind} | {peer} | 1 | 100.00 | 1.2500 | 555 | {peer} |" in text
    assert "| 0 | 0.900 | 0.700 | 0.00200 | 0.5 | 1,000 | never |" in text
    assert "| 0 | ForwardKL | 50 | +0.50000 ± 0.19600 | +0.0000 ± 0.3920 | 0.30 |" in text


@pytest.mark.parametrize("part", ["plane", "mnist", "proposals"])
def test_a_part_without_rows_is_left_out(rows, part, tmp_path):
    text = page({key: row for key, row in rows.items() if not key.startswith(part)}, tmp_path)
    headings = {
        "plane": "## Densities in the plane",
        "mnist": "## MNIST",
        "proposals": "## A flow as proposal",
    }
    for other, heading in headings.items():
        assert (heading in text) == (other != part), other
