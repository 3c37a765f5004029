"""A DCGAN of images of one's own: the folder knows its images and networks, and gives the pair back."""

from dataclasses import replace

import pytest
import torch

from ganedu.data import Images
from ganedu.rng import generator
from ganedu.training import GANRecipe
from ganedu.training.dcgan import RECIPE, load_dcgan, train_dcgan

SHORT = GANRecipe(epochs=2, batch_size=4, seed=1)


def pictures(n=9, size=32, seed=0, channels=3):
    pixels = torch.randint(0, 256, (n, channels, size, size), generator=generator(seed), dtype=torch.uint8)
    return Images(pixels)


def train(folder, images, recipe=SHORT, **sizes):
    return train_dcgan(images, recipe, folder, **{"latent_dim": 3, "width": 2} | sizes, progress=False)


def test_the_paper_is_the_default():
    told = (RECIPE.batch_size, RECIPE.learning_rate, RECIPE.betas[0], RECIPE.n_critic)
    assert told == (128, 2e-4, 0.5, 1)  # Radford et al. 2016, sec. 4


def test_a_run_goes_on_with_its_own_images_and_its_pair_comes_back(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    whole = train(tmp_path / "whole", pictures())
    assert torch.equal(torch.get_rng_state(), before)
    train(tmp_path / "parts", pictures(), GANRecipe(epochs=1, batch_size=4, seed=1))
    parts = train(tmp_path / "parts", pictures())
    pair = load_dcgan(tmp_path / "parts")
    for part in ("generator", "discriminator"):
        one, two, three = (getattr(each, part).state_dict() for each in (whole, parts, pair))
        assert all(
            torch.equal(value, two[name]) and torch.equal(value, three[name]) for name, value in one.items()
        )
    pair.check_frozen()
    assert pair.generator(pair.prior(2, generator(0))).shape == (2, 3, 32, 32)
    assert {"epoch-00.png", "epoch-01.png"} <= {path.name for path in (tmp_path / "parts").iterdir()}


def test_other_images_and_other_networks_are_refused(tmp_path):
    train(tmp_path, pictures())
    for other in (pictures(seed=1), pictures(n=8)):
        with pytest.raises(ValueError, match="holds a run with {'images': .*another folder"):
            train(tmp_path, other)
    with pytest.raises(ValueError, match="holds a run with {'size': 32, .*not {'size': 64, "):
        train(tmp_path, pictures(size=64))
    with pytest.raises(ValueError, match="{'width': 2}, not {'width': 3}"):
        train(tmp_path, pictures(), width=3)


def test_grey_images_have_one_channel(tmp_path):
    gan = train(tmp_path, pictures(channels=1), GANRecipe(epochs=1, batch_size=4))
    assert gan.frozen().generator(torch.zeros(1, 3)).shape == (1, 1, 32, 32)


def test_what_is_no_run_or_no_square_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a training of a DCGAN, found no state.safetensors"):
        load_dcgan(tmp_path)
    with pytest.raises(ValueError, match="images: expected squares, got 32 x 64"):
        train(tmp_path, Images(torch.zeros(8, 3, 32, 64, dtype=torch.uint8)))
    with pytest.raises(ValueError, match="size: expected a power of two, 32 or more, got 48"):
        train(tmp_path, pictures(size=48))
    with pytest.raises(ValueError, match="images: expected at least 4, got 3"):
        train(tmp_path, pictures(n=3))
    assert not list(tmp_path.iterdir())


def test_the_seed_decides_on_a_dcgans_first_weights(tmp_path):
    slow = GANRecipe(epochs=1, batch_size=4, learning_rate=1e-9, seed=1)
    one, two = (train(tmp_path / f"{seed}", pictures(), replace(slow, seed=seed)) for seed in (1, 2))
    for a, b in ((one.generator, two.generator), (one.discriminator, two.discriminator)):
        assert (next(a.parameters()) - next(b.parameters())).abs().max() > 1e-3
