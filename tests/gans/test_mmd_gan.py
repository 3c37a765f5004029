"""MMD-GAN: the slope of the witness, and a game whose value is a mean over pairs, pair by pair."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganedu.divergences.mmd import Features, RationalQuadratic, Sum
from ganedu.gans.mmd_gan import MMDGAN, witness_penalty
from ganedu.rng import generator


class Written:
    """A kernel by a function of two points."""

    def __init__(self, of):
        self.of = of

    def gram(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.stack([torch.stack([self.of(x, y) for y in b]) for x in a])


GAUSS = Written(lambda x, y: torch.exp(-0.5 * (x - y).square().sum()))
DOT = Written(lambda x, y: (x * y).sum())
MIXED = Written(
    lambda x, y: sum((1 + (x - y).square().sum() / (2 * a)) ** -a for a in (0.1, 1.0, 10.0)) + (x * y).sum()
)


def draws(n: int, seed: int, dim: int = 2) -> Tensor:
    return torch.randn(n, dim, generator=generator(seed), dtype=torch.float64)


def by_loops(kernel, a: Tensor, b: Tensor) -> float:
    """Pair by pair."""

    def k(x, y):
        return kernel.of(x, y).item()

    n, m = len(a), len(b)
    within_a = [k(a[i], a[j]) for i in range(n) for j in range(n) if i != j]
    within_b = [k(b[i], b[j]) for i in range(m) for j in range(m) if i != j]
    across = [k(x, y) for x in a for y in b]
    return (
        math.fsum(within_a) / (n * (n - 1))
        + math.fsum(within_b) / (m * (m - 1))
        - 2 * math.fsum(across) / (n * m)
    )


def networks() -> dict[str, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3)).double()
        return {"generator": nn.Linear(4, 2).double(), "critic": critic}


def test_the_penalty_of_a_linear_witness_is_known():
    """Dot kernel, features x: f(x) = x · (mean real - mean fake), the same slope everywhere."""
    real, fake = draws(6, 4) + 2.0, draws(6, 5)
    mixing = torch.rand(6, generator=generator(6), dtype=torch.float64)
    expect = ((real.mean(0) - fake.mean(0)).norm() - 1.0).square()
    assert witness_penalty(DOT, lambda x: x, real, fake, mixing).item() == pytest.approx(expect.item())


def test_the_slope_of_the_witness_is_that_of_differences():
    """Each sample's own, at its own mixture, through a critic."""
    critic, real, fake = networks()["critic"], draws(6, 4) + 1.0, draws(6, 5)
    mixing = torch.rand(6, generator=generator(6), dtype=torch.float64)

    def witness(x: Tensor) -> float:
        h = critic(x[None])
        return (MIXED.gram(h, critic(real)).mean() - MIXED.gram(h, critic(fake)).mean()).item()

    total, h = 0.0, 1e-5
    for i in range(6):
        x = mixing[i] * real[i] + (1 - mixing[i]) * fake[i]
        slope = [(witness(x + h * e) - witness(x - h * e)) / (2 * h) for e in torch.eye(2).double()]
        total += (math.hypot(*slope) - 1.0) ** 2
    got = witness_penalty(MIXED, critic, real, fake, mixing)
    assert got.item() == pytest.approx(total / 6, rel=1e-6)
    other = witness_penalty(MIXED, critic, real, fake, 1 - mixing)
    assert abs(other.item() - got.item()) > 1e-4


def test_the_penalty_teaches_through_the_features_of_data_and_fakes_too():
    """Its gradient by a weight of the critic, against differences of all of it."""
    critic, real, fake = networks()["critic"], draws(6, 4) + 1.0, draws(6, 5)
    mixing, weight = torch.full((6,), 0.3, dtype=torch.float64), critic[0].weight

    def penalty() -> Tensor:
        return witness_penalty(GAUSS, critic, real, fake, mixing)

    (exact,) = torch.autograd.grad(penalty(), weight)
    h = 1e-5
    with torch.no_grad():
        weight[1, 0] += h
    above = penalty().item()
    with torch.no_grad():
        weight[1, 0] -= 2 * h
    below = penalty().item()
    assert exact[1, 0].item() == pytest.approx((above - below) / (2 * h), rel=1e-6)


def test_the_critic_maximises_what_the_generator_minimises_and_pays_for_its_slope():
    nets, game = networks(), MMDGAN(MIXED, 4, weight=0.5)
    x, z, mixing = game.draw(draws(6, 4), generator(1))
    assert z.shape == (6, 4) and mixing.shape == (6,)
    fake = nets["generator"](z).detach()
    square = by_loops(MIXED, nets["critic"](x), nets["critic"](fake))
    penalty = witness_penalty(MIXED, nets["critic"], x, fake, mixing).item()
    loss = game.loss("critic", nets, x, z, mixing)
    assert loss.item() == pytest.approx(-square + 0.5 * penalty, rel=1e-9)
    loss.backward()
    assert nets["generator"].weight.grad is None and nets["critic"][0].weight.grad is not None
    loss = game.loss("generator", nets, x, z, mixing)
    assert loss.item() == pytest.approx(square, rel=1e-9)
    loss.backward()
    assert nets["generator"].weight.grad.abs().max() > 0
    free = MMDGAN(MIXED, 4, weight=0.0).loss("critic", nets, x, z, mixing)
    assert free.item() == pytest.approx(-square, rel=1e-9)
    papers = MMDGAN(Sum((RationalQuadratic(), Features())), 4, weight=0.5)
    assert papers.loss("critic", nets, x, z, mixing).item() == pytest.approx(
        -square + 0.5 * penalty, rel=1e-9
    )
    assert game.critics == ("critic",) and game.weight == 0.5 and MMDGAN(DOT, 1).weight == 1.0


def test_a_generator_alone_finds_the_mean_under_a_fixed_kernel():
    """Features x, nothing for a critic to learn: descent on MMD² under a dot kernel ends at equal means."""
    nets = {"generator": nn.Linear(1, 2).double(), "critic": nn.Identity()}
    game, centre = MMDGAN(Features(), 1, weight=0.0), torch.tensor([3.0, -1.0], dtype=torch.float64)
    x = draws(200, 7) * 0.1 + centre
    for step in range(200):
        rows = game.draw(x, generator(8, step))
        loss = game.loss("generator", nets, *rows)
        nets["generator"].zero_grad()
        loss.backward()
        with torch.no_grad():
            nets["generator"].bias -= 0.1 * nets["generator"].bias.grad
    assert (nets["generator"].bias - centre).abs().max() < 0.2


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="latent_dim: expected an int of at least 1, got 0"):
        MMDGAN(DOT, 0)
    with pytest.raises(ValueError, match="weight: expected a number of at least 0, got -1"):
        MMDGAN(DOT, 1, weight=-1)
    nets, game = networks(), MMDGAN(DOT, 4)
    with pytest.raises(ValueError, match="x: expected at least 2 points"):
        game.loss("generator", nets, *game.draw(draws(1, 0), generator(0)))
    with pytest.raises(ValueError, match=r"real, fake: expected one shape, got \(6, 2\) and \(1, 2\)"):
        witness_penalty(DOT, lambda x: x, draws(6, 4), draws(1, 5), torch.ones(6))
    with pytest.raises(ValueError, match="mixing: expected a weight a sample"):
        witness_penalty(DOT, lambda x: x, draws(6, 4), draws(6, 5), torch.ones(1))


def test_in_a_training_in_bfloat16_the_distance_is_that_of_float32():
    """By the papers' kernel, of features that are far from 0: the dot product would be left with 2 digits."""
    nets = {"generator": nn.Identity(), "critic": nn.Identity()}
    game, x = MMDGAN(Sum((RationalQuadratic(), Features())), 2, weight=0.5), draws(40, 4).float() + 9
    z, mixing = draws(40, 5).float() + 9.5, torch.rand(40, generator=generator(6))
    for player in game.moves:
        exact = float(game.loss(player, nets, x.double(), z.double(), mixing.double()).detach())
        with torch.autocast("cpu", torch.bfloat16):
            found = game.loss(player, nets, x, z, mixing)
        assert found.dtype == torch.float32 and float(found.detach()) == pytest.approx(exact, rel=1e-3), (
            player
        )
