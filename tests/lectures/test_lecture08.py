"""Every numbered equation of lecture 8, as printed and by another way; and its checks of the slides."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, linalg, optimize, stats

from ganedu.demos import finite
from ganedu.rng import generator
from ganedu.samplers import Hamiltonian, Langevin, MetropolisHastings
from ganedu.samplers.base import evaluate_with_grad
from ganedu.samplers.diagnostics import autocorrelation_time, ess, split_rhat
from ganedu.samplers.hamiltonian import kinetic, leapfrog
from ganedu.targets import Banana, StandardNormal
from tests.lectures.lecture import notebook

FALSE_FAIL = 1e-6
DOUBLE = torch.float64
BANANA = Banana(scale=2.0, bend=0.25)


def log_p(z):
    """An asymmetric density on the line, not normalised: two hills."""
    return np.logaddexp(-0.5 * (z + 1.2) ** 2 / 0.6, -0.7 - 0.5 * (z - 1.5) ** 2 / 0.3)


def slope(z):
    return (log_p(z + 1e-5) - log_p(z - 1e-5)) / 2e-5


LINE = np.linspace(-9.0, 9.0, 2401)
CELL = LINE[1] - LINE[0]
DENSITY = np.exp(log_p(LINE))
DENSITY /= DENSITY.sum() * CELL


def proposal(tau: float, drift: bool) -> np.ndarray:
    """q(z'|z) on the line: row z, column z'."""
    mean = LINE + (tau / 2 * slope(LINE) if drift else 0.0)
    return stats.norm.pdf(LINE[None, :], mean[:, None], math.sqrt(tau))


def accepted(q: np.ndarray) -> np.ndarray:
    """q α on the line, α as (L8.7) has it."""
    ratio = DENSITY[None, :] * q.T / np.maximum(DENSITY[:, None] * q, 1e-300)
    return q * np.minimum(1.0, ratio)


def after_a_step(moves: np.ndarray) -> np.ndarray:
    """∫ p(z) K(z'|z) dz, where what does not move stays."""
    return DENSITY @ moves * CELL + DENSITY * (1 - moves.sum(1) * CELL)


@pytest.mark.equation("L8.1")
def test_rejection_keeps_sigma_to_the_minus_d():
    """By drawing, in 5 dimensions; n of 200,000 is binomial. Power: d = 4 and d = 6 are rejected."""
    n, d, sigma = 200_000, 5, 1.3
    z = stats.norm.rvs(scale=sigma, size=(n, d), random_state=8)
    log_ratio = stats.norm.logpdf(z).sum(1) - stats.norm.logpdf(z, scale=sigma).sum(1)
    largest = d * (stats.norm.logpdf(0) - stats.norm.logpdf(0, scale=sigma))
    assert log_ratio.max() <= largest
    kept = int((np.log(stats.uniform.rvs(size=n, random_state=9)) < log_ratio - largest).sum())

    def rejected(share: float) -> bool:
        return (
            not stats.binom.ppf(FALSE_FAIL / 2, n, share) <= kept <= stats.binom.isf(FALSE_FAIL / 2, n, share)
        )

    assert not rejected(sigma**-d) and rejected(sigma ** -(d - 1)) and rejected(sigma ** -(d + 1))


def test_the_price_that_the_text_names():
    assert round(1.1**100, -1) == 13_780 and round(1.1**2, 1) == 1.2


@pytest.mark.parametrize(("sigma", "share"), [(1.1, 0.22), (1.3, 1 / 9000)])
def test_the_share_of_weighted_draws_that_counts(sigma, share):
    """(E w)² / E w² a coordinate, by quadrature; to the power of 100."""

    def moment(k):
        def weighted(z):
            return stats.norm.pdf(z) ** k * stats.norm.pdf(z, scale=sigma) ** (1 - k)

        return integrate.quad(weighted, -40, 40, points=[0])[0]

    one = moment(1) ** 2 / moment(2)
    assert one == pytest.approx(math.sqrt(2 * sigma**2 - 1) / sigma**2)
    assert one**100 == pytest.approx(share, rel=0.03)


@pytest.mark.equation("L8.2", "L8.5")
@pytest.mark.parametrize("drift", [False, True])
def test_one_step_leaves_the_density_as_it_is(drift):
    """By quadrature. Power: with all proposals accepted it does not."""
    q = proposal(0.5, drift)
    assert np.abs(after_a_step(accepted(q)) - DENSITY).max() < 1e-10
    assert np.abs(after_a_step(q) - DENSITY).max() > 1e-3


@pytest.mark.equation("L8.3")
def test_the_law_of_five_states_is_a_left_eigenvector():
    matrix = finite.metropolis_matrix(finite.LAW, finite.ring(5, 0.7)).numpy()
    values, vectors = linalg.eig(matrix, left=True, right=False)
    first = vectors[:, np.argmin(np.abs(values - 1))].real
    assert first / first.sum() == pytest.approx(finite.LAW.numpy())
    assert (matrix >= 0).all() and matrix.sum(1) == pytest.approx(np.ones(5))


@pytest.mark.equation("L8.4", "L8.7", "L8.8")
def test_metropolis_and_hastings_balance_flow_by_flow():
    q = proposal(0.5, drift=True)
    flow = DENSITY[:, None] * accepted(q)
    np.testing.assert_allclose(flow, flow.T, atol=1e-14)
    there = DENSITY[:, None] * q
    np.testing.assert_allclose(flow, np.minimum(there, there.T), atol=1e-14)
    assert np.abs(there - there.T).max() > 0.01


@pytest.mark.equation("L8.6")
@pytest.mark.parametrize("clockwise", [0.5, 0.7, 0.95])
def test_the_distance_from_pi_is_below_the_bound(clockwise):
    """For every start, with powers and eigenvalues of numpy; and the bound is not idle."""
    law = finite.LAW.numpy()
    matrix = finite.metropolis_matrix(finite.LAW, finite.ring(5, clockwise)).numpy()
    rate = np.sort(np.abs(np.linalg.eigvals(matrix)))[-2]
    assert finite.decay_rate(torch.tensor(matrix), finite.LAW) == pytest.approx(rate)
    tightest = 0.0
    for n in range(1, 30):
        distance = 0.5 * np.abs(np.linalg.matrix_power(matrix, n) - law).sum(1)
        bound = 0.5 * np.sqrt((1 - law) / law) * rate**n
        assert (distance <= bound + 1e-14).all()
        tightest = max(tightest, float((distance / bound).max()))
    assert tightest > 0.3


@pytest.mark.equation("L8.9")
def test_the_log_of_alpha_is_the_sum_of_four_logs():
    """By scipy's Gaussian: the library's log α of the same moves, and the α of (L8.7)."""
    tau, kernel = 0.4, Langevin(0.4)
    start = evaluate_with_grad(BANANA, torch.randn(50, 2, generator=generator(8, 90), dtype=DOUBLE))
    z, new = start.z, kernel.propose(BANANA, start, generator(8, 91))[0].z

    def log_q(to, given):
        mean = kernel.mean(evaluate_with_grad(BANANA, given)).numpy()
        return stats.norm.logpdf(to.numpy(), mean, math.sqrt(tau)).sum(1)

    log_alpha = np.minimum(
        0, (BANANA.log_prob(new) - BANANA.log_prob(z)).numpy() + log_q(z, new) - log_q(new, z)
    )
    p, p_new = BANANA.log_prob(z).exp().numpy(), BANANA.log_prob(new).exp().numpy()
    alpha = np.minimum(1, p_new * np.exp(log_q(z, new)) / (p * np.exp(log_q(new, z))))
    np.testing.assert_allclose(np.exp(log_alpha), alpha, rtol=1e-9)
    _, info = MetropolisHastings(kernel).step(BANANA, start, generator(8, 91))
    np.testing.assert_allclose(info.log_alpha.numpy(), log_alpha, rtol=1e-9, atol=1e-12)
    assert 0.1 < (log_alpha < 0).mean() < 0.9


@pytest.mark.equation("L8.10")
def test_a_langevin_move_has_that_mean_and_variance():
    """A batch of one point: the noise recovered from (L8.10) is N(0, I), by Kolmogorov and Smirnov; with
    ε in the place of τ it is not."""
    n, tau = 20_000, 0.3
    z = torch.tensor([[1.0, -0.5]], dtype=DOUBLE).expand(n, 2)
    grad = np.array([optimize.approx_fprime(z[0].numpy(), value_at, 1e-7)])
    new, _ = Langevin(tau).propose(BANANA, evaluate_with_grad(BANANA, z), generator(8, 91))
    noise = (new.z - z).numpy() - tau / 2 * grad
    assert stats.kstest((noise / math.sqrt(tau)).ravel(), "norm").pvalue > FALSE_FAIL
    assert stats.kstest((noise / math.sqrt(2 * tau)).ravel(), "norm").pvalue < FALSE_FAIL


def value_at(z: np.ndarray) -> float:
    return float(BANANA.log_prob(torch.tensor(z)[None]))


@pytest.mark.equation("L8.11")
@pytest.mark.parametrize("v", [0.3, 1.0, 4.0])
def test_ula_on_a_gaussian_is_a_linear_recursion(v):
    tau = 0.4
    z = torch.randn(30, 1, generator=generator(8, 92), dtype=DOUBLE)
    mean = z + tau / 2 * torch.tensor(-z.numpy() / v)  # the score of N(0, v) is -z/v
    score = evaluate_with_grad(Normal(v), z).grad
    torch.testing.assert_close((1 - tau / (2 * v)) * z, mean)
    torch.testing.assert_close(z + tau / 2 * score, mean)


class Normal:
    def __init__(self, v):
        self.law = torch.distributions.Normal(torch.zeros((), dtype=DOUBLE), math.sqrt(v))

    def log_prob(self, z):
        return self.law.log_prob(z).sum(1)


@pytest.mark.equation("L8.12", "L8.13")
@pytest.mark.parametrize(("v", "tau"), [(1.0, 0.5), (0.02, 0.05), (4.0, 10.0)])
def test_the_variance_of_ula_after_n_steps_and_in_the_end(v, tau):
    """By quadrature: the law of a step from a Gaussian, step by step, on a grid of standard deviations."""
    limit, rho, s2 = v / (1 - tau / (4 * v)), 1 - tau / (2 * v), 0.5 * v
    width = 12 * math.sqrt(max(limit, v))
    x = np.linspace(-width, width, 1201)
    density = stats.norm.pdf(x, scale=math.sqrt(s2))
    step = stats.norm.pdf(x[None, :], x[:, None] + tau / 2 * -x[:, None] / v, math.sqrt(tau))
    for n in range(1, 40):
        density = density @ step * (x[1] - x[0])
        found = (density * x**2).sum() / density.sum()
        assert found == pytest.approx(limit + rho ** (2 * n) * (s2 - limit), rel=1e-6)
    assert found == pytest.approx(limit, rel=0.05)


@pytest.mark.equation("L8.14")
def test_the_correction_of_mala_is_that_of_two_normal_densities():
    z, new = torch.randn(2, 40, 2, generator=generator(8, 93), dtype=DOUBLE)
    tau, kernel = 0.7, Langevin(0.7)
    m, m_new = (kernel.mean(evaluate_with_grad(BANANA, x)) for x in (z, new))
    printed = ((new - m).square().sum(1) - (z - m_new).square().sum(1)) / (2 * tau)
    back = stats.norm.logpdf(z.numpy(), m_new.numpy(), math.sqrt(tau)).sum(1)
    there = stats.norm.logpdf(new.numpy(), m.numpy(), math.sqrt(tau)).sum(1)
    np.testing.assert_allclose(printed.numpy(), back - there, rtol=1e-9, atol=1e-9)


@pytest.mark.equation("L8.15")
@pytest.mark.parametrize("tau", [0.01, 0.5, 3.0])
def test_mala_on_a_standard_normal_refuses_moves_outward(tau):
    target, kernel = StandardNormal(7, DOUBLE), MetropolisHastings(Langevin(tau))
    state = kernel.init(target, torch.randn(200, 7, generator=generator(8, 94), dtype=DOUBLE))
    new, _ = Langevin(tau).propose(target, state, generator(8, 95))
    _, info = kernel.step(target, state, generator(8, 95))
    inward = (state.z.square().sum(1) - new.z.square().sum(1)) * tau / 8
    torch.testing.assert_close(info.log_alpha, inward.clamp(max=0), rtol=1e-9, atol=1e-12)


def energy(target, point, momentum):
    """(L8.16)."""
    return -target.log_prob(point.z) + 0.5 * momentum.square().sum(1)


def rolled(target, z, momentum, step_size: float, steps: int):
    state = evaluate_with_grad(target, z)
    for _ in range(steps):
        state, momentum = leapfrog(target, state, momentum, step_size)
    return state, momentum


def draw(n: int, d: int, *path: int):
    return torch.randn(2, n, d, generator=generator(8, *path), dtype=DOUBLE)


@pytest.mark.equation("L8.16")
def test_the_exact_motion_keeps_the_energy():
    """ż = r, ṙ = ∇log p, by another library's integrator, to its own precision."""

    def motion(_, point):
        state = evaluate_with_grad(BANANA, torch.tensor(point[None, :2]))
        return np.concatenate([point[2:], state.grad[0].numpy()])

    start = np.array([0.5, -0.3, 1.0, 0.4])
    path = integrate.solve_ivp(motion, (0, 10), start, rtol=1e-10, atol=1e-12).y.T
    point = evaluate_with_grad(BANANA, torch.tensor(path[:, :2]))
    values = energy(BANANA, point, torch.tensor(path[:, 2:]))
    assert float(values.max() - values.min()) < 1e-6
    assert float(kinetic(torch.tensor(path[:, 2:])).max()) > 1.0  # it does move


@pytest.mark.equation("L8.17")
def test_the_leapfrog_is_those_three_lines():
    z, r = draw(20, 2, 96)
    step_size = 0.3
    state, momentum = rolled(BANANA, z, r, step_size, 1)
    for i in range(len(z)):
        at, kick = z[i].numpy(), r[i].numpy()
        kick = kick + step_size / 2 * optimize.approx_fprime(at, value_at, 1e-7)
        at = at + step_size * kick
        kick = kick + step_size / 2 * optimize.approx_fprime(at, value_at, 1e-7)
        np.testing.assert_allclose(state.z[i].numpy(), at, atol=1e-5)
        np.testing.assert_allclose(momentum[i].numpy(), kick, atol=1e-5)


@pytest.mark.equation("L8.18")
@pytest.mark.parametrize("steps", [1, 12])
def test_the_leapfrog_keeps_volume_and_runs_backwards(steps):
    z, r = draw(1, 2, 97)
    start = torch.cat([z, r], 1)[0].numpy()

    def flow(point):
        end, momentum = rolled(BANANA, *torch.tensor(point)[None].chunk(2, 1), 0.3, steps)
        return torch.cat([end.z, momentum], 1)[0].numpy()

    columns = [(flow(start + h) - flow(start - h)) / 2e-5 for h in 1e-5 * np.eye(4)]
    assert abs(np.linalg.det(np.stack(columns, 1))) == pytest.approx(1.0, abs=1e-5)
    turned = np.array([1, 1, -1, -1])
    assert turned * flow(turned * flow(start)) == pytest.approx(start, abs=1e-10)


@pytest.mark.equation("L8.19")
def test_hmc_accepts_by_the_energy_that_it_gained():
    """The momentum of the kernel is the generator's first block: the trajectory can be walked again."""
    z, _ = draw(100, 2, 98)
    kernel = MetropolisHastings(Hamiltonian(0.6, n_leapfrog=5))
    state = kernel.init(BANANA, z)
    _, info = kernel.step(BANANA, state, generator(8, 99))
    r = torch.randn(z.shape, generator=generator(8, 99), dtype=DOUBLE)
    end, momentum = rolled(BANANA, z, r, 0.6, 5)
    alpha = torch.exp(energy(BANANA, state, r) - energy(BANANA, end, momentum)).clamp(max=1)
    torch.testing.assert_close(info.log_alpha.exp(), alpha)
    assert 0.05 < float(alpha.mean()) < 0.999


@pytest.mark.equation("L8.20")
def test_one_leapfrog_step_is_a_step_of_mala():
    z, r = draw(60, 2, 100)
    step_size = 0.5
    state = evaluate_with_grad(BANANA, z)
    end, momentum = rolled(BANANA, z, r, step_size, 1)
    torch.testing.assert_close(end.z, z + step_size**2 / 2 * state.grad + step_size * r)
    m, m_end = (Langevin(step_size**2).mean(point) for point in (state, end))
    ratio = ((end.z - m).square().sum(1) - (z - m_end).square().sum(1)) / (2 * step_size**2)
    torch.testing.assert_close(kinetic(r) - kinetic(momentum), ratio)


@pytest.mark.equation("L8.21")
@pytest.mark.parametrize(("step_size", "steps"), [(0.1, 1), (0.8, 7), (1.9, 30), (2.05, 5)])
def test_the_energy_gained_on_a_standard_normal(step_size, steps):
    target, (z, r) = StandardNormal(4, DOUBLE), draw(50, 4, 101)
    end, momentum = rolled(target, z, r, step_size, steps)
    gained = energy(target, end, momentum) - energy(target, evaluate_with_grad(target, z), r)
    printed = step_size**2 / 8 * (end.z.square().sum(1) - z.square().sum(1))
    torch.testing.assert_close(gained, printed, rtol=1e-9, atol=1e-10)


@pytest.mark.equation("L8.22", "L8.23", "L8.24")
@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_the_variance_of_a_mean_and_the_time_of_a_linear_recursion(rho):
    """Of N = 4000 draws exactly: the mean of all entries of their correlation matrix."""
    n = 4000
    matrix = linalg.toeplitz(rho ** np.arange(n)) if rho else np.eye(n)
    exact = matrix.mean()
    time = 1 + 2 * (rho ** np.arange(1, 5000)).sum() if rho else 1.0
    assert time == pytest.approx((1 + rho) / (1 - rho))
    assert exact == pytest.approx(time / n, rel=0.02)
    assert 1 / exact == pytest.approx(n / time, rel=0.02)


def test_the_library_finds_that_time():
    """100 chains of a recursion with ρ = 0.8 and 2000 draws each: 9, estimated to a few percent."""
    noise = torch.randn(2000, 100, generator=generator(8, 102), dtype=DOUBLE)
    x = [noise[0] / 0.6]
    for row in noise[1:]:
        x.append(0.8 * x[-1] + row)
    x = torch.stack(x)
    assert float(autocorrelation_time(x)) == pytest.approx(9.0, rel=0.1)
    assert float(ess(x)) == pytest.approx(x.numel() / 9, rel=0.1)


def test_the_times_that_the_text_names():
    rho = 1 - 0.01 / 2
    assert (1 + rho) / (1 - rho) == pytest.approx(399) and round(640 / 399, 1) == 1.6
    t = torch.arange(640, dtype=DOUBLE)
    correlation = rho ** (t[:, None] - t).abs()
    assert round(float(640**2 / correlation.sum()), 1) == 2.3  # the mean of 640 draws, exactly
    assert (1 + rho) / (1 - rho) == pytest.approx(4 / 0.01, rel=0.01)


@pytest.mark.equation("L8.25")
def test_split_rhat_is_that_quotient():
    x = torch.randn(101, 3, generator=generator(8, 103), dtype=DOUBLE) + torch.tensor([0.0, 0.2, 1.0])
    halves = [half for chain in x.numpy().T for half in (chain[:50], chain[-50:])]
    n = 50
    within = np.mean([half.var(ddof=1) for half in halves])
    between = n * np.var([half.mean() for half in halves], ddof=1)
    assert float(split_rhat(x)) == pytest.approx(math.sqrt(((n - 1) / n * within + between / n) / within))


@pytest.mark.equation("L8.26")
@pytest.mark.parametrize("s", [0.1, 1.0, 4.0])
def test_the_acceptance_of_a_gaussian_log_ratio(s):
    def density(x):
        return stats.norm.pdf(x, -(s**2) / 2, s)

    below, _ = integrate.quad(lambda x: math.exp(x) * density(x), -(s**2) - 12 * s, 0, epsabs=1e-12)
    assert below + stats.norm.sf(0, -(s**2) / 2, s) == pytest.approx(2 * stats.norm.cdf(-s / 2), rel=1e-8)
    mean, _ = integrate.quad(lambda x: math.exp(x) * density(x), -14 * s, s**2 + 14 * s, epsabs=1e-12)
    assert mean == pytest.approx(1.0, rel=1e-8)


@pytest.mark.equation("L8.27")
@pytest.mark.parametrize("theta", [None, 0.5, 1.5])
def test_the_acceptance_in_high_dimension(theta):
    """In 20,000 dimensions by (L8.15) and (L8.21), from draws of numpy: α of 4000 moves, each an average
    of many terms. The step is such that about half is accepted."""
    d, n, rng = 20_000, 4000, np.random.default_rng(8)
    s = 2 * 0.674  # 2 Φ(-s/2) is a half

    def mean_alpha(log_alpha):
        return np.minimum(1, np.exp(log_alpha)).mean()

    # |z|², |ξ|² and z·ξ of a standard normal pair, without drawing 20,000 numbers each.
    zz, cross = rng.chisquare(d, n), rng.standard_normal(n)
    z_xi = np.sqrt(zz) * cross
    xi_xi = cross**2 + rng.chisquare(d - 1, n)
    if theta is None:
        tau = s**2 / d
        walk = mean_alpha(-0.5 * (2 * math.sqrt(tau) * z_xi + tau * xi_xi))
        assert walk == pytest.approx(2 * stats.norm.cdf(-0.5 * math.sqrt(tau * d)), abs=0.04)
        tau = (16 * s**2 / d) ** (1 / 3)
        a = 1 - tau / 2
        mala = mean_alpha(tau / 8 * (zz - (a * a * zz + 2 * a * math.sqrt(tau) * z_xi + tau * xi_xi)))
        assert mala == pytest.approx(2 * stats.norm.cdf(-0.125 * math.sqrt(tau**3 * d)), abs=0.04)
        return
    size = math.sqrt(4 * s / (math.sqrt(d) * math.sin(theta)))
    steps = round(theta / size) or 1
    turn = steps * 2 * math.asin(size / 2)
    c, sine = math.cos(turn), math.sin(turn) / math.sqrt(1 - size**2 / 4)
    ends = c * c * zz + 2 * c * sine * z_xi + sine * sine * xi_xi
    hmc = mean_alpha(size**2 / 8 * (zz - ends))
    printed = 2 * stats.norm.cdf(-0.125 * size**2 * math.sqrt(d) * abs(math.sin(steps * size)))
    assert hmc == pytest.approx(printed, abs=0.04)


@pytest.mark.equation("L8.28")
@pytest.mark.parametrize(
    ("a", "b", "best", "cost"), [(2, 1, 0.234, 1), (2, 3, 0.574, 1 / 3), (1, 2, 0.651, 1 / 4)]
)
def test_the_optimum_of_acceptance(a, b, best, cost):
    """And the exponents of the table: with ℓ^b proportional to (step)^b √d, the step shrinks like
    d^(-1/2b), and an independent draw costs step^-a."""
    found = optimize.minimize_scalar(
        lambda x: -(x**a) * stats.norm.cdf(-(x**b)), bounds=(0.01, 3), method="bounded"
    )
    assert 2 * stats.norm.cdf(-(found.x**b)) == pytest.approx(best, abs=1e-3)
    assert a / (2 * b) == pytest.approx(cost)


@pytest.mark.equation("L8.29")
def test_the_mean_of_chains_whose_step_size_decays():
    """By quadrature, a step at a time, with the score of N(0, 1) from autograd."""
    sizes, mean, x = 0.5 * 0.8 ** np.arange(8), 1.5, np.linspace(-10, 10, 2001)
    score = evaluate_with_grad(Normal(1.0), torch.tensor(x)[:, None]).grad[:, 0].numpy()
    density = stats.norm.pdf(x, mean, 0.4)
    for tau in sizes:
        step = stats.norm.pdf(x[None, :], (x + tau / 2 * score)[:, None], math.sqrt(tau))
        density = density @ step * (x[1] - x[0])
    assert (density * x).sum() / density.sum() == pytest.approx(mean * np.prod(1 - sizes / 2), rel=1e-6)


@pytest.mark.equation("L8.30")
@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_a_pull_apart_widens_each_chain(strength):
    """In u = (a - b)/√2 and w = (a + b)/√2 the density factors: var a = (E u² + 1)/2, one integral.
    Against it the grid of the lecture."""

    def weight(u):
        return math.exp(-0.5 * u * u - strength / (math.sqrt(2) * u))

    square = integrate.quad(lambda u: u * u * weight(u), 0, 12)[0] / integrate.quad(weight, 0, 12)[0]
    widened = (square + 1) / 2
    assert run_cells("slides-diversity-check")["spread"][strength] == pytest.approx(widened, rel=2e-3)
    assert widened > 1.05


# --- what the slides get wrong: the cells of the lecture, run here


def run_cells(*ids: str) -> dict:
    """The names that the set-up, the five states and these cells define."""
    wanted = ("setup", "three-machines-picture", "convergence-picture", *ids)
    cells = {cell.id: cell.source for cell in notebook("08_markov_chains").cells}
    names: dict = {}
    for cell in wanted:
        exec(compile(cells[cell], cell, "exec"), names)
    return names


def test_repeats_matter():
    names = run_cells("mh-matrix")
    share = names["moving"] / names["moving"].sum()
    assert round(float(share[2]), 2) == 0.31 and int(share.argmax()) == 1 and int(names["law"].argmax()) == 2
    assert float((names["flow"] - names["flow"].T).abs().max()) < 1e-15


def test_the_shown_chains_are_not_done():
    trace = run_cells("langevin-picture", "overview")["trace"]
    assert trace.z.shape == (1400, 4, 2) and float(ess(trace.z[:, :, 0])) < 100


def test_tempering_crosses():
    x = run_cells("tempering")["x"]
    assert float((x[:4] > 0).double().mean()) == 0.0
    assert 0.5 < float((x > 0).double().mean()) < 0.8


def test_unadjusted_chains_are_too_wide_where_the_target_is_narrow():
    """4000 Gaussian draws a direction: (n - 1) S²/σ² is χ²."""
    names = run_cells("slides-bias-check")
    n = 4000
    low, high = (stats.chi2.ppf(p, n - 1) / (n - 1) for p in (FALSE_FAIL / 6, 1 - FALSE_FAIL / 6))
    v, tau = names["narrow"].numpy(), names["step_size"]
    quotient = names["found"].numpy() / (v / (1 - tau / (4 * v)))
    assert ((low < quotient) & (quotient < high)).all()
    assert names["found"][2] / v[2] > 2.4


def test_one_kick_for_all_coordinates_puts_them_on_a_line():
    names = run_cells("slides-noise-check")
    assert names["correlation"] > 0.999
    assert names["variances"].tolist() == pytest.approx([1 / (1 - 0.1 / 4)] * 2, rel=0.12)


def test_a_variance_for_a_standard_deviation_shrinks_the_law():
    """s² = ρ² s² + τ² in the place of (L8.13)'s."""
    for tau in (0.01, 0.5):
        rho = 1 - tau / 2
        assert tau**2 / (1 - rho**2) == pytest.approx(tau / (1 - tau / 4))
    assert math.sqrt(0.01 / (1 - 0.0025)) == pytest.approx(0.1, abs=1e-3)


def test_the_ratio_is_no_probability():
    leaves = run_cells("slides-ratio-check")["leaves"]
    assert int((leaves > 1).sum()) == 3 and round(float(leaves.max()), 1) == 3.4


def test_how_far_an_acceptance_can_spread():
    """0 and 1 are the widest law of a given mean on [0, 1]."""
    widest = stats.bernoulli(0.028).std()
    assert round(widest, 3) == 0.165 and widest > 0.143


def test_the_narrow_direction_of_the_notes():
    """τ = 0.1 beside variance 1; τ = 0.01 beside 0.1² is τ = 1 beside 1."""
    assert round(1 / (1 - 0.1 / 4), 3) == 1.026
    assert (1 / (1 - 0.01 / (4 * 0.1**2))) == pytest.approx(1 / (1 - 1 / 4))


def test_acceptance_near_one_is_worth_little():
    mala = run_cells("slides-acceptance-check")["mala"]
    worth = [float(mala.ess[i]) for i in (0, 6, 10, 12)]
    assert float(mala.acceptance[0]) > 0.99 and worth[0] < 0.1 * worth[2]
    assert worth[2] == max(worth)


def test_stationary_is_not_yet_convergent():
    names = run_cells("slides-stationary-check")
    law = names["law"]
    assert torch.allclose(law @ names["reducible"], law)
    far = finite.distances(names["start"], names["reducible"], law, 200)[-1]
    assert float(far) == pytest.approx(1 - float(law[:2].sum()))
    assert np.linalg.matrix_power(names["swap"].numpy(), 7).tolist() == names["swap"].tolist()


def test_coordinates_that_stay_spoil_those_that_move():
    """In the end z2 is N(0, 1) as at the start, and E z1 = 1 + 1.6 (E z2 - 2) = -2.2."""
    names = run_cells("slides-fixed-check")
    assert names["fixed"].tolist() == pytest.approx([-2.2, 0.0], abs=5 * math.sqrt(2.92 / 4000))


def test_a_geometric_decay_freezes_the_chain():
    kept = {name: float(share) for name, share in run_cells("slides-decay-check")["kept"].items()}
    assert kept["0.1 · 0.95^i"] > 0.35 and kept["0.01 · 0.99^i"] > 0.55 and kept["1 / i"] < 0.01
