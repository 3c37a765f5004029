"""α-GAN: its losses in probabilities, its code critic against a known KL, the swap of the first version."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganedu.gans import alpha_gan, non_saturating
from ganedu.gans.alpha_gan import AlphaGAN, critic_loss, reconstruction
from ganedu.rng import generator

QUANTILES = torch.special.ndtri((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000)[:, None]


def networks() -> dict[str, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"encoder": (3, 2), "generator": (2, 3), "critic": (3, 1), "code_critic": (2, 1)}
        return {name: nn.Linear(a, b).double() for name, (a, b) in sizes.items()}


def rows(game: AlphaGAN):
    return game.draw(torch.randn(9, 3, generator=generator(0), dtype=torch.float64), generator(1))


def in_probabilities(nets, x: Tensor, z: Tensor, weight: float) -> dict[str, Tensor]:
    """Each loss as algorithm 1 has it (prior and posterior put right), with D and C as probabilities."""

    def d(x):
        return torch.sigmoid(nets["critic"](x))

    def c(z):
        return torch.sigmoid(nets["code_critic"](z))

    code = nets["encoder"](x)
    restored, fake = nets["generator"](code), nets["generator"](z)
    l1 = weight * (x - restored).abs().mean()

    def r(p):  # -log p + log(1 - p)
        return (-torch.log(p) + torch.log(1 - p)).mean()

    return {
        "critic": (-torch.log(d(x)) - 0.5 * torch.log(1 - d(restored)) - 0.5 * torch.log(1 - d(fake))).mean(),
        "code_critic": (-torch.log(c(z)) - torch.log(1 - c(code))).mean(),
        "encoder": l1 + r(c(code)),
        "generator": l1 + r(d(restored)) + r(d(fake)),
    }


@pytest.mark.parametrize("player", AlphaGAN(2).moves)
def test_each_loss_is_the_papers_and_so_is_its_gradient(player):
    nets, game = networks(), AlphaGAN(2, weight=3.0)
    x, z = rows(game)
    expect, got = in_probabilities(nets, x, z, 3.0)[player], game.loss(player, nets, x, z)
    assert got.item() == pytest.approx(expect.item(), rel=1e-12)
    own = list(nets[player].parameters())
    for a, b in zip(torch.autograd.grad(got, own), torch.autograd.grad(expect, own), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_each_player_moves_one_network_and_the_critics_play_first():
    game = AlphaGAN(2)
    assert game.moves == {name: (name,) for name in ("critic", "code_critic", "encoder", "generator")}
    assert game.critics == ("critic", "code_critic") and game.weight == 10.0
    nets = networks()
    x, z = rows(game)
    reaches = {
        "critic": {"critic"},
        "code_critic": {"code_critic"},
        "encoder": {"encoder", "generator", "code_critic"},
        "generator": {"generator", "critic"},
    }
    for player, expect in reaches.items():
        for net in nets.values():
            net.zero_grad()
        game.loss(player, nets, x, z).backward()
        assert {name for name, net in nets.items() if net.weight.grad is not None} == expect


def test_with_one_fake_a_critic_is_the_non_saturating_games():
    critic = networks()["critic"]
    real, fake = (torch.randn(6, 3, generator=generator(i), dtype=torch.float64) for i in (3, 4))
    one, two = critic_loss(critic, real, fake), non_saturating.critic_loss(critic, real, fake)
    assert one.item() == pytest.approx(two.item(), rel=1e-6)
    nothing = critic_loss(lambda x: 0 * x[:, 0], real, fake, 2 * fake, 3 * fake)
    assert nothing.item() == pytest.approx(2 * math.log(2))


class Quadratic(nn.Module):
    """a z² + b z + c: the log ratio of any two Gaussians."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(3, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        a, b, c = self.weights
        return a * z**2 + b * z + c


class Bell(nn.Module):
    """An encoder of codes N(mean, std²) from x ~ N(0, 1)."""

    def __init__(self, mean: float, std: float):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(mean, dtype=torch.float64))
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return self.mean + self.std * x


def at_best(mean: float, std: float) -> dict[str, nn.Module]:
    """A code critic that has won against codes N(mean, std²), by a solver, not by a trainer."""
    nets = {"encoder": Bell(mean, std), "code_critic": Quadratic(), "generator": nn.Identity()}
    solver = torch.optim.LBFGS(
        nets["code_critic"].parameters(), max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-12
    )
    game = AlphaGAN(1)

    def closure():
        solver.zero_grad()
        loss = game.loss("code_critic", nets, QUANTILES, QUANTILES)
        loss.backward()
        return loss

    solver.step(closure)
    return nets


def rise(nets) -> tuple[float, float]:
    """(E_q c, what a step of the encoder does to its mean): its loss without the reconstruction."""
    encoder = nets["encoder"]
    c = nets["code_critic"](encoder(QUANTILES)).mean()
    restored = reconstruction(QUANTILES, encoder(QUANTILES))
    loss = AlphaGAN(1).loss("encoder", nets, QUANTILES, QUANTILES) - 10.0 * restored
    return c.item(), -torch.autograd.grad(loss, encoder.mean)[0].item()


@pytest.mark.parametrize(("mean", "std"), [(0.5, 1.0), (-1.0, 0.7)])
def test_what_the_encoder_gains_at_the_best_code_critic_is_minus_the_kl(mean, std):
    """E_q log p/q = -KL(N(mean, std²) || N(0, 1)), known; 4,000 quantiles for each law."""
    gained, step = rise(at_best(mean, std))
    kl = 0.5 * (std**2 + mean**2 - 1.0) - math.log(std)
    assert gained == pytest.approx(-kl, rel=1e-2)
    # c'(z) = z/std² - mean/std² - z, on average -mean: the gradient of -KL.
    assert step == pytest.approx(-mean, rel=1e-2)


def test_with_the_swap_of_the_first_version_the_encoder_runs_away(monkeypatch):
    """Planted: prior and posterior in each other's place, as arXiv v1 has them."""
    whole = alpha_gan.critic_loss
    monkeypatch.setattr(alpha_gan, "critic_loss", lambda critic, real, fake: whole(critic, fake, real))
    gained, step = rise(at_best(0.5, 1.0))
    assert gained == pytest.approx(0.125, rel=1e-2) and step == pytest.approx(0.5, rel=1e-2)


def test_against_a_mixture_the_logit_is_the_ratio_to_the_mixture():
    """Three atoms, data (1/2, 1/2, 0), fakes (1/4, 0, 3/4) and (0, 1/2, 1/2): p/q = 4, 2, 0."""
    logits = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    atoms = [torch.tensor(rows) for rows in ([0, 0, 1, 1], [0, 2, 2, 2], [1, 1, 2, 2])]
    solver = torch.optim.LBFGS([logits], max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-12)

    def closure():
        solver.zero_grad()
        loss = critic_loss(lambda x: logits[x], *atoms)
        loss.backward()
        return loss

    solver.step(closure)
    torch.testing.assert_close(
        logits[:2].exp().detach(), torch.tensor([4.0, 2.0]).double(), rtol=1e-5, atol=0
    )
    assert logits[2] < -8


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="latent_dim: expected an int of at least 1, got 0"):
        AlphaGAN(0)
    with pytest.raises(ValueError, match="weight: expected a positive number, got -1"):
        AlphaGAN(2, weight=-1)
    with pytest.raises(ValueError, match=r"generator: expected to get \(4, 3\), got shape \(4, 1\)"):
        reconstruction(torch.zeros(4, 3), torch.zeros(4, 1))


def test_fakes_of_another_shape_than_the_data_are_named():
    nets = {
        "generator": nn.Linear(3, 5),
        "encoder": nn.Linear(2, 3),
        "critic": lambda x: x.sum(1),
        "code_critic": nn.Linear(3, 1),
    }
    game = AlphaGAN(3)
    rows = game.draw(torch.zeros(4, 2), generator(0))
    with pytest.raises(
        ValueError, match=r"generator: expected rows of shape \(2,\), as the data are, got \(5,\)"
    ):
        game.loss("critic", nets, *rows)
