"""The benchmark's report: paired differences and their intervals, from cells of known content."""

import json

import pytest
from scipy.stats import t as student_t

from benchmarks import rep_gan_report as report
from ganedu.demos import published

EPOCHS, SEEDS = ("20", "21", "22", "23", "24"), 3


def cells(gain=0.25):
    """Scores that differ by epoch and seed, and by ``gain`` between every sampler and the GAN."""
    return [
        {
            "epoch": epoch,
            "seed": seed,
            "ceiling": ceiling,
            "sampler": sampler,
            "accept_rate": 0.1 * (1 + seed),
            "score": 3.0 + i + 0.1 * seed + (0.0 if sampler == "GAN" else gain),
            "mean_logit": 0.0,
            "median_uncapped_logit": 0.0,
            "outliers": 0.01,
            "gradients": 640,
            "seconds": 1.0,
        }
        for i, epoch in enumerate(EPOCHS)
        for seed in range(SEEDS)
        for ceiling in (True, False)
        for sampler in report.SAMPLERS
    ]


def test_the_interval_is_students():
    mean, half = report.interval([1.0, 2.0, 4.0])
    low, high = student_t.interval(0.95, 2, loc=7 / 3, scale=(7 / 3) ** 0.5 / 3**0.5)
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_pairing_takes_out_what_epochs_and_seeds_share():
    part = [cell for cell in cells() if cell["ceiling"]]
    mean, half = report.gain(part, "score", "REP-GAN")
    assert mean == pytest.approx(0.25) and half == pytest.approx(0.0, abs=1e-12)
    # Power: without pairing, the same scores would have an interval wider than the gain.
    assert report.interval(report.select(part, "score", sampler="REP-GAN"))[1] > 0.25


def test_the_interval_of_a_gain_is_over_seeds_and_not_over_epochs():
    """Gains of 0, 0.1 and 0.2 by seed, the same at every epoch: five epochs tell no more than one."""
    part = [cell for cell in cells() if cell["ceiling"]]
    for cell in part:
        cell["score"] += 0.1 * cell["seed"] * (cell["sampler"] == "REP-GAN")
    once = [cell for cell in part if cell["epoch"] == EPOCHS[0]]
    for found in (part, once):
        assert report.gain(found, "score", "REP-GAN") == pytest.approx(report.interval([0.25, 0.35, 0.45]))


def test_the_papers_table_2_begins_with_the_last_epoch_of_its_table_3():
    last = {name: scores[-1] for name, scores in published.SCORE.items()}
    assert last.items() <= published.CIFAR10["DCGAN"].items()
    assert all(scores.keys() == set(report.SAMPLERS) for scores in published.CIFAR10.values())


def test_the_page_has_both_calibrations_and_the_papers_figures(tmp_path):
    path = tmp_path / "tables.json"
    settings = {"n": 128, "steps": 640, "step_size": 0.01, "precision": "float32"}
    found = {"settings": settings, "cells": cells(), "classifier": "0123456789", "machine": "test"}
    found |= {"data": "CIFAR-10", "pair": "cifar10-dcgan"}
    path.write_text(json.dumps(found))
    found["cells"] += [dict(found["cells"][0], seed=SEEDS)]  # a seed that was cut short
    failed = next(c for c in found["cells"] if c["sampler"] == "DRS" and not c["ceiling"])
    found["cells"][found["cells"].index(failed)] = {
        **{key: failed[key] for key in ("epoch", "seed", "ceiling", "sampler")},
        "failed": "drs: 3 of 128 draws",
    }
    path.write_text(json.dumps(found))
    written = report.write(path)
    page = path.with_suffix(".md").read_text()
    assert all(p.is_file() and p.stat().st_size for p in written)
    assert page.count("## Calibration") == 2 and "1 cells of incomplete seeds are left out" in page
    assert "*0.471*" in page and "*3.541*" in page and "+0.250 ± 0.000" in page
    assert "DRS (1 of 15 cells without enough draws) | +0.250" in page
    assert json.loads(path.read_text())["summary"]["score_minus_gan"]["DRS"] == "+0.250 ± 0.000"


def test_another_pairs_page_has_the_dcgan_beside_it_on_the_epochs_of_both(tmp_path):
    settings = {"n": 128, "steps": 640, "step_size": 0.01, "precision": "bfloat16"}
    told = {"settings": settings, "classifier": "0123456789", "machine": "test", "data": "CIFAR-10"}
    path = tmp_path / "rep_gan_tables_cifar10-sngan.json"
    last = [cell for cell in cells(gain=0.5) if cell["epoch"] == "24"]
    path.write_text(json.dumps({**told, "cells": last, "pair": "cifar10-sngan"}))
    report.write(path)
    assert "## DCGAN and SN-GAN" not in path.with_suffix(".md").read_text()
    (tmp_path / "rep_gan_tables.json").write_text(
        json.dumps({**told, "cells": cells(gain=0.25), "pair": "cifar10-dcgan"})
    )
    report.write(path)
    page = path.with_suffix(".md").read_text()
    assert "## DCGAN and SN-GAN (hinge, n_critic 1), epoch 24\n" in page
    assert "| REP-GAN | 0.200 ± 0.248 | +0.250 ± 0.000 | 0.200 ± 0.248 | +0.500 ± 0.000 |" in page
    assert "its score: 7.100 ± 0.248" in page  # 3 + 4 + 0.1 seed
    assert "`python -m benchmarks.rep_gan_tables --pair cifar10-sngan --last 1 --precision bfloat16`" in page
