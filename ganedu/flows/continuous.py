"""Continuous normalizing flows: x is where the solution of an ordinary differential equation ends.

>>> import torch
>>> from ganedu.flows import CNF, Flow, Velocity, cnf
>>> from ganedu.targets import StandardNormal
>>> flow = cnf(2)                                      # Flow(StandardNormal(2), [CNF(Velocity(2))])
>>> flow.log_prob(torch.zeros(5, 2)).shape             # exact trace, the solver's tolerance
torch.Size([5])
>>> flow = Flow(StandardNormal(64), [CNF(Velocity(64), noise_seed=0)])
>>> flow.log_prob(torch.zeros(5, 64)).shape            # Hutchinson's estimate of the trace
torch.Size([5])
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganedu.flows.base import Flow, Transform, exactly
from ganedu.rng import generator
from ganedu.targets import StandardNormal
from ganedu.targets.base import check_positive

MAX_EVALUATIONS = 10_000  # of the velocity in one solution: a smooth field takes hundreds


class Velocity(nn.Module):
    """v(t, z): fully connected, SiLU, with the time as one more input; 64-64-64 as FFJORD's for toys.

    SiLU because the solver wants a smooth field (at a kink of ReLU its error estimate fails) that can be
    steep: on two moons flow matching with tanh stays 0.1 nats behind it.
    """

    def __init__(self, dim: int, width: int = 64, depth: int = 3):
        super().__init__()
        layers: list[nn.Module] = []
        for fan_in in [dim + 1] + [width] * (depth - 1):
            layers += [nn.Linear(fan_in, width), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, dim))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """t (), or one time a row (n,), and z (n, d) -> (n, d)."""
        return self.net(torch.cat([z, t.to(z).expand(len(z))[:, None]], dim=1))


class CNF(Transform):
    """x = z(1), where z(0) = z and dz/dt = velocity(t, z) (Chen et al. 2018; FFJORD, Grathwohl et al. 2019).

    Its log determinant solves a differential equation of its own beside it (Chen et al. 2018, theorem 1),

        d log |det dz(t)/dz(0)| / dt = tr ∂v/∂z,

    by torchdiffeq's dopri5 to ``rtol`` and ``atol``; the inverse runs from t = 1 back to 0. The solver
    chooses its steps for the whole batch, by the row that is worst off (torchdiffeq's own norm is a mean,
    in which the error of a row in the tail vanishes); within the tolerance a row depends on the others.

    The trace is exact, by one backward pass a dimension, or, with a ``noise_seed``, Hutchinson's estimate
    from one pass: εᵀ (∂v/∂z) ε with ε of random signs (Rademacher: of all laws with E[ε εᵀ] = I the one
    of least variance; Hutchinson 1990), the same ε all along one solution, without which the solver would
    chase noise. ε is a function of the seed and the shape of the batch alone: ``log_prob`` is then
    deterministic, and unbiased over seeds. A batch's own ``noise`` (n, d) takes its place, as in
    ``HutchinsonLikelihood``. Where the density itself is wanted (evaluation, Metropolis-Hastings,
    importance sampling), the trace has to be exact.

    Gradients go straight through the solver's steps: that is the exact gradient of the number computed,
    at a memory that grows with the steps. The adjoint method (Chen et al. 2018, sec. 2) needs none of
    that memory and makes up for it by a second solution with an error of its own; networks for the plane
    are small enough to do without.

    Under autocast the solver still works in full precision: no step is small enough for a velocity that is
    rounded to bfloat16. Flow matching, which regresses the velocity and solves nothing, keeps autocast.

    Raises ValueError for tolerances that are not positive, and for rows that are not finite: one of them
    would spoil the steps of all. FloatingPointError where the solver gives up, or takes ``MAX_EVALUATIONS``.
    """

    def __init__(
        self,
        velocity: Callable[[Tensor, Tensor], Tensor],
        rtol: float = 1e-5,
        atol: float = 1e-5,
        noise_seed: int | None = None,
    ):
        super().__init__()
        check_positive("rtol", rtol)
        check_positive("atol", atol)
        self.velocity, self.rtol, self.atol, self.noise_seed = velocity, rtol, atol, noise_seed

    def forward(self, z: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z (n, d) -> (x (n, d), log |det dx/dz| (n,))."""
        return self._solve(z, 0.0, 1.0, self._probes(z, noise))

    def inverse(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (n, d) -> (z (n, d), log |det dz/dx| (n,))."""
        return self._solve(x, 1.0, 0.0, self._probes(x, noise))

    def draw(self, z: Tensor) -> Tensor:
        """x (n, d) of ``forward``, to the tolerance, without the trace and its backward passes."""
        return self._solve(z, 0.0, 1.0, z.new_empty(0, *z.shape))[0]

    def _solve(self, z: Tensor, start: float, end: float, probes: Tensor) -> tuple[Tensor, Tensor]:
        try:
            from torchdiffeq import odeint
        except ImportError as error:
            raise ImportError("continuous flows need torchdiffeq: pip install 'ganedu[flows]'") from error
        if z.ndim != 2 or not z.isfinite().all():
            raise ValueError(f"z, x: expected finite rows of shape (n, d), got shape {tuple(z.shape)}")
        evaluations = 0

        def field(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            nonlocal evaluations
            evaluations += 1
            # torchdiffeq stops by assertions alone, its max_num_steps too: python -O takes them out.
            if evaluations > MAX_EVALUATIONS:
                raise FloatingPointError(f"CNF: the velocity is too steep: {MAX_EVALUATIONS} evaluations")
            return velocity_and_trace(self.velocity, t, state[0], probes)

        times = torch.tensor([start, end], device=z.device)
        try:
            with exactly(z):
                z, log_det = odeint(
                    field,
                    (z, z.new_zeros(len(z))),
                    times,
                    rtol=self.rtol,
                    atol=self.atol,
                    method="dopri5",
                    options={"norm": largest},
                )
        except AssertionError as error:  # how torchdiffeq reports it
            raise FloatingPointError(f"CNF: the velocity is too steep or not finite: {error}") from error
        return z[-1], log_det[-1]

    def _probes(self, z: Tensor, noise: Tensor | None) -> Tensor:
        """Directions (k, n, d) with Σ p pᵀ = I over the k of a row, in expectation at least."""
        if noise is None and self.noise_seed is None:
            return torch.eye(z.shape[-1], device=z.device, dtype=z.dtype)[:, None].expand(-1, len(z), -1)
        if noise is None:
            noise = rademacher(z, generator(self.noise_seed, device=z.device))
        if noise.shape != z.shape:
            raise ValueError(f"noise: expected shape {tuple(z.shape)}, got {tuple(noise.shape)}")
        return noise[None]


def cnf(dim: int, rtol: float = 1e-5, atol: float = 1e-5) -> Flow:
    """A ``Velocity`` on N(0, I), with the exact trace."""
    return Flow(StandardNormal(dim), [CNF(Velocity(dim), rtol, atol)])


def velocity_and_trace(
    velocity: Callable[[Tensor, Tensor], Tensor], t: Tensor, z: Tensor, probes: Tensor
) -> tuple[Tensor, Tensor]:
    """(v (n, d), Σ_k p_kᵀ (∂v/∂z) p_k (n,)) for probes (k, n, d).

    With the d unit vectors as probes that is the trace; with random ones Hutchinson's estimate of it.
    One backward pass a probe for all rows: row i of the velocity must depend on row i of z alone.
    """
    training = torch.is_grad_enabled()
    with torch.enable_grad():
        z = z if training and z.requires_grad else z.detach().requires_grad_()
        v = velocity(t, z)
        trace = z.new_zeros(len(z))
        for probe in probes:
            (pulled,) = torch.autograd.grad(
                v, z, probe, create_graph=training, retain_graph=True, materialize_grads=True
            )
            trace = trace + (pulled * probe).sum(-1)
    return (v, trace) if training else (v.detach(), trace.detach())


def largest(parts: tuple[Tensor, ...]) -> Tensor:
    """The largest absolute value in any of the tensors."""
    return torch.stack([part.abs().max() for part in parts]).max()


def rademacher(z: Tensor, rng: torch.Generator) -> Tensor:
    """Independent signs ±1 in the shape, precision and on the device of ``z``."""
    return 2.0 * torch.randint(2, z.shape, generator=rng, device=z.device).to(z) - 1.0


def only_cnf(model: Flow) -> CNF:
    """The CNF of a flow that consists of one. ValueError for any other model."""
    transforms = list(getattr(model, "transforms", []))
    if len(transforms) != 1 or not isinstance(transforms[0], CNF):
        raise ValueError(f"model: expected a Flow of one CNF, got {type(model).__name__} of {transforms}")
    return transforms[0]


@dataclass(frozen=True)
class HutchinsonLikelihood:
    """Maximum likelihood of a ``Flow`` of one CNF with fresh signs for every row of every batch.

    -log p is estimated without bias, so its gradient is too (Grathwohl et al. 2019, sec. 3.1), at one
    backward pass through the velocity instead of d.
    """

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """x (n, d) -> (x, signs (n, d))."""
        return x, rademacher(x, rng)

    def loss(self, model: Flow, x: Tensor, signs: Tensor) -> Tensor:
        """(n,), in nats."""
        z, log_det = only_cnf(model).inverse(x, signs)
        return -model.base.log_prob(z) - log_det
