"""Discriminator optimal transport against a recursion in polar coordinates and torch's own optimiser."""

import math

import pytest
import torch
from torch import nn

from ganedu.gans import GAN
from ganedu.nets import MLP
from ganedu.rng import generator
from ganedu.samplers import run
from ganedu.samplers.gan import dot
from ganedu.samplers.gan.dot import Transport, steepest, tangent
from ganedu.samplers.gan.flat import Flat


class Linear(nn.Module):
    """d(x) = a·x."""

    def __init__(self, a):
        super().__init__()
        self.register_buffer("a", a)

    def forward(self, x):
        return x @ self.a


A = torch.tensor([0.8, -0.6], dtype=torch.float64) * 3.0


def linear_gan():
    return GAN(nn.Identity(), Linear(A), 2).frozen()


def mlp_gan():
    torch.manual_seed(0)
    return GAN(MLP(4, 32, 5).double(), MLP(5, 32, 1).double(), 4).frozen()


def leaves(gan, z, k):
    """Where D pulls along the sphere with more than the 1 that |z - z0| pulls back with, which has a
    kink at z0. The others step to and fro over the kink, so that rounding decides where they are."""
    state = Transport(0.01, k).init(Flat(gan, None, None), z)
    return tangent(state.grad, z).norm(dim=-1) > 1.2 * k


def polar(z0, k, step_size, steps):
    """The trajectory from z0, from its radius and its angle to ``A`` alone: no vector is projected."""
    r0 = r = z0.norm()
    turn = torch.atan2(A[1], A[0])
    phi0 = phi = torch.atan2(z0[1], z0[0]) - turn
    path = []
    for _ in range(steps):
        chord = (r**2 + r0**2 - 2 * r * r0 * (phi - phi0).cos()).clamp(min=0).sqrt()
        pull = r0 * (phi - phi0).sin() / chord if chord > 1e-14 else torch.zeros(())
        along = -step_size * (pull + A.norm() * phi.sin() / k)
        r, phi = torch.hypot(r, along), phi + torch.atan2(along, r)
        path.append(r * torch.stack([(phi + turn).cos(), (phi + turn).sin()]))
    return torch.stack(path)


def test_on_a_linear_discriminator_the_trajectory_is_that_of_polar_coordinates():
    k, start = 0.8, linear_gan().prior(20, generator(1))
    draws = dot(linear_gan(), 20, lipschitz=k, steps=100, trace=True, rng=generator(1))
    chains = leaves(linear_gan(), start, k).nonzero()[:, 0].tolist()
    assert len(chains) > 10
    for chain in chains:
        expected = polar(start[chain], k, 0.01, 100)
        assert torch.allclose(draws.trace.z[:, chain], expected, rtol=0, atol=1e-10)
        # Power: with another k it is another path.
        assert not torch.allclose(draws.trace.z[:, chain], polar(start[chain], 0.81, 0.01, 100), atol=1e-4)


def by_optimiser(gan, z, k, step_size, steps, anchor):
    """What one would write with torch.optim: ``anchor(z)`` is what the transport is measured from."""
    z = z.clone().requires_grad_()
    z0 = anchor(z)
    optimiser = torch.optim.SGD([z], lr=step_size)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = torch.linalg.vector_norm(z - z0, dim=-1) - gan.logit(gan.generator(z)) / k
        loss.sum().backward()
        z.grad -= (z.grad * z.detach()).sum(-1, keepdim=True) / z.detach().square().sum(-1, keepdim=True) * z
        optimiser.step()
    return z.detach()


def test_it_is_projected_gradient_descent_and_the_anchor_stays_where_it_is():
    gan, k = mlp_gan(), 0.02
    start = gan.prior(50, generator(2))
    draws = dot(gan, 50, lipschitz=k, step_size=0.02, steps=80, rng=generator(2))
    copied = by_optimiser(gan, start, k, 0.02, 80, lambda z: z.detach().clone())
    some = leaves(gan, start, k)
    assert some.sum() > 25 and torch.allclose(draws.z[some], copied[some], rtol=0, atol=1e-9)
    # The planted error: detach() alone shares the memory that the optimiser writes to.
    aliased = by_optimiser(gan, start, k, 0.02, 80, lambda z: z.detach())
    assert not torch.allclose(draws.z[some], aliased[some], rtol=0, atol=0.1)
    assert (draws.z - start).norm(dim=-1).mean() < 0.9 * (aliased - start).norm(dim=-1).mean()


def test_a_step_keeps_the_norm_to_first_order():
    gan, k = mlp_gan(), 0.02
    z = gan.prior(50, generator(3))
    path = run(Transport(0.01, k), Flat(gan, None, None), z, 50, rng=generator(0)).z
    old, move = torch.cat([z[None], path[:-1]]), path - torch.cat([z[None], path[:-1]])
    # |z'|² = |z|² + |z' - z|², so that the norm grows by half the square of a step.
    assert torch.allclose((move * old).sum(-1), torch.zeros(50, 50).double(), atol=1e-14)
    grown = path.norm(dim=-1) - old.norm(dim=-1)
    assert (grown >= -1e-15).all() and (grown <= 0.51 * move.square().sum(-1) / old.norm(dim=-1)).all()
    # Power: the gradient itself has a component along z that would be of first order.
    grad = Transport(0.01, k).init(Flat(gan, None, None), z).grad
    assert (grad - tangent(grad, z)).norm(dim=-1).mean() > 0.1 * grad.norm(dim=-1).mean()


def test_the_slope_is_the_steepest_between_any_two_points():
    z = torch.randn(60, 3, generator=generator(4))
    logit = torch.sin(3 * z[:, 0]) + z[:, 1] * z[:, 2]
    pairs = [(i, j) for i in range(60) for j in range(i)]
    expected = max(abs(float(logit[i] - logit[j])) / math.dist(z[i], z[j]) for i, j in pairs)
    assert steepest(logit, z) == pytest.approx(expected, rel=1e-5)
    # The same point twice has no slope.
    assert steepest(logit[[0, 0, 1]], z[[0, 0, 1]]) > 0


def test_of_a_linear_discriminator_it_is_all_but_the_length_of_its_gradient():
    z = linear_gan().prior(500, generator(5))
    k = steepest(z @ A, z)
    assert 0.9999 * A.norm() < k <= A.norm() * (1 + 1e-9)


def test_without_a_constant_it_takes_the_slope_over_its_pilot_draws():
    gan, source = mlp_gan(), generator(6)
    gan.prior(7, source)
    z = gan.prior(30, source)
    k = steepest(gan.logit(gan.generator(z)), z)
    found, given = (
        dot(gan, 7, steps=20, rng=generator(6), **options) for options in ({"pilot": 30}, {"lipschitz": k})
    )
    assert torch.allclose(found.z, given.z, atol=1e-6)
    assert found.evaluations == (30 + 21 * 7, 21 * 7) and given.evaluations == (21 * 7, 21 * 7)


def test_the_true_constant_leaves_every_draw_where_it_is():
    """|z - z0| outweighs what any D of that slope can gain: only a step to and fro is left."""
    draws = dot(linear_gan(), 100, lipschitz=1.01 * float(A.norm()), steps=101, rng=generator(7))
    start = linear_gan().prior(100, generator(7))
    assert (draws.z - start).norm(dim=-1).max() <= 0.01
    assert dot(linear_gan(), 3, steps=2, rng=generator(7)).law.startswith("biased: ")


class Same(nn.Module):
    def forward(self, x):
        return 0.0 * x.sum(-1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(lipschitz=0.0), "lipschitz: expected a positive number, got 0.0"),
        (dict(step_size=math.nan), "step_size: expected a positive number, got nan"),
        (dict(pilot=1), "pilot: expected an int of at least 2, got 1"),
    ],
)
def test_bad_options_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        dot(mlp_gan(), 5, **arguments, rng=generator(0))


def test_a_discriminator_that_gives_no_direction_is_named():
    with pytest.raises(ValueError, match="discriminator: expected finite logits that differ, got a steepest"):
        dot(GAN(nn.Identity(), Same(), 2).frozen(), 5, rng=generator(0))
