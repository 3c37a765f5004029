"""benchmarks.gans_2d: what is measured is what it says, and a run that was stopped goes on."""

import json
import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from benchmarks import gans_2d, gans_2d_report, gans_2d_train
from benchmarks.gans_2d_games import FULL, QUICK, SETTINGS, networks
from benchmarks.gans_2d_judge import DATA, KEPT, judge, pack, real, unpack
from benchmarks.gans_2d_samplers import PAIRS, keep_training, loss_of
from ganedu.data import swiss_roll
from ganedu.divergences import JensenShannon
from ganedu.gans import GAN, non_saturating
from ganedu.gans.f_gan import NonSaturatingFGAN
from ganedu.metrics.modes import modes
from ganedu.rng import generator
from ganedu.training import fit_adversarial
from ganedu.viz.figure import Figure
from tests.laws import worst

TINY = QUICK._replace(steps=3, n=60, chain=2, taus=(0.01,), proposals=2000, further=2)


class Blank:
    """Figures that cost nothing."""

    samples = step_sizes = staticmethod(lambda rows: Figure(1, 1))


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A quick run of three steps, into a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(gans_2d, "QUICK", TINY)
    return tmp_path / "ganedu" / "gans_2d_quick"


def run(resume=False, report=False, only=None):
    gans_2d.main(quick=True, only=only, resume=resume, report=report, threads=torch.get_num_threads())


@pytest.mark.slow
def test_a_quick_run_makes_a_page_and_a_stopped_one_goes_on(cache, capsys, monkeypatch):
    """What is dropped is made again, the same, and nothing else is touched; what is missing is named."""
    run()
    path = cache / "gans_2d.json"
    whole = json.loads(path.read_text())["rows"]
    assert len(whole) == 2 + 2 * 2 + 2 * 2 * (4 + 4 + 5)
    assert {p.name for p in cache.glob("gans_2d*.*")} == {
        "gans_2d.json",
        "gans_2d.md",
        "gans_2d.png",
        "gans_2d_samplers.png",
    }
    assert "missing" not in capsys.readouterr().out
    assert "Unfinished" not in path.with_suffix(".md").read_text()

    monkeypatch.setattr(gans_2d_report, "figures", Blank)  # the next two take a second each
    gone = "train/Swiss roll/GAN/0"
    kept = {key: row for key, row in whole.items() if key != gone}
    path.write_text(json.dumps({"rows": kept}))
    run(report=True)
    assert f"missing: {gone}; make them: " in capsys.readouterr().out
    command = "python -m benchmarks.gans_2d --quick --only games --resume"
    assert f"1 rows of games are not there yet. `{command}`" in path.with_suffix(".md").read_text()

    run(resume=True)
    again = json.loads(path.read_text())["rows"]
    assert {key: again[key] for key in kept} == kept
    same = ("captured", "high_quality", "kl", "w2", "points")
    assert [again[gone][key] for key in same] == [whole[gone][key] for key in same]
    assert again[gone]["cpu_ms_per_step"] is None  # for it was trained already


def test_samplers_train_the_pairs_that_they_need_and_those_alone(cache, tmp_path):
    """Where a cache is gone the same pair comes again; one that is not at its end goes on."""
    gans_2d_train.row("Swiss roll", "GAN", 0, 2, 20, cache)
    short = gans_2d_train.trained_pair(cache, "Swiss roll", "GAN", 0, 2)
    longer = gans_2d_train.trained_pair(cache, "Swiss roll", "GAN", 0, 3)
    anew = gans_2d_train.trained_pair(tmp_path / "anew", "Swiss roll", "GAN", 0, 3)
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(longer.generator(z), anew.generator(z))
    assert not torch.equal(longer.generator(z), short.generator(z))


def test_without_resume_a_game_is_trained_anew(cache):
    gans_2d_train.row("Swiss roll", "GAN", 0, 2, 20, cache)
    place = gans_2d_train.home(cache, "Swiss roll", "GAN", 0)
    assert place.exists()
    gans_2d_train.forget(cache, "floor/Swiss roll")
    assert place.exists()
    gans_2d_train.forget(cache, "train/Swiss roll/GAN/0")
    assert not place.exists()


@pytest.mark.parametrize("data", DATA)
def test_w2_is_the_best_assignment_and_of_a_shift_its_length(data):
    """Of equal numbers of points an optimal plan is a permutation: scipy's."""
    x = torch.randn(150, 2, generator=generator(0))
    square = torch.cdist(x.double(), real(data, 150).double()).square().numpy()
    best = math.sqrt(square[linear_sum_assignment(square)].mean())
    assert judge(x, data)["w2"] == pytest.approx(best, abs=1e-6)
    assert judge(real(data, 150) + torch.tensor([0.3, -0.4]), data)["w2"] == pytest.approx(0.5, abs=1e-6)


def test_the_roll_has_the_density_it_is_judged_by():
    """Both marginals by the DKW bound at 10⁻⁶; a tenth larger it is rejected."""
    mixture = DATA["Swiss roll"].mixture
    draws = swiss_roll(10_000, generator(1)).double()

    def laws(x):
        return {f"axis {i}": (x[:, i], lambda v, i=i: mixture.cdf(v.float(), i).double()) for i in range(2)}

    assert worst(laws(draws))[0] < 1 < worst(laws(draws * 1.1))[0]


@pytest.mark.parametrize(
    "data, share", [("25 Gaussians", 1 - math.exp(-4.5)), ("Swiss roll", math.erf(3 / math.sqrt(2)))]
)
def test_real_points_have_the_share_and_the_parts_that_theory_says(data, share):
    """Within three standard deviations in the plane, or along the normal of a curve: six standard errors,
    2e-9 a comparison. The roll's ends add less than a thousandth. Power: the share of another radius."""
    n, mixture = 10_000, DATA[data].mixture
    x = DATA[data].sample(n, generator(2))
    found = modes(x, mixture, 3.0)
    error = 6 * math.sqrt(share * (1 - share) / n)
    assert abs(found.high_quality - share) < error + 1e-3 * (data == "Swiss roll")
    assert abs(modes(x, mixture, 2.5).high_quality - share) > error + 1e-3
    parts = found.occupancy.reshape(25, -1).sum(1) / found.high_quality
    assert ((parts - 1 / 25).abs() < 6 * math.sqrt(0.04 * 0.96 / n)).all()


@pytest.mark.parametrize("data", DATA)
def test_a_collapse_to_five_modes_is_seen(data):
    """Points on the first fifth of the parts: five captured, all of high quality, log 5 nats of unevenness;
    what lies elsewhere, or is no number, has no quality."""
    mixture = DATA[data].mixture
    fifth = mixture.means[: len(mixture.means) // 5]
    found = judge(fifth.repeat(500 // len(fifth), 1), data)
    assert (found["captured"], found["total"], found["high_quality"]) == (5, 25, 1.0)
    assert found["kl"] == pytest.approx(math.log(5))
    far = judge(torch.full((10, 2), 7.0), data)
    assert (far["captured"], far["high_quality"], far["kl"]) == (0, 0.0, None)
    assert judge(torch.full((10, 2), math.nan), data)["w2"] is None


def test_a_part_needs_a_twentieth_of_its_due():
    """Of 2,000 points 80 are due: three are too few, four are not."""
    means = DATA["25 Gaussians"].mixture.means
    for few, captured in ((3, 1), (4, 2)):
        x = torch.cat([means[:1].expand(2000 - few, 2), means[1:2].expand(few, 2)])
        assert judge(x, "25 Gaussians")["captured"] == captured


def test_points_are_kept_to_half_a_thousandth():
    x = torch.randn(300, 2, generator=generator(3))
    x[1, 1] = math.inf
    kept = unpack(pack(x))
    assert kept.shape == (KEPT, 2) and kept[1].isnan().tolist() == [False, True]
    x[1, 1] = kept[1, 1] = 0.0
    torch.testing.assert_close(kept, x[:KEPT], rtol=0, atol=5.1e-4)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_game_of_the_table_is_played(name, tmp_path):
    """A step; all that a game moves has moved, and networks begin as their seed says."""
    setting, sample = SETTINGS[name], DATA["25 Gaussians"].sample
    nets, before = networks(name, 5, sample), networks(name, 5, sample)
    fit_adversarial(nets, setting.game, sample, setting.recipe(5, 1), tmp_path, progress=False)
    for key, net in nets.items():
        old = before[key].state_dict()
        assert any(not torch.equal(value, old[part]) for part, value in net.state_dict().items()), key
    other = networks(name, 6, sample)["generator"]
    assert not torch.equal(before["generator"][0].weight, other[0].weight)


def test_critic_steps_are_counted():
    """WGAN: 100 in the first 25 steps and at 500, 1000, ..., 4500, else 5."""
    counted = {name: setting.entry.critic_steps(FULL.steps) for name, setting in SETTINGS.items()}
    assert counted["WGAN"] == 34 * 100 + (5000 - 34) * 5
    assert counted["WGAN-GP"] == counted["MMD-GAN"] == 25_000
    assert {counted[name] for name in SETTINGS if "WGAN" not in name and name != "MMD-GAN"} == {5000}


def test_with_the_trick_jensen_shannon_is_the_game_of_gan():
    """Why f-GANs here play for the saddle: else two lines of the table were one, but for constants."""
    trick = NonSaturatingFGAN(JensenShannon())
    critic = networks("GAN", 0, DATA["Swiss roll"].sample)["critic"].double()
    gaps = []
    for seed in range(3):
        x, y = (2 * torch.randn(50, 2, generator=generator(4, seed, i)).double() for i in range(2))
        gaps.append(
            [
                (trick.critic_loss(critic, x, y) - non_saturating.critic_loss(critic, x, y)).item(),
                (trick.generator_loss(critic, y) - non_saturating.generator_loss(critic, y)).item(),
            ]
        )
    expected = torch.tensor([-2 * math.log(2), -math.log(2)], dtype=torch.float64)
    torch.testing.assert_close(torch.tensor(gaps, dtype=torch.float64), expected.expand(3, 2))


def test_a_critic_that_is_trained_on_comes_nearer_to_the_log_ratio():
    """Of a generator that has learned nothing, with P nearly disjoint from it: the loss falls from 2 log 2
    towards 0, on points that neither saw, and the generator stays what it is. Further training that is worse
    is not kept: with no step the critic is the one that came."""
    nets = networks("GAN", 0, DATA["Swiss roll"].sample)
    gan = GAN(nets["generator"], nets["critic"], 2).frozen()
    size = TINY._replace(further=60)
    better = keep_training(gan, "Swiss roll", 0, size)
    x, z = DATA["Swiss roll"].sample(500, generator(7)), gan.prior(500, generator(8))
    before, after = (loss_of(each.logit(x), each.logit(each.generator(z))).item() for each in (gan, better))
    assert abs(before - 2 * math.log(2)) < 0.1 and after < 0.5
    assert all(
        torch.equal(a, b)
        for a, b in zip(gan.generator.parameters(), better.generator.parameters(), strict=True)
    )
    same = keep_training(gan, "Swiss roll", 0, TINY._replace(further=0))
    assert torch.equal(same.logit(x), gan.logit(x)) and not torch.equal(better.logit(x), gan.logit(x))


def test_the_critics_that_samplers_take_have_the_log_ratio_as_their_optimum():
    """g(v) = f'(e^v) for the reverse KL; of GAN it is the logit by definition. Both pairs are trained."""
    v = torch.linspace(-3, 3, 7, dtype=torch.float64)
    divergence = SETTINGS["f-GAN reverse KL"].game.objective.divergence
    torch.testing.assert_close(divergence.activation(v), -1 / v.exp())
    u = v.exp().requires_grad_()
    (slope,) = torch.autograd.grad(divergence.f(u).sum(), u)
    torch.testing.assert_close(divergence.activation(v), slope)
    assert set(PAIRS) <= set(QUICK.games) <= set(SETTINGS)
