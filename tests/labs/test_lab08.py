"""Lab 8's references and answers against closed forms, the library's samplers and arviz."""

import math

import arviz
import numpy as np
import pytest
import torch
from scipy import stats

from ganedu import rng, samplers
from ganedu.grading import answers
from ganedu.samplers import diagnostics
from ganedu.samplers.base import evaluate_with_grad
from ganedu.samplers.hamiltonian import leapfrog
from tests.labs.lab import checks, code
from tests.labs.test_answers import namespace

LAB = "lab08_markov_chains"
ANSWERS = namespace(LAB, {})


@pytest.fixture(scope="module")
def reference():
    import ganedu_checks_lab08_markov_chains.reference as module

    return module


checks(LAB)  # loads the module that the fixture imports


class Target:
    """As the library's kernels want it, from a plain function."""

    dim, dtype = 2, torch.float64

    def __init__(self, log_prob):
        self.log_prob = log_prob


def autoregression(memory: float, draws: int, chains: int, seed: int) -> torch.Tensor:
    noise = torch.randn(draws, chains, generator=rng.generator(seed), dtype=torch.float64)
    x = [noise[0] / math.sqrt(1 - memory**2)]
    for xi in noise[1:]:
        x.append(memory * x[-1] + xi)
    return torch.stack(x)


@pytest.mark.parametrize("draws", [12, 13, 200])
def test_r_hat_is_the_librarys_and_that_of_arviz(reference, draws):
    x = autoregression(0.8, draws, 4, seed=1) + torch.tensor([0.0, 0.5, 1.0, 0.0])
    expect = float(arviz.rhat(x.T.numpy(), method="split"))
    for got in (reference.rhat(x), ANSWERS["split_rhat"](x), diagnostics.split_rhat(x)):
        assert float(got) == pytest.approx(expect, rel=1e-10)


MEMORIES = {-0.5: 2, 0.5: 3, 0.9: 4}  # and the seed


def off(ess) -> float:
    """The largest relative error of T = (1 + a)/(1 - a), from 200,000 draws of each autoregression."""
    errors = []
    for memory, seed in MEMORIES.items():
        x = autoregression(memory, 50_000, 4, seed)
        errors.append(abs(float(x.numel() / ess(x)) * (1 - memory) / (1 + memory) - 1))
    return max(errors)


def test_the_effective_sample_size_of_an_autoregression_is_the_closed_form():
    # At a = 0.9 the standard error is some 3%: by chance 15% fail less than once in a million.
    assert off(ANSWERS["ess"]) < 0.15


@pytest.mark.parametrize(
    "name", ["lag 0 is counted twice", "the factor 2 is missing", "all lags are summed, noise and all"]
)
def test_the_same_test_rejects_a_wrong_effective_sample_size(name):
    assert off(answers.function(checks(LAB).wrong["ess"][name], "ess")) > 0.15


def test_on_long_runs_it_is_nearly_that_of_the_library_and_of_arviz():
    for memory, seed in MEMORIES.items():
        x = autoregression(memory, 50_000, 4, seed)
        got = float(ANSWERS["ess"](x))
        assert got == pytest.approx(float(arviz.ess(x.T.numpy(), method="mean")), rel=0.05)
        assert got == pytest.approx(float(diagnostics.ess(x)), rel=0.05)


def test_the_reference_for_ess_needs_no_fourier_transform_and_agrees_with_the_notebook(reference):
    for seed in range(20):
        x = autoregression(0.6, 61, 3, seed=10 + seed)
        assert float(reference.ess(x)) == pytest.approx(float(ANSWERS["ess"](x)), rel=1e-6)


def skewed(x):
    return -0.5 * x.square().sum(-1) - (x[..., 0] + 0.5 * x[..., 1]).exp() + x[..., 1].cos()


def test_the_adjusted_step_is_the_librarys():
    numbers = rng.generator(5)
    x, xi = torch.randn(2, 400, 2, generator=numbers, dtype=torch.float64)
    u = torch.rand(400, generator=numbers, dtype=torch.float64)
    tau, target = 0.9, Target(skewed)
    kernel = samplers.Langevin(tau)
    here = evaluate_with_grad(target, x)
    there = evaluate_with_grad(target, kernel.mean(here) + math.sqrt(tau) * xi)
    log_ratio = there.log_prob - here.log_prob
    for sign, start, end in ((1, there, here), (-1, here, there)):
        law = torch.distributions.Normal(kernel.mean(start), math.sqrt(tau))
        log_ratio = log_ratio + sign * law.log_prob(end.z).sum(1)
    states, accepted = ANSWERS["mala_step"](x, skewed, tau, xi, u)
    assert torch.equal(accepted, u.log() < log_ratio) and 0.2 < accepted.double().mean() < 0.95
    torch.testing.assert_close(states, torch.where(accepted[:, None], there.z, x))
    torch.testing.assert_close(ANSWERS["ula_step"](x, skewed, tau, xi), there.z)


def test_the_trajectory_is_the_librarys():
    numbers = rng.generator(6)
    x, push = torch.randn(2, 50, 2, generator=numbers, dtype=torch.float64)
    state, momentum = evaluate_with_grad(Target(skewed), x), push
    for _ in range(7):
        state, momentum = leapfrog(Target(skewed), state, momentum, 0.3)
    states, _ = ANSWERS["hmc_step"](x, skewed, 0.3, 7, push, torch.zeros(50))
    torch.testing.assert_close(states, state.z)


def run(step, x, steps, seed):
    """The states after `steps` of one step with given random numbers."""
    for k in range(steps):
        numbers = rng.generator(seed, k)
        noise = torch.randn(x.shape, generator=numbers, dtype=x.dtype)
        x = step(x, noise, torch.rand(len(x), generator=numbers, dtype=x.dtype))
    return x


def gumbel(x):
    """Skewed, with a closed distribution function: log p = x - e^x."""
    return (x - x.exp()).sum(1)


STEPS = {
    "mala": lambda x, xi, u: ANSWERS["mala_step"](x, gumbel, 0.8, xi, u)[0],
    "hmc": lambda x, xi, u: ANSWERS["hmc_step"](x, gumbel, 0.8, 3, xi, u)[0],
}
PLANTED = {
    "ula": lambda x, xi, u: ANSWERS["ula_step"](x, gumbel, 0.8, xi),
    "mala without its proposal's ratio": lambda x, xi, u: planted("the proposal's ratio is missing")(
        x, gumbel, 0.8, xi, u
    )[0],
}


def planted(name):
    return answers.function(checks(LAB).wrong["mala_step"][name], "mala_step")


def distance(step, chains=20_000):
    """Kolmogorov's distance from the law after 15 steps from exact draws."""
    u = torch.rand(chains, generator=rng.generator(7), dtype=torch.float64)
    exact = (-torch.log1p(-u)).log()[:, None]  # P(X <= x) = 1 - exp(-e^x)
    x = run(step, exact, 15, seed=8)[:, 0].numpy()
    return stats.kstest(x, lambda y: -np.expm1(-np.exp(y))).statistic


# By the Dvoretzky-Kiefer-Wolfowitz inequality exact draws are further off with probability at most 1e-6.
BOUND = math.sqrt(math.log(2 / 1e-6) / (2 * 20_000))


@pytest.mark.parametrize("name", STEPS)
def test_the_adjusted_steps_keep_the_law(name):
    assert distance(STEPS[name]) < BOUND


@pytest.mark.parametrize("name", PLANTED)
def test_the_same_test_rejects_a_planted_error(name):
    assert distance(PLANTED[name]) > BOUND


def test_ula_on_a_unit_gaussian_has_variance_one_over_one_minus_quarter_step():
    def step(x, tau):
        return ANSWERS["ula_step"](x, lambda y: -0.5 * y.square().sum(1), tau, torch.tensor([[0.0], [1.0]]))

    for tau in (0.1, 1.0, 3.0):
        keep, stir = step(torch.tensor([[1.0], [0.0]]), tau).flatten().tolist()
        assert stir**2 / (1 - keep**2) == pytest.approx(1 / (1 - tau / 4), rel=1e-5)


@pytest.fixture(scope="module")
def ran():
    """What the solved notebook defines, run here, and the R-hat, ESS and errors of section 9."""
    found: dict = {}
    for source in code(LAB).values():
        exec(compile(source, "<lab 8>", "exec"), found)
    columns = range(31)
    found["judged"] = {
        name: (
            max(float(found["split_rhat"](trace[:, :, i])) for i in columns),
            min(float(found["ess"](trace[:, :, i])) for i in columns),
            float(((trace.mean((0, 1)) - found["known"].mean) / found["known"].sd).abs().max()),
        )
        for name, trace in found["kept"].items()
    }
    return found


def slope_off(ran, z) -> float:
    """How far the mean slope of draws is from the truth on the lattice."""
    return float(10 * z[..., 1].double().mean() - (ran["weights"] * 10 * ran["lattice"][:, 1]).sum())


@pytest.mark.slow
def test_what_the_text_says_of_the_posterior_in_the_plane(ran):
    assert slope_off(ran, ran["ula_large"][200:]) > 1.5 and abs(slope_off(ran, ran["ula_small"][200:])) < 0.4
    assert abs(slope_off(ran, ran["mala"][200:])) < 0.4 and abs(slope_off(ran, ran["hmc"])) < 0.4
    best = int(ran["worth"].argmax())
    assert 0 < best < len(ran["taus"]) - 1 and 0.3 < ran["acceptance"][best] < 0.8
    assert (ran["acceptance"].diff() < 0).all()


@pytest.mark.slow
def test_what_the_text_says_of_the_chains_that_stand_still(ran):
    def worst(trace):
        return max(float(ran["split_rhat"](trace[100:, :, i])) for i in range(2))

    assert worst(ran["from_prior"]) > 1.5 and worst(ran["from_near"]) < 1.05
    assert len(ran["from_prior"]) == 400 and int((ran["from_prior"].std(0) == 0).all(1).sum()) >= 5


@pytest.mark.slow
def test_a_trajectory_of_hmc_goes_further_than_as_many_steps_of_mala(ran):
    ways, stagger = torch.stack(ran["ways"]), ran["stagger"]
    assert (ways - ways[0]).norm(dim=2).amax(0).min() > 1.5 * (stagger - stagger[0]).norm(dim=2).max()


@pytest.mark.slow
def test_the_sampler_of_the_tumours_with_the_best_marks_is_the_one_that_is_wrong(ran):
    judged = ran["judged"]
    for name in ("random walk", "MALA", "ULA, tau = 0.04"):
        rhat, worth, _ = judged[name]
        assert rhat > 1.05 and worth < 100
    rhat, worth, error = judged["ULA, tau = 0.15"]
    assert rhat < 1.03 and worth > 400 and error > 3
    rhat, worth, error = judged["HMC"]
    assert rhat < 1.03 and worth > 200 and error < 0.2
    # The model answer's remedy: nearly every such step would be refused.
    step = ran["adjusted"](ran["tumour"].log_prob, 0.15)
    _, moved = ran["run"](step, ran["kept"]["HMC"][-1].float(), 50, seed=11)
    assert moved.double().mean() < 0.1
