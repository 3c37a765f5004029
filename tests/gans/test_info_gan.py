"""InfoGAN: the bound against mutual informations that are known, the code's law, who learns by what."""

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor, nn

from ganedu.gans import non_saturating
from ganedu.gans.game import TwoPlayer
from ganedu.gans.info_gan import Code, InfoGAN, InfoNetworks
from ganedu.rng import generator
from ganedu.training.adversarial import fit_adversarial
from ganedu.training.adversarial_recipe import Adam, AdversarialRecipe
from tests.laws import FALSE_FAIL, worst

GRID = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 10_000 - 1.0  # midpoints of (-1, 1)


def entropy(p: Tensor) -> float:
    return -(p * p.log()).sum().item()


def channel(errors: int) -> tuple[Tensor, Tensor]:
    """(codes, symbols): of four codes, 20 draws each, ``errors`` arrive as each of the other three."""
    pairs = [(c, x) for c in range(4) for x in range(4) for _ in range(20 - 3 * errors if c == x else errors)]
    return tuple(torch.tensor(pairs).T)


@pytest.mark.parametrize("errors", [1, 3, 5])
def test_the_bound_is_the_information_of_a_noisy_channel_where_q_is_the_posterior(errors):
    """I = log 4 - H(x|c); at 5 of 20 each symbol says nothing. Another Q says less."""
    c, x = channel(errors)
    code = Code((4,), 0)
    posterior = torch.full((4, 4), errors / 20, dtype=torch.float64).fill_diagonal_(1 - 3 * errors / 20)
    expect = math.log(4) - entropy(posterior[0])
    one_hot = torch.eye(4, dtype=torch.float64)[c]
    assert code.information(posterior.log()[x], one_hot).item() == pytest.approx(expect, abs=1e-12)
    wrong = torch.randn(4, 4, generator=generator(0), dtype=torch.float64)
    assert code.information(wrong[x], one_hot) < expect - 0.1
    # Logits are free up to a constant in each row.
    assert code.information(posterior.log()[x] + 7.0, one_hot).item() == pytest.approx(expect, abs=1e-12)


@pytest.mark.parametrize("std", [0.1, 0.3, 1.0])
def test_the_bound_of_a_number_is_that_of_quadrature_and_below_its_information(std):
    """x = c + N(0, std²). I = h(x) - h(noise), h(x) by quadrature; Q = N(x, std²) has
    L_I = log 2 - ½ log 2πe std², below I by h(x) - log 2 = KL of the noise's shape from the posterior's."""
    u = (torch.arange(401, dtype=torch.float64) + 0.5) / 401
    noise = std * torch.special.ndtri(u)
    c = GRID[::50]
    x = (c[:, None] + noise).reshape(-1, 1)
    number = c[:, None].expand(-1, 401).reshape(-1, 1)
    got = Code((), 1, std).information(x, number).item()
    # The quantiles' own second moment in the place of std², which it approaches.
    expect = math.log(2.0) - 0.5 * math.log(2 * math.pi * std**2) - 0.5 * (noise / std).square().mean().item()
    assert got == pytest.approx(expect, abs=1e-12)
    assert got == pytest.approx(math.log(2.0) - 0.5 * math.log(2 * math.pi * math.e * std**2), abs=5e-3)
    at = torch.linspace(-1 - 9 * std, 1 + 9 * std, 20_001, dtype=torch.float64)
    density = 0.5 * (torch.special.ndtr((at + 1) / std) - torch.special.ndtr((at - 1) / std))
    h = torch.trapezoid(-torch.special.xlogy(density, density), at).item()
    information = h - 0.5 * math.log(2 * math.pi * math.e * std**2)
    assert 0 < information and got < information
    assert information - got == pytest.approx(h - math.log(2.0), abs=5e-3)


def test_a_number_that_does_not_reach_x_has_a_bound_below_zero():
    """Q = N(0, std²): log 2 - log std - ½ log 2π - (1/3) / (2 std²), at most 0, the information."""
    for std in (0.5, math.sqrt(1 / 3), 1.0):
        got = Code((), 1, std).information(torch.zeros(20_000, 1, dtype=torch.float64), GRID[:, None]).item()
        expect = math.log(2.0) - math.log(std) - 0.5 * math.log(2 * math.pi) - 1 / (6 * std**2)
        assert got == pytest.approx(expect, abs=1e-8) and got < 0
    perfect = Code((), 1).information(GRID[:, None], GRID[:, None]).item()
    assert perfect == pytest.approx(-0.2258, abs=1e-4), "with std 1 the bound never says anything"


def test_blocks_and_numbers_add_up():
    """log Q against torch's own distributions."""
    code = Code((3, 5), 2, 0.7)
    assert code.dim == 10
    assert code.entropy == pytest.approx(math.log(3) + math.log(5) + 2 * math.log(2))
    drawn = code.draw(torch.zeros(50, 1, dtype=torch.float64), generator(1))
    outputs = torch.randn(50, 10, generator=generator(2), dtype=torch.float64)
    first = torch.distributions.Categorical(logits=outputs[:, :3]).log_prob(drawn[:, :3].argmax(1))
    second = torch.distributions.Categorical(logits=outputs[:, 3:8]).log_prob(drawn[:, 3:8].argmax(1))
    numbers = torch.distributions.Normal(outputs[:, 8:], 0.7).log_prob(drawn[:, 8:]).sum(1)
    torch.testing.assert_close(code.log_prob(outputs, drawn), first + second + numbers)
    assert code.log_prob(outputs.bfloat16(), drawn.bfloat16()).dtype == torch.float32


def test_codes_have_the_law_that_their_entropy_is_of():
    """n = 200,000. Counts by Hoeffding, P(|f - 1/k| > ε) <= 2 exp(-2nε²), numbers by DKW."""
    n, code = 200_000, Code((10, 2), 2)
    drawn = code.draw(torch.zeros(n, 1, dtype=torch.float64), generator(4))
    for block, k in ((drawn[:, :10], 10), (drawn[:, 10:12], 2)):
        assert torch.equal(block.sum(1), torch.ones(n, dtype=torch.float64))
        assert set(block.unique().tolist()) == {0.0, 1.0}
        bound = math.sqrt(math.log(2 * 12 / FALSE_FAIL) / (2 * n))
        assert (block.mean(0) - 1 / k).abs().max() < bound
    laws = {f"{i}": (drawn[:, 12 + i], lambda c: ((c + 1) / 2).clamp(0, 1)) for i in (0, 1)}
    assert worst(laws)[0] < 1
    assert worst({"0": (0.98 * drawn[:, 12], laws["0"][1])})[0] > 1, "a planted error is seen"


def networks(code: Code, latent_dim: int) -> dict[str, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "generator": nn.Linear(latent_dim, 2),
            "critic": nn.Linear(2, 1),
            "recogniser": nn.Linear(2, code.dim),
        }


def test_the_game_is_the_plain_one_less_the_information_and_each_learns_its_part():
    code = Code((3,), 1)
    game, plain = InfoGAN(non_saturating, 6, code=code, weight=0.7), TwoPlayer(non_saturating, 6)
    nets = networks(code, 6)
    x, z, mixing = game.draw(torch.randn(8, 2, generator=generator(0)), generator(1))
    assert z.shape == (8, 6) and torch.equal(z[:, 2:5].sum(1), torch.ones(8))
    information = code.information(nets["recogniser"](nets["generator"](z)), z[:, 2:])
    reaches = {"critic": {"critic", "recogniser"}, "generator": {"generator", "critic", "recogniser"}}
    for player in ("critic", "generator"):
        loss = game.loss(player, nets, x, z, mixing)
        expect = plain.loss(player, nets, x, z, mixing) - 0.7 * information
        assert loss.item() == pytest.approx(expect.item(), rel=1e-5)
        for net in nets.values():
            net.zero_grad()
        loss.backward()
        got = {name for name, net in nets.items() if net.weight.grad is not None}
        assert got == reaches[player]
    assert game.moves == {"critic": ("critic", "recogniser"), "generator": ("generator",)}
    assert game.critics == ("critic",)


def test_the_papers_digits_have_74_latents():
    game = InfoGAN(non_saturating, 74)
    assert game.latent_dim - game.code.dim == 62 and game.weight == 1.0
    assert game.code == Code((10,), 2, 1.0)
    z = game.latent(torch.zeros(3, 1), generator(0))
    assert z.shape == (3, 74) and set(z[:, 62:72].unique().tolist()) == {0.0, 1.0}


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="latent_dim: expected an int of at least 12, got 11"):
        InfoGAN(non_saturating, 11)
    with pytest.raises(ValueError, match="weight: expected a positive number, got 0"):
        InfoGAN(non_saturating, 74, weight=0)
    with pytest.raises(ValueError, match="categories: expected an int of at least 2, got 1"):
        Code((1,))
    with pytest.raises(ValueError, match="expected a code, got none"):
        Code((), 0)
    with pytest.raises(ValueError, match=r"recogniser: expected outputs \(4, 12\), got shape \(4, 10\)"):
        Code().log_prob(torch.zeros(4, 10), torch.zeros(4, 12))


def fitted(folder, weight: float) -> float:
    """The share of four far clusters that the code names, after matching, on fresh fakes."""
    centres = 2.0 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])

    def data(n, rng):
        return centres[torch.randint(4, (n,), generator=rng)] + 0.2 * torch.randn(n, 2, generator=rng)

    code = Code((4,), 0)
    game = InfoGAN(non_saturating, 6, code=code, weight=weight)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        nets = {
            name: nn.Sequential(nn.Linear(a, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, b))
            for name, a, b in (("generator", 6, 2), ("critic", 2, 1), ("recogniser", 2, 4))
        }
    recipe = AdversarialRecipe(steps=1500, batch_size=64, optimisers=Adam(1e-3, (0.5, 0.999)), ema=0.99)
    nets = fit_adversarial(nets, game, data, recipe, folder, progress=False)
    z = game.latent(torch.zeros(4000, 1), generator(9))
    with torch.no_grad():
        x = nets["average"](z)
    cluster, named = torch.cdist(x, centres).argmin(1), z[:, 2:].argmax(1)
    counts = torch.zeros(4, 4).index_put_((named, cluster), torch.ones(4000), accumulate=True)
    shares = [counts[:, list(order)].diagonal().sum().item() / 4000 for order in permutations(range(4))]
    return max(shares)


@pytest.mark.slow
def test_the_code_comes_to_name_the_clusters(tmp_path):
    """Power: with next to no weight on it, the same code names nothing."""
    assert fitted(tmp_path / "one", 1.0) > 0.9
    assert fitted(tmp_path / "none", 1e-9) < 0.9


def test_a_code_is_that_of_its_rng():
    code = Code((3, 5), 1)
    torch.manual_seed(1)
    one = code.draw(torch.zeros(50, 1), generator(1))
    torch.manual_seed(2)
    assert torch.equal(one, code.draw(torch.zeros(50, 1), generator(1)))
    assert not torch.equal(one[:, :8], code.draw(torch.zeros(50, 1), generator(2))[:, :8])


def test_the_category_is_the_largest_of_its_own_block():
    model = InfoNetworks(
        nn.Identity(), nn.Identity(), nn.Identity(), InfoGAN(non_saturating, 12, code=Code((3, 5), 2))
    )
    x = torch.randn(9, 10, generator=generator(0))
    assert model.category(x).tolist() == [max(range(3), key=lambda i: row[i]) for row in x.tolist()]
    assert model.category(x, 1).tolist() == [max(range(5), key=lambda i: row[3 + i]) for row in x.tolist()]
    with pytest.raises(ValueError, match="block: expected one of the code's 2 categories, got 2"):
        model.category(x, 2)
