"""Both loops of GANs where there is a GPU: they learn, stay on it, and go on from a checkpoint."""

import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from ganedu import checkpoints
from ganedu.data import Images, ring
from ganedu.gans import non_saturating
from ganedu.gans.game import TwoPlayer
from ganedu.rng import generator
from ganedu.training import Adam, AdversarialRecipe, fit_adversarial, train_gan
from ganedu.training.comparison import compare
from ganedu.training.files import read_columns
from ganedu.training.games import GAMES, start
from tests.training.games import networks
from tests.training.test_gan_and_classifier import RECIPE as GAN_RECIPE
from tests.training.test_gan_and_classifier import tiny_gan
from tests.training.tiny import equal, furthest, points, tensors

pytestmark = pytest.mark.gpu
PRECISIONS = pytest.mark.parametrize("precision", ["float32", "bfloat16"])
GAME = TwoPlayer(non_saturating, latent_dim=2)
RECIPE = AdversarialRecipe(
    60, batch_size=32, optimisers=Adam(1e-3, (0.5, 0.9)), n_critic=2, ema=0.9, evaluate_every=20
)


def miss(nets, rng):
    """How far the means of fakes and data are apart; the latents are where the networks are."""
    fake = nets["generator"](torch.randn(200, 2, generator=rng, device=rng.device))
    return {"miss": (fake.mean(0).cpu() - points(256).mean(0)).norm().item()}


def play(folder, recipe=RECIPE, device="cuda", precision="float32", **options):
    options = {"device": device, "precision": precision, "metric": miss} | options
    return fit_adversarial(networks(), GAME, points(256), recipe, folder, progress=False, **options)


@PRECISIONS
def test_a_game_is_played_on_the_gpu_and_goes_on(precision, tmp_path):
    nets = play(tmp_path / "whole", precision=precision)
    weights = [p for net in nets.values() for p in net.parameters()]
    assert {p.device.type for p in weights} == {"cuda"} and {p.dtype for p in weights} == {torch.float32}
    play(tmp_path / "parts", replace(RECIPE, steps=40), precision=precision)
    play(tmp_path / "parts", precision=precision)
    # A GPU may add in any order: near, not equal. 120 Adam steps of 1e-3 move a weight by up to 0.12.
    names = [name for name in tensors(tmp_path / "whole") if "optimiser" not in name]
    one, two = ({k: tensors(tmp_path / part)[k] for k in names} for part in ("whole", "parts"))
    assert furthest(one, two) < 2e-2
    start_again = {f"{net}.{k}": v for net, part in networks().items() for k, v in part.state_dict().items()}
    assert furthest({k: one[k] for k in start_again}, start_again) > 2e-2, "nothing was learned"
    assert (tmp_path / "whole" / "loss.png").exists()


def test_a_game_can_be_won_on_the_gpu(tmp_path):
    recipe = replace(RECIPE, steps=600, evaluate_every=100)
    play(tmp_path, recipe)
    found = read_columns(tmp_path / "loss.csv")["miss"]
    assert found[-1] < 0.5 * max(found[0], 0.2)


def test_a_run_can_move_from_a_gpu_to_a_processor(tmp_path):
    play(tmp_path, replace(RECIPE, steps=20))
    nets = play(tmp_path, device="cpu")
    assert {p.device.type for net in nets.values() for p in net.parameters()} == {"cpu"}
    assert all(torch.isfinite(p).all() for net in nets.values() for p in net.parameters())


@pytest.mark.parametrize("name", GAMES)
def test_every_game_by_name_is_played_on_the_gpu(name, tmp_path):
    entry, sample = GAMES[name], ring().sample
    game, nets = start(entry, sample(entry.batch_size, generator(0)), width=16)
    steps = 1 if name == "wgan" else 3  # a hundred of its critic's
    nets = fit_adversarial(nets, game, sample, entry.recipe(steps), tmp_path, device="cuda", progress=False)
    held = [t for net in nets.values() for t in net.state_dict().values()]
    assert {t.device.type for t in held} == {"cuda"} and all(torch.isfinite(t).all() for t in held)


def test_games_are_compared_by_draws_that_come_back_from_the_gpu(tmp_path):
    sizes = {"steps": 3, "seeds": 1, "width": 8, "n": 50}
    found = compare(["gan", "alpha-gan"], "ring", folder=tmp_path, device="cuda", progress=False, **sizes)
    assert all(run.x.device.type == "cpu" and run.high_quality is not None for run in found.runs)


def images(n=43):
    return Images(torch.randint(0, 256, (n, 3, 8, 8), generator=generator(0), dtype=torch.uint8))


@PRECISIONS
def test_the_loop_of_the_zoos_dcgan_runs_on_the_gpu_and_goes_on(precision, tmp_path):
    def train(folder, recipe=GAN_RECIPE):
        options = {"device": "cuda", "precision": precision, "progress": False}
        return train_gan(tiny_gan(), images(), non_saturating, recipe, folder, **options)

    gan = train(tmp_path / "whole")
    for net in (gan.generator, gan.discriminator):
        assert {(p.device.type, p.dtype) for p in net.parameters()} == {("cuda", torch.float32)}
    train(tmp_path / "parts", replace(GAN_RECIPE, epochs=1))
    train(tmp_path / "parts")
    one, two = (checkpoints.load(tmp_path / part / "epoch-02.safetensors")[0] for part in ("whole", "parts"))
    assert one.keys() == two.keys() and furthest(one, two) < 1e-2
    first = {f"generator.{k}": v for k, v in tiny_gan().generator.state_dict().items()}
    assert not equal({k: one[k] for k in first}, first)
    losses = read_columns(tmp_path / "whole" / "loss.csv")
    assert all(math.isfinite(value) for name in "dg" for value in losses[name])
    with Image.open(tmp_path / "whole" / "epoch-02.png") as sheet:
        assert sheet.size == (64, 64)
