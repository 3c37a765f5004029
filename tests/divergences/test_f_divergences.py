"""Every f-divergence against the definition of a conjugate, autograd, and quadrature."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

from ganedu.divergences import (
    F_DIVERGENCES,
    KL,
    Alpha,
    Jeffrey,
    JensenShannon,
    Pearson,
    SquaredHellinger,
    WeightedJensenShannon,
    log_lambert_w,
)
from ganedu.divergences.special import log1mexp, log_softplus

MORE = {
    "JS-weighted 0.9": WeightedJensenShannon(0.9),
    "alpha -2": Alpha(-2.0),
    "alpha -0.5": Alpha(-0.5),
    "alpha 0.2": Alpha(0.2),
    "alpha 3": Alpha(3.0),
    "alpha 0.001": Alpha(1e-3),
    "alpha 1.001": Alpha(1.001),
}
CASES = F_DIVERGENCES | MORE
each = pytest.mark.parametrize("divergence", CASES.values(), ids=list(CASES))
EPS = 1e-6


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def f(divergence, u: float) -> float:
    return float(divergence.f(tensor(u)))


def conjugate(divergence, t: float) -> float:
    return float(divergence.conjugate(tensor(t)))


U = torch.logspace(-3, 3, 61, dtype=torch.float64)
SMOOTH = U[(U - 1).abs() > 1e-3]  # total variation has no derivative at 1


def inner(divergence) -> list[float]:
    """Some t in dom f*: the slopes of f, and on either side of them where dom f* goes on."""
    slopes = divergence.df(SMOOTH[::6]).tolist()
    ends = [divergence.end - 1e-3] if math.isfinite(divergence.end) else []
    beyond = [t for t in (-300.0, -40.0, -3.0, -1.0, -0.2) if t < divergence.end]
    return sorted({t for t in slopes + ends + beyond if t < divergence.end})


def supremum(function, low: float, high: float) -> float:
    """Of a concave function on e^[low, high] by a search on the logarithm, its ends included."""
    best = minimize_scalar(
        lambda s: -function(math.exp(s)), bounds=(low, high), method="bounded", options={"xatol": 1e-11}
    )
    return max(-best.fun, function(math.exp(low)), function(math.exp(high)))


def conjugate_error(divergence) -> float:
    """The largest difference of f* to sup_u t u - f(u), by a search that knows f alone, over 1e-6 of the
    larger of 1 and the value: above 1 it is wrong."""
    ratios = []
    for t in inner(divergence):
        numeric = supremum(lambda u, t=t: t * u - f(divergence, u), -40.0, 20.0)
        ratios.append(abs(conjugate(divergence, t) - numeric) / (EPS * max(1, abs(numeric))))
    return max(ratios)


@each
def test_the_conjugate_is_the_numeric_supremum(divergence):
    assert conjugate_error(divergence) < 1


def planted(name: str, conjugate):
    """The divergence of this name with another conjugate."""
    right = F_DIVERGENCES[name]
    kind = type("Planted", (type(right),), {"conjugate": conjugate})
    return kind(**dataclasses.asdict(right))


WRONG = {
    "Pearson on the whole line, as printed": ("Pearson", lambda d, t: t * t / 4 + t),
    "KL with e^t": ("KL", lambda d, t: t.exp()),
    "reverse KL without -1": ("reverse KL", lambda d, t: -(-t).log()),
    "Neyman with one root": ("Neyman", lambda d, t: 2 - (1 - t).sqrt()),
    "Hellinger with the wrong sign": ("squared Hellinger", lambda d, t: t / (1 + t)),
    "Jeffrey without -2": ("Jeffrey", lambda d, t: Jeffrey.conjugate(d, t) + 2),
    "Jeffrey after one step of Newton's": ("Jeffrey", lambda d, t: (t - 1).exp() - 1 - (1 - t).clamp(max=0)),
    "JS of GAN": ("Jensen-Shannon", lambda d, t: F_DIVERGENCES["GAN"].conjugate(t - 1)),
    "JS-weighted with t for t/π": ("JS-weighted", lambda d, t: 0.7 * (0.7 / (1 - 0.3 * t.exp())).log()),
    "α > 1 without its clamp": ("alpha > 1", lambda d, t: ((1 + t / 2) ** 3 - 1) / 1.5),
}


@pytest.mark.parametrize(("name", "wrong"), WRONG.values(), ids=list(WRONG))
def test_the_same_test_rejects(name, wrong):
    assert conjugate_error(planted(name, wrong)) > 1.5
    assert conjugate_error(planted(name, lambda d, t: F_DIVERGENCES[name].conjugate(t))) < 1


@each
def test_the_biconjugate_is_f(divergence):
    """sup_t t u - f*(t) over dom f*, by a search that knows f* alone and starts from no slope of f."""
    end = divergence.end
    for u in (0.02, 0.3, 0.9, 1.0, 1.1, 3.0, 30.0):

        def value(t, u=u):
            return t * u - conjugate(divergence, t)

        if math.isfinite(end):  # t = end - e^s
            best = supremum(lambda e: value(end - e), -40.0, 12.0)
        else:
            best = max(supremum(value, -40.0, 12.0), supremum(lambda e: value(-e), -40.0, 12.0))
        assert best == pytest.approx(f(divergence, u), rel=EPS, abs=EPS), u


@each
def test_outside_its_domain_the_conjugate_is_infinite_and_inside_it_is_not(divergence):
    if not math.isfinite(divergence.end):
        assert divergence.conjugate(tensor(-80, -1, 0, 1, 80)).isfinite().all()
        return
    t = divergence.end + tensor(1e-9, 0.1, 50)
    assert divergence.conjugate(t).isposinf().all()
    assert divergence.conjugate(divergence.end - tensor(1e-6, 0.1, 50)).isfinite().all()
    # And so says the supremum, which has no bound there: it grows as u does.
    assert (divergence.end + 0.1) * 1e9 - f(divergence, 1e9) > 1e7


@each
def test_the_end_of_the_domain_is_the_slope_of_f_at_infinity(divergence):
    if math.isfinite(divergence.end):
        # f(u)/u - f'(∞) falls as log(u)/u, or as u^-½, or as u^(α-1).
        slow = 1e-2 if divergence == Alpha(0.2) or divergence == Alpha(0.5) else 1e-4
        assert f(divergence, 1e10) / 1e10 == pytest.approx(divergence.end, abs=slow)
    else:
        assert f(divergence, 1e12) / 1e12 > f(divergence, 1e6) / 1e6 + 5


@each
def test_f_is_convex_and_zero_at_one(divergence):
    """GAN has -log 4, as the seed's f has. Midpoints, and a step in each direction."""
    u = U[:, None] * tensor(1.0, 1.01, 2.0, 50.0)
    gap = (divergence.f(u) + divergence.f(U[:, None])) / 2 - divergence.f((u + U[:, None]) / 2)
    scale = divergence.f(u).abs() + divergence.f(U[:, None]).abs()
    assert (gap >= -1e-14 * (1 + scale)).all() and (gap > 1e-4).any()
    at_one = -math.log(4) if divergence == F_DIVERGENCES["GAN"] else 0.0
    assert f(divergence, 1.0) == pytest.approx(at_one, abs=1e-15)
    assert (divergence.df(U)[1:] >= divergence.df(U)[:-1]).all()


SLOPES_AT_ONE = {
    "total variation": 0,
    "KL": 1,
    "reverse KL": -1,
    "Pearson": 0,
    "Neyman": 0,
    "squared Hellinger": 0,
    "Jeffrey": 0,
    "Jensen-Shannon": 0,
    "JS-weighted": 0,
    "GAN": -math.log(2),
    "alpha < 1": 0,
    "alpha > 1": 0,
}


def test_there_are_twelve_and_their_slopes_at_one_are_those_of_the_table():
    assert set(F_DIVERGENCES) == set(SLOPES_AT_ONE) and len(F_DIVERGENCES) == 12
    for name, slope in SLOPES_AT_ONE.items():
        assert float(F_DIVERGENCES[name].df(tensor(1))) == pytest.approx(slope, abs=1e-15), name


@each
def test_df_is_the_gradient_of_f(divergence):
    u = SMOOTH.clone().requires_grad_()
    (expected,) = torch.autograd.grad(divergence.f(u).sum(), u)
    torch.testing.assert_close(divergence.df(SMOOTH), expected, rtol=1e-8, atol=1e-8)


@each
def test_the_gradient_of_the_conjugate_inverts_df(divergence):
    """f*' = (f')⁻¹ wherever f is strictly convex: all but total variation, whose f*' is 1 in between."""
    t = divergence.df(SMOOTH).detach().requires_grad_()
    if divergence == F_DIVERGENCES["total variation"]:
        t = tensor(-0.4, 0.0, 0.4).requires_grad_()
    (found,) = torch.autograd.grad(divergence.conjugate(t).sum(), t)
    expected = torch.ones(3) if len(t) == 3 else SMOOTH
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-6)


@each
def test_the_activation_maps_into_the_domain_and_covers_the_slopes_of_f(divergence):
    """Increasing, below the end, and every f'(u) has a v, found by bisection; total variation's are its
    ends, which it reaches in the limit."""
    v = torch.linspace(-700, 700, 1401, dtype=torch.float64)
    t = divergence.activation(v)
    assert (t[1:] >= t[:-1]).all() and (t <= divergence.end).all()
    assert (divergence.activation(v[abs(v) <= 15]) < divergence.end).all()
    slopes = divergence.df(SMOOTH)
    low, high = torch.full_like(slopes, -1e9), torch.full_like(slopes, 1e9)
    for _ in range(200):
        middle = (low + high) / 2
        below = divergence.activation(middle) < slopes
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    torch.testing.assert_close(divergence.activation(high), slopes, rtol=1e-9, atol=EPS)


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_fused_dual_is_the_conjugate_of_the_activation(divergence, dtype):
    v = torch.linspace(-6, 6, 97, dtype=torch.float64)
    expected = divergence.conjugate(divergence.activation(v))
    tolerance = EPS if dtype == torch.float64 else 2e-5
    found = divergence.dual(v.to(dtype))
    assert found.dtype == divergence.activation(v.to(dtype)).dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_and_right_at_extreme_outputs(divergence, dtype):
    """d f*(g(v)) / dv = u g'(v) with u = f*'(g(v)) > 0: so it has the sign of g', and no NaN in it, up to
    where the value itself leaves the range; there float32 ends at e^88, and the steepest is e^(2.3 v)."""
    v = torch.tensor([-80, -30, -21, -20, -19, -1, 0, 1, 19, 20, 21, 30, 80], dtype=dtype)
    v.requires_grad_()
    real, fake = divergence.activation(v), divergence.dual(v)
    assert real.isfinite().all() and fake.isfinite().all()
    (rise,) = torch.autograd.grad(real.sum(), v)
    (cost,) = torch.autograd.grad(fake.sum(), v)
    assert rise.isfinite().all() and (rise >= 0).all()
    assert cost.isfinite().all() and (cost >= 0).all()
    # The same in float64 by differences that no autograd has touched.
    x, step = v.detach().double(), 1e-4
    for function, slope in ((divergence.activation, rise), (divergence.dual, cost)):
        difference = (function(x + step) - function(x - step)) / (2 * step)
        scale = 1e-9 * function(x).abs() + 1e-7 + 1e-5 * difference.abs()
        if dtype == torch.float32:
            scale = scale + 2e-5 * difference.abs()
        assert ((slope.double() - difference).abs() <= scale + 1e-6).all()


BOUNDED = ["total variation", "reverse KL", "Jensen-Shannon", "JS-weighted", "GAN"]


@pytest.mark.parametrize("name", BOUNDED)
def test_the_fused_duals_that_grow_at_most_linearly_never_overflow(name):
    v = tensor(-1e6, -1e4, -800, 800, 1e4, 1e6).requires_grad_()
    value = F_DIVERGENCES[name].dual(v)
    (slope,) = torch.autograd.grad(value.sum(), v)
    assert value.isfinite().all() and slope.isfinite().all()
    # Power: through the activation, e^-v or log(1 - e^t) has long left the range.
    if name != "total variation":
        plain = F_DIVERGENCES[name].conjugate(F_DIVERGENCES[name].activation(v))
        assert not plain.isfinite().all()


@each
def test_the_dual_at_the_best_critic_is_the_primal(divergence):
    """E_P T - E_Q f*(T) at T = f'(p/q) against ∫ q f(p/q), by quadrature; and at another T it is less."""
    x = torch.linspace(-30, 30, 20_001, dtype=torch.float64)
    log_p, log_q = (
        torch.distributions.Normal(tensor(mean), tensor(std)).log_prob(x)
        for mean, std in ((0.0, 1.0), (0.4, 1.05))
    )
    p, q, u = log_p.exp(), log_q.exp(), (log_p - log_q).exp()

    def dual(t):
        return float(torch.trapezoid(p * t - q * divergence.conjugate(t), x))

    primal = float(torch.trapezoid(q * divergence.f(u), x))
    best = divergence.df(u)
    assert dual(best) == pytest.approx(primal, abs=EPS)
    end = divergence.end if math.isfinite(divergence.end) else 0.0
    assert dual(end + (best - end) * 0.9) < primal - 1e-4


@given(st.floats(0.01, 100), st.floats(-8, 8))
@settings(max_examples=60, deadline=None)
def test_the_inequality_of_fenchel(u, v):
    """f(u) + f*(t) >= t u for every t in dom f*."""
    for name, divergence in CASES.items():
        value, t = divergence.f(tensor(u)), divergence.activation(tensor(v))
        room = value + divergence.conjugate(t) - t * u
        assert float(room) >= -1e-9 * (1 + float((t * u).abs())), name


def test_known_relations():
    """Each to a constant factor and a multiple of u - 1, which no divergence sees."""
    for left, right in (
        (Alpha(2.0).f(U), Pearson().f(U) / 2),
        (Alpha(-1.0).f(U), F_DIVERGENCES["Neyman"].f(U) / 2),
        (Alpha(0.5).f(U), 2 * SquaredHellinger().f(U)),
        (Alpha(1 + 1e-9).f(U), KL().f(U) - (U - 1)),
        (Alpha(-1e-9).f(U), F_DIVERGENCES["reverse KL"].f(U) + (U - 1)),
        (WeightedJensenShannon(0.5).f(U), JensenShannon().f(U) / 2),
        (F_DIVERGENCES["GAN"].f(U), JensenShannon().f(U) - (U + 1) * math.log(2)),
        (Jeffrey().f(U), KL().f(U) + F_DIVERGENCES["reverse KL"].f(U)),
    ):
        torch.testing.assert_close(left, right, rtol=1e-7, atol=1e-12)


def test_jeffrey_against_scipys_lambert_w():
    """W + 1/W + t - 2, W = W₀(e^(1-t)); scipy's argument overflows below t = -708, ours has none."""
    t = torch.linspace(-100, 100, 801, dtype=torch.float64)
    w = torch.tensor(lambertw((1 - t).exp().numpy()).real)
    torch.testing.assert_close(log_lambert_w(1 - t).exp(), w, rtol=1e-13, atol=0)
    torch.testing.assert_close(Jeffrey().conjugate(t), w + 1 / w + t - 2, rtol=1e-12, atol=1e-12)
    for s in (-1e8, -1e3, 1e3, 1e8):
        y = float(log_lambert_w(tensor(s)))
        assert math.exp(y) + y == pytest.approx(s, rel=1e-14)


@pytest.mark.parametrize(("dtype", "reach"), [(torch.float64, 100.0), (torch.float32, 85.0)])
def test_jeffrey_is_finite_with_its_gradient_as_far_as_promised(dtype, reach):
    t = torch.linspace(-reach, reach, 1001, dtype=dtype).requires_grad_()
    value = Jeffrey().conjugate(t)
    (slope,) = torch.autograd.grad(value.sum(), t)
    assert value.isfinite().all() and slope.isfinite().all()
    exact = Jeffrey().conjugate(t.detach().double())
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    torch.testing.assert_close(value.double(), exact, rtol=tolerance, atol=tolerance)


def test_the_derivatives_of_newtons_root_are_those_of_the_implicit_function():
    """y = log W(e^s), W = e^y: y' = 1/(1 + W), y'' = -W/(1 + W)³, y''' = W(2W - 1)/(1 + W)⁵; and of
    Jeffrey's f*, whose slope is 1/W, the second is 1/(W (1 + W)): a gradient penalty needs it."""
    s = torch.linspace(-99, 101, 401, dtype=torch.float64).requires_grad_()
    w = torch.tensor(lambertw(s.detach().exp().numpy()).real)
    order = log_lambert_w(s)
    for expected in (1 / (1 + w), -w / (1 + w) ** 3, w * (2 * w - 1) / (1 + w) ** 5):
        (order,) = torch.autograd.grad(order.sum(), s, create_graph=True)
        torch.testing.assert_close(order, expected, rtol=1e-9, atol=1e-12)
    t = torch.linspace(-100, 100, 401, dtype=torch.float64).requires_grad_()
    w = torch.tensor(lambertw((1 - t.detach()).exp().numpy()).real)
    order = Jeffrey().conjugate(t)
    for expected in (1 / w, 1 / (w * (1 + w))):
        (order,) = torch.autograd.grad(order.sum(), t, create_graph=True)
        torch.testing.assert_close(order, expected, rtol=1e-9, atol=1e-12)


def test_log_softplus_has_no_seam():
    x = torch.cat([torch.linspace(-40, 40, 801), tensor(-20 - 1e-12, -20 + 1e-12)]).double()
    y = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(log_softplus(y).sum(), y)
    exact = x.exp().log1p()
    torch.testing.assert_close(log_softplus(x), exact.log(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(slope, x.sigmoid() / exact, rtol=1e-7, atol=1e-9)
    assert float(log_softplus(tensor(-5000.0))) == -5000


@each
def test_shapes_and_half_precision(divergence):
    for dtype in (torch.bfloat16, torch.float32):
        v = torch.linspace(-2, 2, 12, dtype=dtype).reshape(3, 1, 4)
        for function in (divergence.activation, divergence.dual, divergence.conjugate):
            assert function(v).shape == v.shape and function(v).dtype == dtype
        assert divergence.f(v.exp()).dtype == divergence.df(v.exp()).dtype == dtype


@pytest.mark.parametrize("pi", [0.0, 1.0, -0.1, math.nan])
def test_a_bad_weight_is_named(pi):
    with pytest.raises(ValueError, match="pi: expected a number between 0 and 1, got"):
        WeightedJensenShannon(pi)


@pytest.mark.parametrize("alpha", [0, 1.0, math.inf, math.nan])
def test_a_bad_alpha_is_named(alpha):
    with pytest.raises(ValueError, match="alpha: expected a finite number other than 0 and 1, got"):
        Alpha(alpha)


@each
@pytest.mark.parametrize("u", [1e-3, 0.5, 1.0, 7.0, 1e4])
def test_the_dual_of_a_ratio_is_fenchels(divergence, u):
    at = tensor(u)
    expected = at * divergence.df(at) - divergence.f(at)
    torch.testing.assert_close(divergence.dual_of_ratio(at), expected, rtol=1e-9, atol=1e-11)
    if math.isfinite(float(divergence.conjugate(divergence.df(at)))):
        expected = divergence.conjugate(divergence.df(at))
        torch.testing.assert_close(divergence.dual_of_ratio(at), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    ["reverse KL", "Neyman", "squared Hellinger", "Jensen-Shannon", "JS-weighted", "GAN", "alpha < 1"],
)
def test_the_dual_of_a_ratio_that_only_float32_calls_ordinary(name):
    """In 60 digits, from f alone: u f'(u) - f(u) loses all of float64's at u = 1e18."""
    mpmath = pytest.importorskip("mpmath", reason="a dependency of torch")
    with mpmath.workdps(60):
        log = mpmath.log
        f = {
            "reverse KL": lambda u: -log(u),
            "Neyman": lambda u: (1 - u) ** 2 / u,
            "squared Hellinger": lambda u: (mpmath.sqrt(u) - 1) ** 2,
            "Jensen-Shannon": lambda u: u * log(u) - (u + 1) * log((1 + u) / 2),
            "JS-weighted": lambda u: (
                mpmath.mpf(0.3) * u * log(u)
                - (1 - mpmath.mpf(0.3) + mpmath.mpf(0.3) * u) * log(1 - mpmath.mpf(0.3) + mpmath.mpf(0.3) * u)
            ),
            "GAN": lambda u: u * log(u) - (u + 1) * log(1 + u),
            "alpha < 1": lambda u: (mpmath.sqrt(u) - 1 - (u - 1) / 2) / mpmath.mpf(-0.25),
        }[name]
        u = mpmath.mpf(10) ** 18
        exact = float(u * mpmath.diff(f, u) - f(u))
    for dtype, digits in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        found = F_DIVERGENCES[name].dual_of_ratio(torch.tensor(1e18, dtype=dtype))
        assert float(found) == pytest.approx(exact, rel=digits)


@pytest.mark.parametrize(("alpha", "v"), [(-0.5, 50.0), (-0.5, 80.0), (0.9, -100.0)])
def test_the_slope_of_alphas_dual_is_not_lost_in_float32(alpha, v):
    slopes = []
    for dtype in (torch.float32, torch.float64):
        at = torch.tensor(v, dtype=dtype, requires_grad=True)
        Alpha(alpha).dual(at).backward()
        slopes.append(float(at.grad))
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-4) and slopes[1] > 0


@pytest.mark.parametrize("name", ["Jensen-Shannon", "JS-weighted", "GAN"])
@pytest.mark.parametrize("u", [0.0, 0.01, 0.6, 0.999, 1.001, 1.5, 1e4, 1e8])
def test_f_of_the_divergences_to_a_mean_keeps_its_digits_in_float32(name, u):
    """Against 60 digits: the terms of f cancel near 1 and where u is large. float32 has u to 6e-8 of it, and
    near 1 f is (u - 1)²: a distance of 1e-3 to 6e-5."""
    mpmath = pytest.importorskip("mpmath", reason="a dependency of torch")
    divergence = F_DIVERGENCES[name]
    at = torch.tensor(u, dtype=torch.float32)
    with mpmath.workdps(60):
        exact = mpmath.mpf(float(at))
        pi = mpmath.mpf({"Jensen-Shannon": 0.5, "GAN": 0.5, "JS-weighted": 0.3}[name])
        mean = 1 - pi + pi * exact
        f = (pi * exact * mpmath.log(exact) if u else 0) - mean * mpmath.log(mean)
        if name != "JS-weighted":
            f = 2 * f - (2 * mean * mpmath.log(2) if name == "GAN" else 0)
    # The weighted one is exact where u is large; near 1 it has rounding, as a sum of numbers near 1.
    within = {"rel": 2e-6, "abs": 1e-7} if name == "JS-weighted" else {"rel": 2e-4, "abs": 1e-12}
    assert float(divergence.f(at)) == pytest.approx(float(f), **within)
    assert float(divergence.f(at.double())) == pytest.approx(float(f), rel=1e-9, abs=1e-15)


ALPHAS = (-2.0, -1e-3, -1e-6, 1e-6, 1e-3, 0.5, 0.999, 1 - 1e-6, 1 + 1e-6, 1.001, 1.5, 3.0)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_alphas_digits_in_float32_are_those_of_60(alpha):
    """Near 0 and 1 too, where it is reverse KL and KL. f is (u - 1)² near 1, and moves by a rounding of u as
    much as u / (u - 1) roundings."""
    mpmath = pytest.importorskip("mpmath", reason="a dependency of torch")
    divergence, exact = Alpha(alpha), {}
    u = torch.tensor([1e-6, 0.01, 0.6, 0.999, 1.001, 1.5, 100.0, 1e6], requires_grad=True)
    t = torch.tensor([t for t in (-3.0, -0.5, -1e-3, 1e-3, 0.4, 0.9) if 1 + (alpha - 1) * t > 0])
    with mpmath.workdps(60):
        a = mpmath.mpf(alpha)
        ratios = [mpmath.mpf(at) for at in u.tolist()]
        exact["df"] = [(at ** (a - 1) - 1) / (a - 1) for at in ratios]
        exact["dual_of_ratio"] = [(at**a - 1) / a for at in ratios]
        exact["f"] = [(at**a - 1 - a * (at - 1)) / (a * (a - 1)) for at in ratios]
        base = [1 + (a - 1) * mpmath.mpf(at) for at in t.tolist()]
        exact["conjugate"] = [(at ** (a / (a - 1)) - 1) / a for at in base]
    found = {name: getattr(divergence, name)(u) for name in ("df", "dual_of_ratio", "f")}
    (found["slope"],), exact["slope"] = torch.autograd.grad(found["f"].sum(), u), exact["df"]
    found["conjugate"] = divergence.conjugate(t)
    for name, values in found.items():
        true = torch.tensor([float(value) for value in exact[name]], dtype=torch.float64)
        moved = (u / (u - 1)).detach().abs().clamp(min=1) if name in ("f", "slope") else torch.ones(())
        assert float(((values.detach().double() - true) / true / moved).abs().max()) < 2e-6, name


@pytest.mark.parametrize("alpha", [-0.5, 1e-3, 0.7, 0.999, 1.001, 1.5, 3.0])
def test_alphas_f_at_a_ratio_of_zero(alpha):
    """It is 1/α with slope 1 / (1 - α) for α > 1, with slope -inf below, and inf below 0."""
    u = torch.zeros((), requires_grad=True)
    value = Alpha(alpha).f(u)
    (slope,) = torch.autograd.grad(value, u)
    assert float(value.detach()) == pytest.approx(1 / alpha if alpha > 0 else math.inf, rel=1e-6)
    assert float(slope) == pytest.approx(1 / (1 - alpha) if alpha > 1 else -math.inf, rel=1e-6)


def test_total_variations_dual_of_a_large_ratio_is_one_half():
    ratios = torch.tensor([1e-9, 0.5, 2.0, 1e8])
    found = F_DIVERGENCES["total variation"].dual_of_ratio(ratios)
    assert found.tolist() == [-0.5, -0.5, 0.5, 0.5]


def test_the_conjugate_at_the_end_of_its_domain():
    """sup t u - f(u) at t = lim f'(u): what it comes to as u grows."""
    u = torch.logspace(0, 12, 50, dtype=torch.float64)
    for name, value in (("Neyman", 2.0), ("total variation", 0.5)):
        divergence = F_DIVERGENCES[name]
        assert float(divergence.conjugate(tensor(divergence.end))) == pytest.approx(value, abs=1e-12)
        assert float((divergence.end * u - divergence.f(u)).max()) == pytest.approx(value, abs=1e-3)
    for alpha in (-0.5, -2.0):
        assert float(Alpha(alpha).conjugate(tensor(1 / (1 - alpha)))) == pytest.approx(-1 / alpha, abs=1e-12)


@pytest.mark.parametrize(
    "name",
    ["reverse KL", "Neyman", "squared Hellinger", "Jensen-Shannon", "JS-weighted", "GAN", "alpha < 1"],
)
def test_what_is_outside_the_domain_does_not_spoil_the_slope_of_what_is_inside(name):
    divergence = F_DIVERGENCES[name]
    beyond = (0.5,) if name in ("Neyman", "alpha < 1") else (0.0, 0.5)  # the end itself is in these domains
    t = (divergence.end + tensor(-1.0, *beyond)).requires_grad_()
    (slope,) = torch.autograd.grad(divergence.conjugate(t)[0], t)
    assert slope.isfinite().all() and slope[0] > 0 and (slope[1:] == 0).all()


def test_logarithms_of_differences_and_of_softplus_keep_their_digits():
    x = tensor(1e-12, 0.5, 5.0, 50.0, 300.0)
    near = (math.log(1e-12) - 5e-13, math.log(-math.expm1(-0.5)), math.log1p(-math.exp(-5)))
    exact = tensor(*near, -math.exp(-50), -math.exp(-300))
    torch.testing.assert_close(log1mexp(x), exact, rtol=1e-13, atol=0)
    x = torch.linspace(-30, 5, 701, dtype=torch.float64)
    torch.testing.assert_close(log_softplus(x), x.exp().log1p().log(), rtol=1e-14, atol=1e-15)
