"""Games small enough to draw: what gradient steps of two players do near an equilibrium.

x, y = z[..., 0], z[..., 1]: x is the generator and minimises V, y the critic and maximises it. A game is its
vector field z (..., 2) -> (..., 2), the velocity at which each goes along its own gradient,

    v = (-dV/dx, dV/dy)

or each along that of a value of its own (``dirac_non_saturating``). All of them are at rest in 0. What
happens there is in the eigenvalues λ of v's Jacobian: in continuous time z -> 0 where their real
parts are negative; steps of size η multiply by 1 + η λ, so that an imaginary λ, an orbit, drifts outward by
sqrt(1 + η² |λ|²) a step. Seed slide 003 ("Convergence of the model") has those steps orbit.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive

Field = Callable[[Tensor], Tensor]
Update = Callable[[Field, Tensor, float], Tensor]


def bilinear(z: Tensor) -> Tensor:
    """V = xy (seed slide 003): circles. λ = ±i."""
    x, y = z.unbind(-1)
    return torch.stack([-y, x], -1)


def saddle(delta: float) -> Field:
    """V = xy + delta/2 (x² - y²) (seed slide 003, f-GAN), as convex in x as concave in y: λ = -delta ± i.

    The f-GAN paper's theorem 1 is tight on it: steps of delta/L, L = 1 + delta² being the Lipschitz
    constant of the gradient of J = 1/2 |v|², multiply J by exactly 1 - delta²/L. The seed prints this
    rate, and on the slide before it 1 - delta²/(2 L), which is true and loose.
    """

    def field(z: Tensor) -> Tensor:
        return bilinear(z) - delta * z

    return field


def cubic(delta: float = 0.0) -> Field:
    """V = x y² + delta/2 (x² - y²) (seed slide 003), which is not concave in y where x > delta/2.

    In continuous time 2x² + y² falls as exp(-2 delta t). For delta = 0 it is kept: the ways are halves of
    ellipses that end on the line y = 0, all of which is at rest. λ = -delta, twice.
    """

    def field(z: Tensor) -> Tensor:
        x, y = z.unbind(-1)
        return torch.stack([-y.square(), 2.0 * x * y], -1) - delta * z

    return field


def dirac_minimax(z: Tensor) -> Tensor:
    """The Dirac-GAN (Mescheder et al. 2018, sec. 2): data at 0, one fake at x, critic d(s) = y s.

    V = E_P log sigmoid(d) + E_Q log sigmoid(-d) = -log 2 + log sigmoid(-x y); λ = ±i/2. The paper's critic is
    high on fakes, ours on data: its ψ is -y.
    """
    x, y = z.unbind(-1)
    p = torch.sigmoid(x * y)
    return torch.stack([p * y, -p * x], -1)


def dirac_non_saturating(z: Tensor) -> Tensor:
    """The same critic, while x maximises log sigmoid(d(x)). λ = ±i/2 still.

    The radius r falls, though not geometrically: -xy tanh(xy/2) is the slope of r²/2, so that near 0 1/r²,
    averaged over a turn, grows as t/8. Steps of η, which add η² r²/4 to r² each, therefore circle at
    r = sqrt(2 η) in the end.
    """
    x, y = z.unbind(-1)
    return torch.stack([torch.sigmoid(-x * y) * y, -torch.sigmoid(x * y) * x], -1)


def dirac_wasserstein(z: Tensor) -> Tensor:
    """V = E_P d - E_Q d = -x y, the field of ``bilinear`` turned round: λ = ±i. (Clipping y changes nothing
    within the bound.)"""
    return -bilinear(z)


def with_r1(field: Field, gamma: float) -> Field:
    """A Dirac-GAN whose critic pays gamma/2 E_P |∇d|² = gamma/2 y², as it does in R2 (Mescheder et al. 2018).

    λ = ±i a become -gamma/2 ± sqrt(gamma²/4 - a²) (sec. 3): it converges for every gamma > 0.
    """
    check_positive("gamma", gamma)

    def regularised(z: Tensor) -> Tensor:
        return field(z) - gamma * torch.stack([torch.zeros_like(z[..., 1]), z[..., 1]], -1)

    return regularised


def with_consensus(field: Field, gamma: float) -> Field:
    """v - gamma ∇ 1/2 |v|², both players' (Mescheder et al. 2017). λ = ±i a become -gamma a² ± i a."""
    check_positive("gamma", gamma)

    def regularised(z: Tensor) -> Tensor:
        velocity, pull_back = torch.func.vjp(field, z)
        return velocity - gamma * pull_back(velocity)[0]

    return regularised


def jacobian(field: Field, z: Tensor) -> Tensor:
    """dv/dz (2, 2) at one point z (2,); row i is the derivative of v_i. ValueError for another shape."""
    if z.shape != (2,):
        raise ValueError(f"z: expected one point of shape (2,), got {tuple(z.shape)}")
    return torch.autograd.functional.jacobian(field, z)


def eigenvalues(field: Field, z: Tensor | None = None) -> Tensor:
    """λ (2,), complex, of the Jacobian at ``z``; None is the equilibrium 0, in float64."""
    return torch.linalg.eigvals(jacobian(field, torch.zeros(2, dtype=torch.float64) if z is None else z))


def simultaneous(field: Field, z: Tensor, step_size: float) -> Tensor:
    """Both players step from where both were: z + step_size v(z)."""
    return z + step_size * field(z)


def alternating(field: Field, z: Tensor, step_size: float) -> Tensor:
    """The critic y steps first, then x steps, seeing where y has gone, as GANs are trained.

    On xy it neither grows nor dies: x² + y² + step_size x y is kept exactly, an ellipse for steps below 2.
    """
    x, y = z.unbind(-1)
    y = y + step_size * field(z)[..., 1]
    x = x + step_size * field(torch.stack([x, y], -1))[..., 0]
    return torch.stack([x, y], -1)


def play(field: Field, z: Tensor, step_size: float, n_steps: int, update: Update = simultaneous) -> Tensor:
    """The way (n_steps + 1, ..., 2) from z (..., 2), z included.

    Raises ValueError for a step size that is not positive and a count below 1.
    """
    check_positive("step_size", step_size)
    check_count("n_steps", n_steps)
    way = [z]
    for _ in range(n_steps):
        way.append(update(field, way[-1], step_size))
    return torch.stack(way)


def flow(field: Field, z: Tensor, times: Tensor) -> Tensor:
    """dz/dt = v(z), the limit of small steps, from z (..., 2) at times[0]: (len(times), ..., 2).

    Needs torchdiffeq (``pip install 'ganedu[flows]'``); errors of 1e-8 a step.
    """
    try:
        from torchdiffeq import odeint
    except ImportError as error:
        raise ImportError("continuous time needs torchdiffeq: pip install 'ganedu[flows]'") from error
    return odeint(lambda t, z: field(z), z, times, rtol=1e-8, atol=1e-8, method="dopri5")
