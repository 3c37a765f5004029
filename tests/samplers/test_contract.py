"""Proofs that a kernel is right, for every kernel of tests/samplers/contract.py.

Detailed balance, equivalences and the planted errors are in test_detailed_balance.py,
test_equivalences.py and test_power.py.
"""

import math

import pytest
import torch

from ganedu.samplers import run
from ganedu.samplers.base import leaves
from ganedu.samplers.diagnostics import mcse_mean
from tests.laws import gaussian_marginals, worst
from tests.samplers.contract import CASES, COV, MEAN, PROOFS, cases

CHAINS, STEPS, BLOCK = 200_000, 20, 10_000


def rng(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def starts(case, chains, device="cpu"):
    return torch.randn(chains, case.dim, generator=rng(3, device), dtype=torch.float64, device=device)


def rejection(kernel, target, chains=CHAINS, steps=STEPS, device="cpu"):
    """The largest DKW ratio after ``steps`` from exact draws; above 1 the law has changed.

    The false-fail rate of 1e-6 is that of all kernels together.
    """
    generator = rng(1, device)
    # In blocks that fit the cache: several times faster than all at once.
    last = [
        run(kernel, target, start, steps, steps - 1, rng=generator).last.z
        for start in target.sample(chains, generator).split(BLOCK)
    ]
    return worst(gaussian_marginals(torch.cat(last).cpu(), MEAN, COV), tests=len(CASES))[0]


def test_every_exclusion_names_a_proof_and_its_reason():
    for name, case in CASES.items():
        assert case.excluded.keys() <= PROOFS.keys(), name
        assert all(len(reason) > 10 for reason in case.excluded.values()), name
        assert case.kernel.adjusted == ("conservation" not in case.excluded), name


@pytest.mark.slow
@pytest.mark.parametrize("name", cases("conservation"))
def test_a_kernel_conserves_its_target(name):
    assert rejection(CASES[name].kernel, CASES[name].target) < 1


def test_exact_draws_pass_with_room_to_spare():
    """The bound is not so tight that luck decides: exact draws reach about half of it."""
    draws = CASES["mala"].target.sample(CHAINS, rng(3))
    assert worst(gaussian_marginals(draws, MEAN, COV), tests=len(CASES))[0] < 0.8


@pytest.mark.parametrize("name", cases("cache"))
def test_every_cached_value_belongs_to_its_point(name):
    case = CASES[name]
    state = case.kernel.init(case.target, starts(case, 300))
    for step in range(6):
        state, _ = case.kernel.step(case.target, state, rng(step))
        for cached, fresh in zip(checked(state), checked(fresh_state(case, state)), strict=True):
            assert torch.equal(cached, fresh)


def fresh_state(case, state):
    """The kernel's state, computed anew at the points of ``state``."""
    if not hasattr(state, "rungs"):
        return case.kernel.init(case.target, state.z)
    tempered = case.kernel._tempered(case.target, state.z)
    flat = case.kernel.kernel.init(tempered, state.rungs.z.flatten(0, 1))
    return case.kernel._ladder(flat, len(state.z))


def checked(state):
    """Every tensor of a state; that of a preconditioned one without u = z / scale, which rounds."""
    return [leaf for leaf in leaves(state) if not hasattr(state, "inner") or leaf is not state.inner.z]


@pytest.mark.parametrize("name", cases("batch"))
def test_changing_one_start_leaves_the_other_chains_bit_for_bit(name):
    case = CASES[name]
    z = starts(case, 7)
    other = z.clone()
    other[4] = 2.5
    a = run(case.kernel, case.target, z, 30, rng=rng(11))
    b = run(case.kernel, case.target, other, 30, rng=rng(11))
    same = [i for i in range(7) if i != 4]
    assert torch.equal(a.z[:, same], b.z[:, same])
    assert torch.equal(a.log_prob[:, same], b.log_prob[:, same])


@pytest.mark.parametrize("name", cases("repeat"))
def test_the_same_seed_gives_the_same_run_and_leaves_the_start_alone(name):
    case = CASES[name]
    z = starts(case, 5)
    before, torchs = z.clone(), torch.get_rng_state()
    a = run(case.kernel, case.target, z, 10, rng=rng(2))
    b = run(case.kernel, case.target, z, 10, rng=rng(2))
    other = run(case.kernel, case.target, z, 10, rng=rng(3))
    assert torch.equal(a.z, b.z) and not torch.equal(a.z, other.z)
    assert torch.equal(z, before) and torch.equal(torch.get_rng_state(), torchs)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("name", cases("resume"))
def test_a_stopped_run_goes_on_as_if_nobody_had_stopped_it(name, tmp_path, monkeypatch):
    case, path = CASES[name], tmp_path / "run.safetensors"
    z, options = starts(case, 6), dict(steps=14, burn_in=3, thin=2)
    whole = run(case.kernel, case.target, z, **options, rng=rng(5))
    steps, step = [], type(case.kernel).step

    def stops(self, *arguments):
        if self is case.kernel:
            steps.append(1)
        if len(steps) == 8:
            raise Interrupted
        return step(self, *arguments)

    monkeypatch.setattr(type(case.kernel), "step", stops)
    with pytest.raises(Interrupted):
        run(case.kernel, case.target, z, **options, rng=rng(5), checkpoint=path)
    monkeypatch.undo()
    resumed = run(case.kernel, case.target, z, **options, rng=rng(5), checkpoint=path)
    for part in ("z", "log_prob", "accept_rate", "divergences", "n_leapfrog"):
        assert torch.equal(getattr(resumed, part), getattr(whole, part)), part
    for ours, theirs in zip(leaves(resumed.last), leaves(whole.last), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", cases("moments"))
def test_long_runs_have_the_moments_of_the_target(name):
    """Within 5 Monte Carlo standard errors: 5 numbers a kernel, false-fail 6e-7 each were it normal."""
    case = CASES[name]
    trace = run(case.kernel, case.target, starts(case, 100), 330, burn_in=30, rng=rng(7))
    x, y = trace.z.unbind(-1)
    first, second = MEAN.tolist()
    expected = torch.stack([MEAN[0], MEAN[1], COV[0, 0], COV[1, 1], COV[0, 1]])
    quantities = (x, y, (x - first) ** 2, (y - second) ** 2, (x - first) * (y - second))
    found = torch.stack(quantities, dim=-1)
    z_score = (found.mean((0, 1)) - expected) / mcse_mean(found)
    assert z_score.abs().max() < 5


@pytest.mark.gpu
@pytest.mark.parametrize("name", cases("gpu"))
def test_on_a_gpu(name):
    case = CASES[name]
    z = starts(case, 50, "cuda")
    a = run(case.kernel, case.target, z, 10, rng=rng(2, "cuda"))
    b = run(case.kernel, case.target, z, 10, rng=rng(2, "cuda"))
    assert a.z.device.type == "cuda" and torch.equal(a.z, b.z)
    if "conservation" not in case.excluded:
        assert rejection(case.kernel, case.target, device="cuda") < 1


def test_gaussian_cases_have_the_moments_they_are_compared_with():
    """The target as a tilted prior is N(MEAN, COV): its log density, up to a constant, by torch."""
    target = CASES["mala"].target
    z = starts(CASES["mala"], 50)
    exact = torch.distributions.MultivariateNormal(MEAN, COV).log_prob(z)
    constant = target.log_prob(z) - exact
    assert math.isclose(float(constant.max()), float(constant.min()), abs_tol=1e-12)
