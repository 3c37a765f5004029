"""Lecture 10's demos on the DCGAN show what the text beside them says."""

import itertools
import math

import pytest
import torch

from ganedu import demos, zoo
from ganedu.demos import dcgan, rep_gan
from ganedu.rng import draw_seed, generator
from ganedu.samplers import Langevin, MetropolisHastings, run
from ganedu.targets import LatentTarget
from tests.tractable import affine_gan


def drive(panel, ends):
    """Each control to its ends and its middle; no error, and every value has a picture of its own."""
    for name, values in ends.items():
        pictures = set()
        for value in values:
            panel.controls[name].value = value
            assert panel.error is None, (name, value)
            pictures.add(bytes(panel.picture.value))
        assert len(pictures) == len(values), name
        panel.reset.click()


def test_a_walk_is_the_chain_of_the_library_with_what_it_rejected():
    target = LatentTarget(affine_gan(3, 0).gan)
    z = target.prior.sample(20, generator(0, 1))
    chains = rep_gan.walk(target, Langevin(0.8), z, 30, seed=draw_seed(generator(0, 2)))
    trace = run(MetropolisHastings(Langevin(0.8)), target, z, 30, rng=generator(0, 2))
    assert torch.equal(chains.z[1:], trace.z)
    assert torch.equal(chains.accepted.double().mean(0), trace.accept_rate)
    assert 0 < chains.accepted.double().mean() < 1
    stayed = (chains.z[1:] == chains.z[:-1]).all(-1)
    assert torch.equal(stayed, ~chains.accepted)
    took = (chains.z[1:] == chains.proposed).all(-1)
    assert torch.equal(took, chains.accepted)


def test_a_tilt_is_what_two_loops_over_all_pairs_give():
    logit = torch.randn(60, generator=generator(0, 3), dtype=torch.float64).round(decimals=1)  # with ties
    found = rep_gan.tilt_of(logit)
    weight = logit.exp() / logit.exp().sum()
    pairs = itertools.product(zip(logit.tolist(), weight.tolist(), strict=True), logit.tolist())
    expected = sum(w * min(1.0, math.exp(new - old)) for (old, w), new in pairs) / len(logit)
    assert found.acceptance == pytest.approx(expected, rel=1e-12)
    assert found.kl == pytest.approx(float((weight * (weight * 60).log()).sum()), rel=1e-12)
    assert found.effective == pytest.approx(float(1 / weight.square().sum()))
    assert torch.allclose(found.weight, weight.sort().values)


def test_of_gaussian_logits_the_acceptance_is_that_of_the_formula():
    """A million quantiles in place of draws: what they leave out of the tail is below 1e-3 of the KL."""
    n = 1_000_000
    quantiles = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    for spread in (0.5, 1.0):
        found = rep_gan.tilt_of(spread * quantiles + 0.3)
        assert found.kl == pytest.approx(spread**2 / 2, rel=1e-3)
        assert found.acceptance == pytest.approx(rep_gan.gaussian_acceptance(found.kl), abs=1e-3)


@pytest.mark.slow
def test_the_questions_are_asked_before_their_answers_are_on_the_screen():
    begins = {
        demos.independence: {"slope": 1.0},
        demos.chain_strip: {"step_size": 0.01},
        demos.ceiling: {"step": 0},
        demos.latent_path: {"step": 0},
        demos.inversion: {"iteration": 0},
    }
    for demo, begin in begins.items():
        panel = demo()
        assert {name: panel.controls[name].value for name in panel.still} == begin
        assert panel._repr_mimebundle_()["image/png"] != bytes(panel.picture.value)


@pytest.mark.slow
def test_independence():
    at = {slope: rep_gan.tilt_at(slope, False) for slope in rep_gan.SLOPES}
    assert 0.45 < at[1.0].acceptance < 0.54
    assert all(abs(t.acceptance - rep_gan.gaussian_acceptance(t.kl)) < 0.02 for t in at.values())
    assert at[1.0].acceptance == pytest.approx(0.49, abs=5e-3) and at[1.0].kl == pytest.approx(0.47, abs=5e-3)
    assert rep_gan.tilt_at(1.0, True).acceptance == pytest.approx(0.55, abs=5e-3)
    assert at[3.0].acceptance < 0.060 < at[2.5].acceptance
    assert 30 < at[3.0].effective < 50 < 0.3 * at[1.0].effective
    acceptance = [t.acceptance for t in at.values()]
    assert acceptance == sorted(acceptance, reverse=True)
    assert all(rep_gan.tilt_at(slope, True).acceptance > 0.25 for slope in rep_gan.SLOPES)
    drive(demos.independence(), {"slope": (0.25, 1.5, 3.0)})


@pytest.mark.slow
def test_chain_strip():
    walks = {step_size: rep_gan.walk_at(step_size) for step_size in rep_gan.STEP_SIZES}
    published = rep_gan.STEP_SIZES[2]
    assert published == pytest.approx(0.01)
    first_twelve = walks[published].accepted[: rep_gan.SHOWN_STEPS]
    assert first_twelve.double().mean() > 0.9 and rep_gan.acceptance(walks[published]) > 0.9
    before, after = (dcgan.images(walks[published].z[k]) for k in (0, rep_gan.SHOWN_STEPS))
    other = dcgan.images(walks[published].z[0].roll(1, 0))
    assert (after - before).square().mean() < 0.25 * (other - before).square().mean()
    jumps = {step_size: rep_gan.mean_jump(chains) for step_size, chains in walks.items()}
    best = max(jumps, key=jumps.get)
    assert best == pytest.approx(0.56, abs=0.01)
    assert 0.3 < rep_gan.acceptance(walks[best]) < 0.5
    assert not any(chains.accepted.any() for size, chains in walks.items() if size > 1.5)
    from_prior = rep_gan.walk_at(rep_gan.PRIOR_PROPOSAL)
    assert rep_gan.acceptance(from_prior) == pytest.approx(0.61, abs=0.01) and len(from_prior.accepted) == 24
    assert rep_gan.mean_jump(from_prior) > 4 * jumps[best]
    drive(demos.chain_strip(), {"step_size": (10**-2.5, 0.1, 10**0.5), "start": (0, 4, 7)})


@pytest.mark.slow
def test_ceiling():
    outlier = zoo.outlier_logit()
    for sharpness in rep_gan.SHARPNESS:
        assert (rep_gan.on_target(sharpness, True).logit < outlier).all()
    assert (rep_gan.on_target(1.0, False).logit < outlier).all()
    wild = rep_gan.on_target(3.0, False).logit
    assert (wild[-1] > outlier).sum() >= 2 and wild[-1].max() > 3 * outlier
    assert wild[-1].median() > rep_gan.on_target(3.0, True).logit[-1].median() + 1
    drive(demos.ceiling(), {"step": (0, 60, 120), "sharpness": (1.0, 3.0)})


def test_the_discriminator_prefers_muted_colours():
    """The 25 lowest and highest logits of 400 draws; saturation is the largest channel less the smallest."""
    x = dcgan.images(dcgan.gan().prior(400, generator(10, 1)))
    saturation = (x.amax(1) - x.amin(1)).mean((1, 2))[dcgan.logits(x).argsort()]
    assert saturation[-25:].mean() == pytest.approx(0.5 * float(saturation[:25].mean()), rel=0.1)


@pytest.mark.slow
def test_the_mean_weight_is_near_one_with_the_fitted_slope_only():
    uncapped = rep_gan.prior_logits()
    assert 0.85 < uncapped.exp().mean() < 1.1
    assert 6 < (3 * uncapped).exp().mean() < 12
    assert rep_gan.bounded(3 * uncapped).exp().mean() == pytest.approx(1.08, abs=5e-3)
    assert rep_gan.bounded(uncapped).exp().mean() == pytest.approx(0.73, abs=5e-3)
    fitted = dcgan.calibration()
    raw = (uncapped - fitted.offset) / fitted.scale
    assert torch.allclose(rep_gan.bounded(uncapped), fitted(raw))
