"""References and random cases for the hidden checks of lab 8: from the definitions, in float64."""

import math

import torch
from torch.distributions import MultivariateNormal

from ganedu.grading.cases import normal, uniform
from ganedu.grading.checks import Named


def log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    """Equation (8.6) where everything is finite."""
    return ((log_p_new + log_q_back) - (log_p + log_q_there)).clamp(max=0)


def value_and_grad(x, log_prob):
    x = x.detach().requires_grad_()
    value = log_prob(x)
    (grad,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), grad


def ula(x, log_prob, step_size, noise):
    _, grad = value_and_grad(x, log_prob)
    return x + step_size / 2 * grad + math.sqrt(step_size) * noise


def log_proposal(to, given, log_prob, step_size):
    """log q(to | given) of the Langevin proposal, normalised."""
    _, grad = value_and_grad(given, log_prob)
    covariance = step_size * torch.eye(to.shape[1], dtype=to.dtype)
    return MultivariateNormal(given + step_size / 2 * grad, covariance).log_prob(to)


def mala(x, log_prob, step_size, noise):
    """(x', log alpha) of the proposals, for those that are finite."""
    x_new = ula(x, log_prob, step_size, noise)
    there = log_prob(x) + log_proposal(x_new, x, log_prob, step_size)
    back = log_prob(x_new) + log_proposal(x, x_new, log_prob, step_size)
    return x_new, (back - there).clamp(max=0)


def leapfrog(x, log_prob, step_size, n_leapfrog, momentum):
    """(x', p') after (8.13), with the half kicks between two steps taken together."""
    momentum = momentum + step_size / 2 * value_and_grad(x, log_prob)[1]
    for k in range(1, n_leapfrog + 1):
        x = x + step_size * momentum
        kick = step_size if k < n_leapfrog else step_size / 2
        momentum = momentum + kick * value_and_grad(x, log_prob)[1]
    return x, momentum


def hmc(x, log_prob, step_size, n_leapfrog, momentum):
    """(x', log alpha) of the trajectories, for those that are finite."""
    x_new, end = leapfrog(x, log_prob, step_size, n_leapfrog, momentum)
    before = log_prob(x) - momentum.square().sum(1) / 2
    after = log_prob(x_new) - end.square().sum(1) / 2
    return x_new, (after - before).clamp(max=0)


def rhat(x):
    """Equation (8.16), half by half."""
    half = len(x) // 2
    halves = [part for chain in x.double().T for part in (chain[:half], chain[len(x) - half :])]
    means = [part.sum() / half for part in halves]
    variances = [((part - mean) ** 2).sum() / (half - 1) for part, mean in zip(halves, means, strict=True)]
    within = sum(variances) / len(halves)
    centre = sum(means) / len(halves)
    between = sum((mean - centre) ** 2 for mean in means) / (len(halves) - 1)
    return (((half - 1) / half * within + between) / within).sqrt()


def ess(x):
    """Equations (8.18) to (8.20), lag by lag, without a Fourier transform."""
    draws, chains = x.shape
    return torch.tensor(draws * chains / autocorrelation_time(x))


def autocorrelation_time(x):
    """T of (8.20)."""
    return max(-1 + 2 * sum(kept_pairs(correlations(x))), 1 / math.log10(x.numel()))


def correlations(x):
    """rho_t of (8.18), a list of numbers."""
    x = x.double()
    away = x - x.mean(0)
    lags = [float((away[t:] * away[: len(x) - t]).sum(0).mean()) / len(x) for t in range(len(x))]
    between = float(x.mean(0).var())
    return [(c + between) / (lags[0] + between) for c in lags]


def pairs(rho):
    """P_k of (8.19)."""
    return [rho[k] + rho[k + 1] for k in range(0, len(rho) - 1, 2)]


def kept_pairs(rho):
    """The sums of pairs that count: up to the first that is not positive, none above an earlier one."""
    kept, lowest = [], math.inf
    for pair in pairs(rho):
        if pair <= 0:
            break
        lowest = min(lowest, pair)
        kept.append(lowest)
    return kept


def two_blobs(rng):
    """A target in the plane without any symmetry: two round blobs, of other widths and weights."""
    means = torch.tensor([[-0.9, 0.6], [0.8, -0.5]]).double() + 0.2 * normal(rng, 2, 2)
    return Named(
        "mixture", weights=torch.tensor([0.6, 0.4]).double(), means=means, std=uniform(rng, 0.6, 0.9, 2)
    )


def decided(rng, alpha):
    """(uniforms, accept): decisions at random, and uniform numbers near alpha that lead to them.

    Near, so that another alpha decides otherwise; not too near, so that float32 decides as float64 does.
    Where alpha is 0 any number refuses. One number that accepts is 0.
    """
    accept = (alpha > 0.9) | (alpha > 0) & (torch.rand(alpha.shape, generator=rng) < 0.5)
    low, high = torch.where(accept, 0.7 * alpha, 1.05 * alpha), torch.where(accept, 0.95 * alpha, 1.4 * alpha)
    high = high.where(alpha > 0, 1.0).clamp(max=1)
    uniforms = low + (high - low) * torch.rand(alpha.shape, generator=rng).double()
    uniforms[accept.nonzero()[-1]] = 0.0
    return uniforms, accept


def mala_case(rng, chains=128):
    """(arguments, new states, decisions) of one step."""
    case = {
        "x": 1.5 * normal(rng, chains, 2),
        "log_prob": two_blobs(rng),
        "step_size": uniform(rng, 0.6, 0.9),
    }
    case["noise"] = normal(rng, chains, 2)
    x_new, log_a = mala(**case)
    case["uniforms"], accept = decided(rng, log_a.exp())
    return case, torch.where(accept[:, None], x_new, case["x"]), accept


def hmc_case(rng, chains=128):
    """(arguments, new states, decisions) of one step; the step is so long that energy is lost and won."""
    case = {
        "x": 1.5 * normal(rng, chains, 2),
        "log_prob": two_blobs(rng),
        "step_size": uniform(rng, 0.75, 0.9),
    }
    case |= {"n_leapfrog": 5, "momentum": normal(rng, chains, 2)}
    x_new, log_a = hmc(**case)
    case["uniforms"], accept = decided(rng, log_a.exp())
    return case, torch.where(accept[:, None], x_new, case["x"]), accept


def one_leapfrog_step(rng):
    """(arguments, new states) of HMC with one leapfrog step of size 0.8, by MALA with tau = 0.64."""
    case, _, _ = mala_case(rng)
    x, log_prob, noise = (case[name] for name in ("x", "log_prob", "noise"))
    x_new, log_a = mala(x, log_prob, 0.64, noise)
    uniforms, accept = decided(rng, log_a.exp())
    case = {"x": x, "log_prob": log_prob, "step_size": 0.8, "n_leapfrog": 1, "momentum": noise}
    return case | {"uniforms": uniforms}, torch.where(accept[:, None], x_new, x)


def behind_a_wall(rng, case, move, radius=2.0):
    """(arguments, new states): one step inside a disc outside which log p is NaN.

    `move(x, log_prob, ...)` proposes. Chains that end close to the wall are left out: float32 need not see
    them on the side where float64 does.
    """
    x = case["x"] * (0.95 * radius / case["x"].norm(dim=1, keepdim=True)).clamp(max=1)
    case = {**case, "x": x, "log_prob": Named("walled", logit=case["log_prob"], radius=radius)}
    del case["uniforms"]
    x_new, log_a = move(**case)
    case["uniforms"], accept = decided(rng, log_a.exp().nan_to_num(nan=0.0))
    expect = torch.where(accept[:, None], x_new, x)
    clear = (x_new.norm(dim=1) - radius).abs() > 0.01
    case = {name: value[clear] if isinstance(value, torch.Tensor) else value for name, value in case.items()}
    return case, expect[clear]


def both_ways(rng, moves=6, count=1000):
    """(arguments, shares): moves of MALA there and back, each under `count` evenly spread uniform numbers.

    The share of the numbers that accept is alpha, to half of 1 / count. `shares` (2, moves) has p(x) q(x'|x)
    of each, over the larger of there and back.
    """
    log_prob, step_size = two_blobs(rng), uniform(rng, 0.4, 0.6)
    a, b = normal(rng, 2, moves, 2)
    x, to = torch.cat([a, b]), torch.cat([b, a])
    noise = (to - ula(x, log_prob, step_size, torch.zeros_like(x))) / math.sqrt(step_size)
    log_flow = (log_prob(x) + log_proposal(to, x, log_prob, step_size)).reshape(2, moves)
    even = (torch.arange(count).double() + 0.5) / count
    case = {"x": x.repeat_interleave(count, 0), "log_prob": log_prob, "step_size": step_size}
    case |= {"noise": noise.repeat_interleave(count, 0), "uniforms": even.repeat(2 * moves)}
    return case, (log_flow - log_flow.amax(0)).exp()


def five_places(rng):
    """(p (5,), q (5, 5)): a law and proposals on five places, neither of them symmetric."""
    p, q = uniform(rng, 0.1, 1.0, 5), uniform(rng, 0.1, 1.0, 5, 5)
    return p / p.sum(), q / q.sum(1, keepdim=True)


def correlated(rng, draws, chains, memory=0.7, apart=0.3):
    """Draws (draws, chains) of a first-order autoregression; each chain has a centre of its own."""
    x, states = normal(rng, chains), []
    for xi in normal(rng, draws, chains):
        x = memory * x + math.sqrt(1 - memory**2) * xi
        states.append(x)
    return torch.stack(states) + apart * normal(rng, chains)


def drifting(rng, draws, chains):
    """Draws whose chains disagree and drift, with one far off in the middle."""
    x = correlated(rng, draws, chains, apart=1.5) + 0.1 * torch.arange(draws).double()[:, None]
    x[draws // 2] += 3.0
    return x


def telling_draws(rng, draws, chains):
    """Draws whose sums of pairs rise once before they end, and are positive again after that.

    So every part of (8.19) shows. Raises RuntimeError if there are none.
    """
    for _ in range(4000):
        x = correlated(rng, draws, chains, memory=0.6)
        rho = correlations(x)
        found, kept = pairs(rho), kept_pairs(rho)
        rises = sum(found[: len(kept)]) - sum(kept)
        again = sum(max(pair, 0.0) for pair in found[len(kept) :])
        if 3 <= len(kept) < len(found) and rises > 0.1 and again > 0.1:
            return x
    raise RuntimeError("telling_draws: no draws have all that the check needs")
