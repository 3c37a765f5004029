"""GAN samplers on GANs whose optimal discriminator is known: they must give p_d itself (proof 8)."""

import re
import sys

import pytest
import torch
from torch import nn

from ganedu.gans import GAN
from ganedu.gans.calibration import Logistic, fit_isotonic
from ganedu.nets import MLP
from ganedu.rng import draw_seed, generator
from ganedu.samplers import Independence, Langevin, MetropolisHastings, run
from ganedu.samplers.gan import ddls, dg_flow, dot, drs, ex2, mh_gan, rep_gan
from ganedu.targets import LatentTarget, StandardNormal
from tests.laws import gaussian_marginals, worst
from tests.samplers.kernels import NoProposalRatio, OldGradient
from tests.tractable import OnSurface, Surface, affine_gan

# The module: the package holds the function under the same name.
drs_module = sys.modules["ganedu.samplers.gan.drs"]
N = 20_000


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def rejection(case, draws):
    return worst(gaussian_marginals(draws.x, case.mean, case.cov))[0]


EXACT = {
    "rep_gan": lambda gan: rep_gan(gan, N, steps=60, step_size=0.7, rng=rng()),
    "mh_gan": lambda gan: mh_gan(gan, N, steps=60, rng=rng()),
    "drs": lambda gan: drs(gan, N, rng=rng()),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("dim", "seed"), [(2, 0), (2, 1), (10, 2)])
def test_an_exact_sampler_draws_from_the_data(name, dim, seed):
    case = affine_gan(dim, seed)
    draws = EXACT[name](case.gan)
    assert draws.x.shape == (N, dim)
    assert rejection(case, draws) < 1
    # Power: the generator itself is not the data.
    assert worst(gaussian_marginals(case.gan.generator(case.gan.prior(N, rng())), case.mean, case.cov))[0] > 3


def test_rep_gan_in_single_precision():
    case = affine_gan(2, 3, torch.float32)
    draws = rep_gan(case.gan, N, steps=60, step_size=0.7, rng=rng())
    assert draws.x.dtype == torch.float32 and rejection(case, draws) < 1


@pytest.mark.parametrize("wrong", [OldGradient, NoProposalRatio])
def test_an_error_in_the_acceptance_makes_rep_gan_fail(wrong):
    case = affine_gan(2, 0)
    kernel = MetropolisHastings(wrong(1.2))
    assert rejection(case, rep_gan(case.gan, N, steps=60, kernel=kernel, rng=rng())) > 1.2


def test_drs_with_another_gamma_is_not_exact():
    case = affine_gan(2, 0)
    assert rejection(case, drs(case.gan, N, gamma=-3.0, rng=rng())) > 1.2


def biased_law(case, tau):
    """Unadjusted Langevin on N(m, S): along an eigenvector of variance v it has v / (1 - τ/4v)."""
    matrix = case.gan.generator.matrix
    inverse = torch.linalg.inv(matrix)
    values, vectors = torch.linalg.eigh(inverse @ case.cov @ inverse.T)
    wider = matrix @ (vectors * (values / (1 - tau / (4 * values)))) @ vectors.T @ matrix.T
    return (wider + wider.T) / 2


def test_ddls_with_a_large_step_has_its_own_law_and_not_the_datas():
    case = affine_gan(2, 0)
    draws = ddls(case.gan, N, steps=60, step_size=1.0, rng=rng())
    assert rejection(case, draws) > 1.2
    assert worst(gaussian_marginals(draws.x, case.mean, biased_law(case, 1.0)))[0] < 1
    assert draws.accept_rate == 1.0


@pytest.mark.parametrize("name", EXACT)
def test_on_a_curved_surface_in_space_the_jacobians_cancel(name):
    mean, std = torch.tensor([0.6, -0.4], dtype=torch.float64), 0.7

    def rejection(wrong):
        gan = GAN(Surface(), OnSurface(mean, std, wrong).double(), 2).frozen()
        x = EXACT[name](gan).x.double()
        z = torch.stack([torch.asinh(x[:, 0]), x[:, 1]], dim=-1)
        return worst(gaussian_marginals(z, mean, std**2 * torch.eye(2, dtype=torch.float64)))[0]

    assert rejection(wrong=0.0) < 1
    assert rejection(wrong=1.0) > 1.2


def test_rep_gan_with_the_prior_as_proposal_is_mh_gan_draw_by_draw():
    gan = affine_gan(3, 4).gan
    kernel = MetropolisHastings(Independence(StandardNormal(3, torch.float64)))
    a = rep_gan(gan, 50, kernel=kernel, steps=40, trace=True, rng=rng())
    b = mh_gan(gan, 50, steps=40, trace=True, rng=rng())
    assert torch.equal(a.trace.z, b.trace.z) and a.accept_rate == b.accept_rate


def test_mh_gan_accepts_with_the_ratio_of_the_paper():
    """α = min(1, (1/D(x) - 1) / (1/D(x') - 1)), from probabilities, with no density in sight."""
    case = affine_gan(2, 0)
    target = LatentTarget(case.gan)
    kernel = MetropolisHastings(Independence(target.prior))
    state = kernel.init(target, case.gan.prior(100, rng(1)))
    new, ratio = kernel.proposal.propose(target, state, rng(2))
    old_d, new_d = (torch.sigmoid(target.log_weight(z)) for z in (state.z, new.z))
    expected = ((1 / old_d - 1) / (1 / new_d - 1)).clamp(max=1.0)
    _, info = kernel.step(target, state, rng(2))
    assert torch.allclose(info.log_alpha.exp(), expected, atol=1e-10)


def test_rep_gan_that_always_accepts_is_ddls():
    gan = affine_gan(2, 5).gan
    z = gan.prior(40, rng())
    target = LatentTarget(gan)

    class Always(MetropolisHastings):
        def step(self, target, state, rng):
            new, _ = self.proposal.propose(target, state, rng)
            return new, super().step(target, state, rng)[1]

    a = run(Always(Langevin(0.1)), target, z, 20, rng=rng())
    b = run(Langevin(0.1), target, z, 20, rng=rng())
    assert torch.equal(a.z, b.z)


def test_the_intercept_of_a_calibration_changes_no_decision():
    gan = affine_gan(2, 6).gan
    a, b = (
        rep_gan(gan, 100, steps=50, step_size=0.5, calibration=Logistic(0.7, offset), trace=True, rng=rng())
        for offset in (0.0, 3.0)
    )
    # Rounding may turn a comparison that is a tie to 1e-16; none of these 5,000 is.
    assert torch.allclose(a.trace.z, b.trace.z)


SAMPLERS = [ddls, dg_flow, dot, drs, ex2, mh_gan, rep_gan]


def mlp_gan():
    torch.manual_seed(0)
    return GAN(MLP(4, 32, 5), MLP(5, 32, 1), 4).frozen()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_chunks_change_no_draw(sampler):
    options = {} if sampler is drs else dict(steps=10)
    whole = sampler(mlp_gan(), 23, rng=rng(), **options)
    parts = sampler(mlp_gan(), 23, batch_size=7, rng=rng(), **options)
    assert torch.allclose(whole.z, parts.z, atol=1e-5) and whole.accept_rate == parts.accept_rate
    assert whole.evaluations == parts.evaluations
    assert torch.allclose(whole.x, mlp_gan().generator(whole.z), atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        *((sampler, {}) for sampler in SAMPLERS),
        (ddls, {"diversity": 1.0, "decay": 0.5, "held": [1]}),
        (rep_gan, {"held": [0, 2]}),
    ],
)
def test_on_a_gpu_chunks_change_no_draw_and_all_stays_there(sampler, options):
    options = options if sampler is drs else {"steps": 10, **options}
    gan = mlp_gan().to("cuda")
    whole, parts = (
        sampler(gan, 23, batch_size=b, rng=torch.Generator("cuda").manual_seed(0), **options)
        for b in (None, 7)
    )
    assert whole.z.is_cuda and whole.x.is_cuda
    assert torch.allclose(whole.z, parts.z, atol=1e-4)


class Counting(nn.Module):
    """A discriminator that counts the images it sees."""

    seen = 0

    def forward(self, x):
        Counting.seen += len(x)
        return x.sum(-1)


def test_evaluations_are_those_that_the_networks_saw():
    steps, n, tried = 10, 6, 2 * 6  # the start is tried on up to 16 points, twice, and not counted
    gan = GAN(MLP(2, 3), Counting(), 2).frozen()
    for sampler, gradients in ((rep_gan, (steps + 1) * n), (dg_flow, (steps + 1) * n), (mh_gan, 0)):
        Counting.seen = 0
        evaluations = sampler(gan, n, steps=steps, rng=rng()).evaluations
        assert evaluations == (Counting.seen - tried, gradients)
        assert evaluations.forward == (steps + 1) * n


def test_a_trace_is_kept_only_where_asked_for():
    assert rep_gan(mlp_gan(), 3, steps=9, rng=rng()).trace is None
    draws = rep_gan(mlp_gan(), 3, steps=9, burn_in=1, thin=2, trace=True, rng=rng())
    assert draws.trace.z.shape == (4, 3, 4)
    assert torch.equal(draws.z, draws.trace.z[-1])


@pytest.mark.parametrize(
    ("sampler", "options", "law"),
    [
        (rep_gan, {}, "exact"),
        (mh_gan, {}, "exact"),
        (ex2, {}, "exact"),
        (drs, {}, "exact"),
        (drs, {"gamma": 0.5}, "biased: gamma = 0.5 accepts too little"),
        (drs, {"percentile": 80.0}, "biased: gamma = .* accepts too"),
        (rep_gan, {"kernel": Langevin(0.1)}, "biased: no proposal is rejected"),
        (ddls, {}, "biased: no proposal is rejected"),
        (ddls, {"diversity": 1.0}, "biased: no proposal is rejected; the diversity term moves chains apart"),
        (dg_flow, {}, "biased: .*no prior term"),
        (dot, {}, "biased: .*optima"),
    ],
)
def test_draws_say_which_law_they_have(sampler, options, law):
    steps = {} if sampler is drs else {"steps": 2}
    assert re.match(law, sampler(mlp_gan(), 4, **steps, **options, rng=rng()).law)


def test_drs_retests_early_draws_when_the_maximum_is_raised(monkeypatch):
    """Ten proposals a block, one pilot draw: all that is returned faces the final maximum."""
    monkeypatch.setattr(drs_module, "BLOCK", 10)
    gan, n, differ = affine_gan(2, 7).gan, 10, 0
    for start in range(10):
        got = drs(gan, n, pilot=1, rng=rng(start))
        source = rng(start)
        pilot = LatentTarget(gan).log_weight((gan.prior(n, source), gan.prior(1, source))[1])
        z, logit, uniform, running = replayed(gan, draw_seed(source), pilot, got.evaluations.forward // n)
        assert torch.equal(got.z, z[uniform < (logit - max(logit.max(), pilot)).exp()][:n])
        differ += not torch.equal(got.z, z[running][:n])
    assert differ  # power: the published running maximum would have left others in


def replayed(gan, seed, pilot, blocks):
    """The proposals of drs in blocks of ten, and which of them a running maximum accepts."""
    seen, parts = pilot, []
    for k in range(blocks):
        step = generator(seed, k)
        z = gan.prior(10, step)
        logit, uniform = LatentTarget(gan).log_weight(z), 1 - torch.rand(10, generator=step, dtype=gan.dtype)
        seen = torch.cat([seen, logit])
        parts.append((z, logit, uniform, uniform < (logit - seen.max()).exp()))
    return [torch.cat(part) for part in zip(*parts, strict=True)]


@pytest.mark.parametrize("gamma", [-2.0, 1.0])
def test_drs_accepts_as_often_as_equation_8_says(gamma):
    """E σ(F) over 400,000 draws, written out in probabilities of its own."""
    gan, calibration = affine_gan(2, 0).gan, Logistic(1.0, 0.0, ceiling=1.5)
    d = calibration(LatentTarget(gan).log_weight(gan.prior(400_000, rng(5)))) - 1.5
    accept = 1 / (1 + (gamma - d).exp() * (1 - (d - 1e-6).exp()))
    proposals = N / (rate := drs(gan, N, gamma=gamma, calibration=calibration, rng=rng()).accept_rate)
    # Two binomial errors of at most 1/2; 5.1 of them have a chance below 4e-7.
    assert abs(rate - accept.mean()) < 5.1 * 0.5 * (1 / proposals + 1 / 400_000) ** 0.5


def test_drs_by_percentile_rejects_that_share_of_the_pilot_more_often_than_not():
    """γ moves F's percentile to zero: for a constant logit F itself, so that σ(F) is one half."""
    gan = GAN(nn.Identity(), Flat(), 2).frozen()
    rate = drs(gan, N, percentile=50, rng=rng()).accept_rate
    assert abs(rate - 0.5) < 5.1 * 0.5 / (2 * N) ** 0.5
    low, high = (drs(mlp_gan(), 200, percentile=p, rng=rng()).accept_rate for p in (5, 95))
    assert low > high


class Flat(nn.Module):
    """D that has given up."""

    def forward(self, x):
        return 0.0 * x.sum(-1)


class Coupled(nn.Module):
    """Batch statistics in eval mode, as of a BatchNorm that tracks none."""

    def forward(self, x):
        return ((x - x.mean(0)) / (x.std(0, correction=0) + 1e-6)).sum(-1)


class Chance(nn.Module):
    """Dropout that nobody switched off."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True).sum(-1)


class Cracked(nn.Module):
    """NaN for one image in a thousand: too rare for a look at a few."""

    def forward(self, x):
        return torch.where(x[:, 0] > 3.0, torch.nan, x[:, 0])


def test_drs_stops_at_a_logit_of_which_there_is_no_maximum():
    with pytest.raises(ValueError, match="discriminator: expected finite logits, got NaN or infinity"):
        drs(GAN(nn.Identity(), Cracked(), 2).frozen(), 10_000, rng=rng())


@pytest.mark.parametrize("sampler", [ddls, dg_flow, dot, ex2, mh_gan, rep_gan])
def test_counts_that_make_no_sense_are_named_without_a_trace_too(sampler):
    for bad in (dict(burn_in=-1), dict(thin=0), dict(burn_in=10**6), dict(thin="x"), dict(steps=0)):
        with pytest.raises(ValueError, match=next(iter(bad))):
            sampler(mlp_gan(), 5, **{"steps": 10, **bad}, rng=rng())


def test_a_law_of_another_precision_is_followed_and_what_is_no_law_refused():
    gan = affine_gan(2, 0).gan
    kernel = MetropolisHastings(Independence(StandardNormal(2)))
    assert rep_gan(gan, 5, kernel=kernel, steps=3, rng=rng()).z.dtype == torch.float64
    with pytest.raises(ValueError, match="law: expected an object with sample and log_prob"):
        Independence(gan.prior)


def test_gradient_kernels_refuse_isotonic_calibration_and_the_others_take_it():
    gan = mlp_gan()
    real, fake = torch.randn(200, generator=rng()) + 1, torch.randn(200, generator=rng(1)) - 1
    isotonic = fit_isotonic(real, fake)
    for sampler in (rep_gan, ddls, dot, dg_flow, ex2):
        with pytest.raises(ValueError, match="calibration: expected a differentiable one.*got Isotonic"):
            sampler(gan, 5, steps=3, calibration=isotonic, rng=rng())
    for sampler in (drs, mh_gan):
        assert torch.isfinite(sampler(gan, 5, calibration=isotonic, rng=rng()).x).all()


class Broken(nn.Module):
    def forward(self, x):
        return x.sum(-1) * torch.nan


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("gan", "arguments", "message"),
    [
        (
            GAN(MLP(2, 3), MLP(3, 1), 2),
            {},
            r"gan: expected eval mode, got generator in train mode.*frozen\(\)",
        ),
        (GAN(MLP(2, 3).eval(), MLP(3, 1).eval(), 2), {}, "requires_grad=True"),
        (
            GAN(MLP(2, 3), MLP(3, 2), 2).frozen(),
            {},
            r"discriminator: expected logits of shape.*got \(\d+, 2\)",
        ),
        (GAN(nn.Identity(), Broken(), 2).frozen(), {}, "discriminator: expected finite logits"),
        (
            GAN(nn.Identity(), Coupled(), 2).frozen(),
            {},
            "logit of an image depends on the others of its batch",
        ),
        (GAN(nn.Identity(), Chance(), 2).frozen(), {}, "or on chance"),
        (GAN(MLP(2, 3), MLP(3, 1), 2).frozen(), dict(n=0), "n: expected a positive int, got 0"),
        (GAN(MLP(2, 3), MLP(3, 1), 2).frozen(), dict(batch_size=0), "batch_size: expected at least 1, got 0"),
    ],
)
def test_bad_input_is_named(sampler, gan, arguments, message):
    with pytest.raises(ValueError, match=message):
        sampler(gan, **{"n": 5, **arguments}, rng=rng())


def test_a_generator_of_another_latent_size_is_named():
    with pytest.raises(
        ValueError, match=r"gan: its networks do not take z of shape \(5, 2\) \(latent_dim 2\).*3x3"
    ):
        rep_gan(GAN(MLP(3, 3), MLP(3, 1), 2).frozen(), 5, rng=rng())


def test_a_negative_step_is_named():
    with pytest.raises(ValueError, match="step_size: expected a positive number, got -0.1"):
        rep_gan(mlp_gan(), 5, step_size=-0.1, rng=rng())


def test_too_few_proposals_say_what_to_do():
    case = affine_gan(10, 2)
    with pytest.raises(RuntimeError, match="drs: .* of 1000 draws after .* proposals; a calibration"):
        drs(case.gan, 1000, max_proposals=1000, rng=rng())
