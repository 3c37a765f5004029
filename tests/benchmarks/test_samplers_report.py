"""The arithmetic of the samplers' benchmark, and its page, from rows of known content."""

import json
import math

import pytest
import torch

from benchmarks import samplers_gan, samplers_images, samplers_report
from benchmarks.samplers_figures import interval, ratio, worth
from ganedu.rng import generator
from ganedu.samplers import Langevin, MetropolisHastings

CHAINS, DRAWS, RHO = 64, 300, 0.6


def walks(seed: int) -> torch.Tensor:
    """Two stationary autoregressions (DRAWS, CHAINS, 2), of RHO and of 0: the first has the smaller ESS,
    (1 - RHO) / (1 + RHO) a draw."""
    noise = torch.randn(DRAWS, CHAINS, 2, generator=generator(seed), dtype=torch.float64)
    rho, x = torch.tensor([RHO, 0.0], dtype=torch.float64), [noise[0]]
    for t in range(1, DRAWS):
        x.append(rho * x[-1] + (1 - rho**2).sqrt() * noise[t])
    return torch.stack(x)


def test_the_worst_quantity_counts_and_its_interval_holds_the_truth():
    """Of 20 intervals, fewer than 11 hold the truth with a chance below 1e-6, even if their coverage were
    92% (binomial): few replicates, and 64 chains, make it a little less than 95%."""
    truth = CHAINS * DRAWS * (1 - RHO) / (1 + RHO)
    found = [worth(walks(seed), replicates=20) for seed in range(20)]
    assert all(f.ess == min(f.each_ess) == f.each_ess[0] for f in found)

    def covered(scale: float) -> int:
        ends = [interval(f.ess, scale * f.log_se) for f in found]
        return sum(low <= truth <= high for low, high in ends)

    assert covered(1.0) >= 11
    assert covered(0.2) < 11  # power: a standard error five times too small is caught


def test_a_ratio_has_the_errors_of_both():
    ours, theirs = {"x": 3.0, "log_se": 0.03}, {"x": 2.0, "log_se": 0.04}
    value, low, high = ratio(ours, theirs, "x")
    assert value == 1.5
    assert (low, high) == pytest.approx((1.5 * math.exp(-1.96 * 0.05), 1.5 * math.exp(1.96 * 0.05)))


def test_a_forward_pass_is_half_a_gradient_and_none_is_forgotten():
    counted = samplers_gan.target()
    z = counted.prior.sample(6, generator(0))
    counted.log_prob(z)  # 6 forward passes: 3
    counted.log_prob_and_grad(z[:4])  # 4 forward and backward passes: 4
    assert samplers_gan.cost(counted) == 3 + 4


def test_hmc_quarter_turns_forget_a_gaussian():
    """The leapfrog's linear map on N(0, 1), multiplied out: nothing of the old position is left."""
    for n, step_size in samplers_gan.TURN.items():
        leap = torch.eye(2, dtype=torch.float64)
        kick = torch.tensor([[1.0, 0.0], [-0.5 * step_size, 1.0]], dtype=torch.float64)
        drift = torch.tensor([[1.0, step_size], [0.0, 1.0]], dtype=torch.float64)
        for _ in range(n):
            leap = kick @ drift @ kick @ leap
        assert leap[0, 0].abs() < 1e-12


def gan_row(figure: float | None) -> dict:
    kernel = MetropolisHastings(Langevin(0.5))
    return {
        "figure": figure,
        "interval": [100.0, 140.0],
        "estimate": 120.0,
        "ess": dict.fromkeys(samplers_gan.QUANTITIES, 500.0) | {"logit": 400.0},
        "rhat": dict.fromkeys(samplers_gan.QUANTITIES, 1.01),
        "chains": 64,
        "steps": 500,
        "cost_per_step": 1.0,
        "chain_alone_figure": figure,
        "accept_rate": 0.5,
        "kernel": repr(kernel),
        "candidate": 1,
        "step_size": 0.7,
    }


def rows() -> dict[str, dict]:
    found = {f"gan/{name}": gan_row(100.0 + i) for i, name in enumerate(samplers_gan.CANDIDATES)}
    found["gan/HMC"] = gan_row(None)
    best = found["gan/tempering"]["kernel"]
    for seed in range(2):
        for i, sampler in enumerate(samplers_images.SAMPLERS):
            found[f"images/{seed}/{sampler}"] = {
                "sampler": sampler,
                "seed": seed,
                "n": 1000,
                "kernel": best,
                "frechet_distance": 9.0 - i + seed,
                "score": 4.0,
                "outliers": 0.0,
                "mean_logit": 0.5,
                "median_uncapped_logit": 0.5,
                "bfloat16_error": 0.01,
            }
    for code, ess in (("ours", 0.9), ("compiled", 0.9), ("pyro", 1.0), ("blackjax", 0.8)):
        found[f"posteriors/eight_schools/NUTS/{code}"] = {
            "chains": 64,
            "draws": 100,
            "log_se": 0.03,
            "ess_per_gradient": ess,
            "ess_per_second": 10.0 * ess,
            "gradients": 1e5,
            "gradients_per_draw": 7.0,
            "seconds": 2.0,
            "rhat": 1.0,
            "farthest_mean": 1.0,
            "version": code,
        }
    for chains in (32, 64):
        found[f"scaling/{chains}"] = {"chains": chains, "seconds": 0.001 * chains, "mib": 2.0 * chains}
    return {key: row | {"load": 0.1, "machine": "test"} for key, row in found.items()}


def test_the_figures_name_every_kernel_and_the_best_of_those_that_have_one():
    found = samplers_report.figures(rows())
    assert set(found["ess_per_1000_gradients"]) == {"published", *samplers_gan.CANDIDATES}
    assert found["ess_per_1000_gradients"]["published"] == 1000 / 640
    assert found["ess_per_1000_gradients"]["HMC"] is None
    assert found["winner"] == "tempering"
    missing = {key: row for key, row in rows().items() if key != "gan/pCN"}
    assert samplers_report.figures(missing)["winner"] is None  # it might have been the best


def test_the_kernel_of_a_row_is_the_one_that_was_measured():
    assert samplers_gan.kernel_of("MALA", gan_row(1.0)) == MetropolisHastings(Langevin(0.7))


def test_images_of_a_former_winner_are_stale():
    found = rows()
    assert samplers_images.stale(found) == []
    found["gan/pCN"] = gan_row(500.0) | {"kernel": "another"}
    assert samplers_images.stale(found) == ["images/0/winner", "images/1/winner"]


def test_the_page_has_paired_differences_and_the_ratio_to_the_better_peer(tmp_path):
    path = tmp_path / "samplers_test.json"
    path.write_text(json.dumps({"network": "0123456789", "rows": rows()}))
    written = samplers_report.write(path, tmp_path)
    page = path.with_suffix(".md").read_text()
    assert all(p.is_file() and p.stat().st_size for p in written)
    assert "| Frechet distance | 9.50 | 8.50 | 7.50 | -1.00 ± 0.00 |" in page
    assert "| eight_schools | NUTS | 0.900 (0.828 to 0.978) | 0.9 | 1.12 | 1.12 |" in page
    assert "| HMC | null | null | 120.0 (100.0 to 140.0) |" in page
