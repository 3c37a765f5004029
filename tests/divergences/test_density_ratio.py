"""Each loss is smallest at r = p/q: on a finite space by autograd, and on two Gaussians by a small fit."""

import math

import numpy as np
import pytest
import torch

from ganedu.divergences.density_ratio import (
    class_probability,
    divergence_of_dual,
    divergence_of_ratio,
    moment_matching,
    ratio_matching,
    ratio_of_dual,
)
from ganedu.divergences.f_divergences import F_DIVERGENCES
from ganedu.divergences.mmd import RBF, Features, mmd2_biased
from ganedu.rng import generator

# Four places; P and Q are samples in which place i stands P_COUNT[i] and Q_COUNT[i] times, of 20 each: the
# means over them are expectations, exactly.
P_COUNT, Q_COUNT = torch.tensor([8, 3, 2, 7]), torch.tensor([4, 6, 8, 2])
REAL, FAKE = torch.arange(4).repeat_interleave(P_COUNT), torch.arange(4).repeat_interleave(Q_COUNT)
P, Q = P_COUNT.double() / 20, Q_COUNT.double() / 20
RATIO = P / Q
PLACES = torch.tensor([[0.0, 0.0], [1.0, 0.5], [-0.5, 2.0], [2.0, 2.0]]).double()
SMOOTH = [name for name in F_DIVERGENCES if name != "total variation"]


def divergence(name):
    """D_f(P || Q) = Σ q f(p/q), the primal."""
    return float((Q * F_DIVERGENCES[name].f(RATIO)).sum())


def raw_output_of(name):
    """v with activation(v) = f'(r), by bisection: activations increase."""
    f = F_DIVERGENCES[name]
    wanted, low, high = f.df(RATIO), torch.full((4,), -30.0).double(), torch.full((4,), 30.0).double()
    for _ in range(200):
        middle = (low + high) / 2
        above = f.activation(middle) > wanted
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2


def kl_to_mean(a):
    return float((a * (2 * a / (P + Q)).log()).sum())


# name: (the loss of a value a place, where it is smallest, what it is there)
LOSSES = {
    "class probability": (
        lambda v: class_probability(v[REAL], v[FAKE]),
        RATIO.log(),
        2 * math.log(2) - kl_to_mean(P) - kl_to_mean(Q),
    ),
    "ratio matching": (lambda r: ratio_matching(r[REAL], r[FAKE]), RATIO, -0.5 * float((P * RATIO).sum())),
    "moment matching": (
        lambda r: moment_matching(PLACES[REAL], PLACES[FAKE], r[FAKE], RBF((1.0,))),
        RATIO,
        0.0,
    ),
}
for name in SMOOTH:
    f = F_DIVERGENCES[name]
    LOSSES[f"dual of {name}"] = (
        lambda v, f=f: divergence_of_dual(f, v[REAL], v[FAKE]),
        raw_output_of(name),
        -divergence(name),
    )
    LOSSES[f"ratio in {name}"] = (
        lambda r, f=f: divergence_of_ratio(f, r[REAL], r[FAKE]),
        RATIO,
        -divergence(name),
    )


@pytest.mark.parametrize("name", LOSSES)
def test_on_a_finite_space_it_is_smallest_at_the_ratio(name):
    """Value, gradient 0 and a positive definite Hessian there, and nothing lower at 100 other places."""
    loss, best, value = LOSSES[name]
    assert float(loss(best)) == pytest.approx(value, abs=1e-9)
    at = best.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(at), at)
    assert slope.abs().max() < 1e-7
    curvature = torch.autograd.functional.hessian(loss, best)
    assert torch.linalg.eigvalsh(curvature).min() > 1e-4
    rng = torch.Generator().manual_seed(0)
    positive = (best > 0).all()
    for _ in range(100):
        change = 0.7 * torch.randn(4, generator=rng, dtype=torch.float64)
        other = best * change.exp() if positive else best + change
        assert loss(other) > value
    # Power: another function is no minimum, the ratio in another order.
    swapped = best.flip(0).requires_grad_()
    (slope,) = torch.autograd.grad(loss(swapped), swapped)
    assert slope.abs().max() > 1e-2


@pytest.mark.parametrize("name", SMOOTH)
def test_the_ratio_comes_back_from_the_dual(name):
    v = raw_output_of(name).requires_grad_()
    found = ratio_of_dual(F_DIVERGENCES[name], v)
    torch.testing.assert_close(found, RATIO, rtol=1e-6, atol=1e-9)
    assert not found.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(ratio_of_dual(F_DIVERGENCES[name], v), found)


LOG_RATIOS = {  # of a raw output v, by f' of each table: where g(v) = f'(r)
    "KL": lambda v: v - 1,
    "reverse KL": lambda v: v,
    "Neyman": lambda v: v / 2,
    "squared Hellinger": lambda v: 2 * v,
    "Jensen-Shannon": lambda v: v,
    "JS-weighted": None,
    "GAN": lambda v: v,
    "alpha < 1": None,
}


def log_ratio_at_the_end(name, v):
    """Where g(v) is the end of dom f* to rounding, by series in what is left, e = softplus(-v) = e^-v there:
    JS-weighted r = (1-π)/π / (e^(e/π) - 1), α = ½ has f'(r) = 2 - 2/√r = 2 - e."""
    if name == "JS-weighted":
        return math.log(0.7 / 0.3) - torch.expm1((-v).exp() / 0.3).log()
    return 2 * (math.log(2) + v) if name == "alpha < 1" else LOG_RATIOS[name](v)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOG_RATIOS)
def test_a_large_ratio_comes_back_too(name, dtype):
    """f*' at the activation has none: in float32 it was 0 for Jensen-Shannon from v = 18 on."""
    v = torch.tensor([18.0, 25.0, 33.0, 40.0], dtype=torch.float64)
    found = ratio_of_dual(F_DIVERGENCES[name], v.to(dtype))
    expect = log_ratio_at_the_end(name, v)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double().log(), expect, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_bound_of_a_large_ratio_keeps_its_digits_in_single_precision(name):
    """r f'(r) and f(r) cancel: the f*(f'(r)) of each by its own formula at T = f'(r), in double precision."""
    f, r = F_DIVERGENCES[name], torch.tensor([1e3, 1e5, 1e6], dtype=torch.float64)
    expect = {
        "KL": r,
        "reverse KL": r.log() - 1,
        "Pearson": r**2 - 1,
        "Neyman": 2 - 2 / r,
        "squared Hellinger": r.sqrt() - 1,
        "Jeffrey": r - 1 + r.log(),
        "Jensen-Shannon": ((1 + r) / 2).log(),
        "JS-weighted": 0.7 * (0.7 + 0.3 * r).log(),
        "GAN": (1 + r).log(),
        "alpha < 1": 2 * (r.sqrt() - 1),
        "alpha > 1": (r**1.5 - 1) / 1.5,
    }[name]
    one = torch.ones(1)
    for value, wanted in zip(r, expect, strict=True):
        loss = divergence_of_ratio(f, one, value.float()[None]) + f.df(one).sum()
        assert float(loss) == pytest.approx(float(wanted), rel=1e-5)
        assert loss.dtype == torch.float32


def test_in_a_training_in_bfloat16_the_quadratic_form_is_none_of_bfloat16s():
    exact = moment_matching(PLACES, PLACES + 0.01, RATIO, RBF((1.0,)))
    with torch.autocast("cpu", torch.bfloat16):
        found = moment_matching(PLACES.float(), PLACES.float() + 0.01, RATIO.float(), RBF((1.0,)))
    assert float(found) == pytest.approx(float(exact), rel=1e-4) and found.dtype == torch.float32


def test_the_dual_is_no_ratio():
    """Seed slide 002 calls the output of "Divergence minimization I" the ratio: for KL it is 1 + log r."""
    torch.testing.assert_close(raw_output_of("KL"), 1 + RATIO.log())
    loss = LOSSES["dual of KL"][0]
    assert loss(RATIO) - loss(1 + RATIO.log()) > 0.01


def test_ratio_matching_is_the_squared_error_up_to_its_constant():
    """½ E_Q (r - r*)² - ½ E_P r*, by the definition, for any r."""
    r = torch.tensor([0.3, -1.0, 2.0, 5.0]).double()
    expect = 0.5 * (Q * (r - RATIO).square()).sum() - 0.5 * (P * RATIO).sum()
    torch.testing.assert_close(ratio_matching(r[REAL], r[FAKE]), expect)


def test_moment_matching_with_ratio_one_is_mmd2_and_matches_by_loops():
    kernel, one = RBF((1.0,)), torch.ones(20).double()
    torch.testing.assert_close(
        moment_matching(PLACES[REAL], PLACES[FAKE], one, kernel),
        mmd2_biased(PLACES[REAL], PLACES[FAKE], kernel),
    )
    r = torch.tensor([0.3, 1.0, 2.0, 5.0]).double()
    k = [[math.exp(-0.5 * float((a - b).square().sum())) for b in PLACES] for a in PLACES]
    gap = P - Q * r
    expect = sum(float(gap[i] * gap[j]) * k[i][j] for i in range(4) for j in range(4))
    found = moment_matching(PLACES[REAL], PLACES[FAKE], r[FAKE], kernel)
    assert float(found) == pytest.approx(expect, rel=1e-10)


# Two Gaussians as quantiles at (i + ½)/n, which need no luck: P = N(0.6, 1), Q = N(0, 1.4²).
N = 1000
Z = torch.special.ndtri((torch.arange(N, dtype=torch.float64) + 0.5) / N)
REAL_X, FAKE_X = 0.6 + Z, 1.4 * Z
AT = torch.linspace(-2, 3, 101, dtype=torch.float64)
LOG_RATIO = math.log(1.4) - 0.5 * (AT - 0.6).square() + 0.5 * (AT / 1.4).square()


def quadratic(c, x):
    return c[0] + c[1] * x + c[2] * x.square()


def of_ratio(loss):
    return lambda c: loss(quadratic(c, REAL_X).exp(), quadratic(c, FAKE_X).exp())


FITS = {
    "class probability": lambda c: class_probability(quadratic(c, REAL_X), quadratic(c, FAKE_X)),
    "ratio matching": of_ratio(ratio_matching),
    "moment matching": lambda c: (
        100 * moment_matching(REAL_X[:, None], FAKE_X[:, None], quadratic(c, FAKE_X).exp(), RBF((0.5, 1.0)))
    ),
    "ratio in KL": of_ratio(lambda p, q: divergence_of_ratio(F_DIVERGENCES["KL"], p, q)),
    "dual of KL": lambda c: divergence_of_dual(
        F_DIVERGENCES["KL"], 1 + quadratic(c, REAL_X), 1 + quadratic(c, FAKE_X)
    ),
}


def fit(loss):
    """Coefficients of log r = c0 + c1 x + c2 x², by L-BFGS from 0."""
    c = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    lbfgs = torch.optim.LBFGS([c], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure():
        lbfgs.zero_grad()
        value = loss(c)
        value.backward()
        return value

    lbfgs.step(closure)
    return c.detach()


@pytest.mark.parametrize("name", FITS)
def test_two_gaussians_are_told_apart_by_the_right_ratio(name):
    """log r to 0.01 between -2 and 3: what 1,000 quantiles leave of the tails (measured: at most 0.0067). No
    luck is involved."""
    found = quadratic(fit(FITS[name]), AT)
    worst = float((found - LOG_RATIO).abs().max())
    print(f"{name}: log r within {worst:.4f}")
    assert worst < 0.01


def test_the_same_fit_rejects_planted_errors():
    wrong = {
        "P and Q exchanged": lambda c: class_probability(quadratic(c, FAKE_X), quadratic(c, REAL_X)),
        "no half": of_ratio(lambda p, q: q.square().mean() - p.mean()),
        "KL's f* without its 1": of_ratio(lambda p, q: (2 * q).mean() - p.log().mean()),
    }
    for name, loss in wrong.items():
        assert (quadratic(fit(loss), AT) - LOG_RATIO).abs().max() > 0.3, name


def test_logits_of_a_thousand_stay_finite():
    big = torch.tensor([-1000.0, 1000.0], requires_grad=True)
    loss = class_probability(big, big)
    loss.backward()
    assert loss == 1000 and big.grad.isfinite().all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: divergence_of_ratio(F_DIVERGENCES["KL"], RATIO, -RATIO),
            "r_fake: expected positive ratios, got -3.5",
        ),
        (
            lambda: class_probability(RATIO[:0], RATIO),
            r"logit_real: expected values \(n,\) or .* got shape \(0,\)",
        ),
        (
            lambda: ratio_matching(PLACES, RATIO),
            r"r_real: expected values .* got shape \(4, 2\)",
        ),
        (
            lambda: moment_matching(PLACES, PLACES, RATIO[:3], RBF()),
            r"r_fake: expected shape \(4,\), got \(3,\)",
        ),
        (lambda: moment_matching(PLACES, PLACES[:, :1], RATIO, RBF()), "fake: expected points of shape"),
        (
            lambda: ratio_of_dual(F_DIVERGENCES["total variation"], RATIO),
            "divergence: expected one whose f is strictly convex, got total variation",
        ),
    ],
)
def test_what_is_no_ratio_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def test_moments_of_two_sizes():
    """|mean φ(x) - mean r φ(y)|² = cᵀ K c, with 1/7 for each point of P and -r/4 for each of Q in c."""
    real, fake, r = normal(7, 2), normal(4, 2, seed=1), torch.tensor([0.3, 1.0, 2.0, 0.5]).double()
    c = np.concatenate([np.full(7, 1 / 7), -r.numpy() / 4])
    z = torch.cat([real, fake]).numpy()
    gram = np.exp(-0.5 * ((z[:, None] - z) ** 2).sum(-1))
    assert float(moment_matching(real, fake, r, RBF((1.0,)))) == pytest.approx(c @ gram @ c, rel=1e-10)
    exact = (real.mean(0) - (r[:, None] * fake).mean(0)).square().sum()
    found = moment_matching(real.float(), fake.float(), r.float(), Features())
    assert float(found) == pytest.approx(float(exact), rel=1e-5)


def test_a_ratio_that_is_not_positive_is_refused_on_either_side():
    one, zero = torch.ones(3), torch.tensor([1.0, 0.0])
    for real, fake, name in ((zero, one, "r_real"), (one, zero, "r_fake"), (-one, one, "r_real")):
        with pytest.raises(ValueError, match=f"{name}: expected positive ratios, got"):
            divergence_of_ratio(F_DIVERGENCES["KL"], real, fake)


def test_far_ratios_of_neyman_in_float32():
    v = torch.tensor([-120.0, 120.0])
    found = ratio_of_dual(F_DIVERGENCES["Neyman"], v)
    torch.testing.assert_close(found.double(), (v.double() / 2).exp(), rtol=1e-6, atol=0)
