"""Lab 9's GAN in the plane: its densities are what the page says, and so is what the samplers make of it."""

import contextlib
import io
import math
import re

import pytest
import torch

from tests.labs.lab import code

LAB = "lab09_density_ratio"


def run(until: str) -> tuple[dict, dict[str, str]]:
    """What the solved lab's cells define, up to the cell `until`, and what each of them prints."""
    found, printed = {}, {}
    for name, text in code(LAB).items():
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(text, f"<{name}>", "exec"), found)
        printed[name] = out.getvalue()
        if name == until:
            return found, printed
    raise KeyError(until)


def table(printed: str) -> dict[str, tuple[float, int, float]]:
    """name -> (good, blobs, unfair), from what `report` prints."""
    rows = re.findall(r"^(\S.*?) +[\d,]+ +(\d\.\d\d) +(\d+) +(\d\.\d\d)$", printed, re.MULTILINE)
    return {name: (float(good), int(blobs), float(unfair)) for name, good, blobs, unfair in rows}


@pytest.fixture(scope="module")
def toy():
    return run("logit_picture")[0]


@pytest.fixture(scope="module")
def solved():
    return run("learned_samplers")


def test_the_models_density_is_that_of_its_draws_by_the_generators_jacobian(toy):
    z = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    volume = torch.stack(
        [torch.autograd.functional.jacobian(toy["toy_generator"], row).det().abs().log() for row in z]
    )
    log_prior = -0.5 * z.square().sum(1) - math.log(2 * math.pi)
    torch.testing.assert_close(toy["model_log_prob"](toy["toy_generator"](z)), log_prior - volume)


def test_both_densities_integrate_to_one(toy):
    line = torch.linspace(-12, 12, 1201, dtype=torch.float64)
    plane = torch.cartesian_prod(line, line)
    for name in ("data_log_prob", "model_log_prob"):
        assert float(toy[name](plane).exp().sum()) * 0.02**2 == pytest.approx(1.0, abs=1e-4)


@pytest.mark.slow
def test_calibration_recovers_the_scale_and_keeps_its_promises(solved):
    found, printed = solved
    assert found["slope"] == pytest.approx(1 / 2.5, abs=0.02)
    assert found["offset"] == pytest.approx(-1.7 / 2.5, abs=0.05)
    raw, calibrated = re.findall(r"says +(.*)\n +happens +(.*)", printed["reliability"])
    miss = [
        max(abs(float(a) - float(b)) for a, b in zip(*(row.split() for row in pair), strict=True))
        for pair in (raw, calibrated)
    ]
    assert miss[0] > 0.15 and miss[1] < 0.05


@pytest.mark.slow
def test_what_the_page_says_of_the_three_samplers(solved):
    found, printed = solved
    gan = table(printed["report"])["GAN"]
    assert gan[0] < 0.75 and gan[1] < 22 and gan[2] > 0.2
    drs = table(printed["drs_picture"])
    assert len(found["drs"](found["calibrated"], found["d_max"])) / 50_000 == pytest.approx(0.03, abs=0.005)
    assert drs["DRS, gamma = 0"][0] > 0.97 and drs["DRS, gamma = 0"][1:] == (
        25,
        pytest.approx(0.05, abs=0.03),
    )
    assert drs["DRS, gamma = -3"][2] > 2 * drs["DRS, gamma = 0"][2]
    chain = table(printed["mhgan_picture"])
    assert found["mh_moved"].float().mean() == pytest.approx(0.4, abs=0.03)
    assert chain["MH-GAN, 60 steps"][1:] == (25, pytest.approx(0.04, abs=0.03))
    assert chain["MH-GAN, 1 step"][2] > 0.15
    small, middling, large = (
        table(printed["ddls_picture"])[f"DDLS, tau = {tau}"] for tau in (0.001, 0.005, 0.02)
    )
    assert small[0] > 0.97 and small[2] > 0.15  # clean, and slow
    assert middling[0] < small[0] and middling[2] < small[2]
    assert large[0] < 0.85


@pytest.mark.slow
def test_what_the_page_says_of_a_discriminator_that_had_to_learn(solved):
    found, printed = solved
    assert found["on_seen"][0] > 0.95 and found["on_held_out"][0] < 0.7
    network, optimal = map(
        float, re.search(r"grid: (\S+), of the optimal D (\S+)", printed["learned_samplers"]).groups()
    )
    assert -5 < network < -1 and optimal < -40
    kept = dict(re.findall(r"^(\S.*?) +DRS keeps (\S+),", printed["learned_samplers"], re.MULTILINE))
    assert float(kept["calibrated on held-out"]) > 5 * float(kept["raw"])
    rows = table(printed["learned_samplers"])
    good = {name: rows[f"calibrated on held-out: {name}"][0] for name in ("MH-GAN", "DDLS")}
    assert good["DDLS"] < good["MH-GAN"] - 0.15
    assert rows["the optimal D: DDLS"][0] > 0.9
