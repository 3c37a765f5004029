"""The zoo's pairs: what is published is the function that was trained, rounded where it is stored so."""

import json

import pytest
import torch

from ganedu import checkpoints, zoo
from ganedu.gans.calibration import fit_logistic
from ganedu.nets import DCGANCritic, DCGANDiscriminator, DCGANGenerator
from ganedu.rng import generator
from ganedu.zoo import cards, pairs
from ganedu.zoo.recipes import RECIPES

DISCRIMINATORS = {"cifar10-dcgan": DCGANDiscriminator, "cifar10-sngan": DCGANCritic}


def half_trained(name):
    """BatchNorms and power iterations that have seen something, and are not where they end."""
    torch.manual_seed(0)
    pair = pairs.PAIRS[name]()
    x = 0.3 * torch.randn(8, 3, 32, 32, generator=generator(0))
    with torch.no_grad():
        for _ in range(2):
            pair.discriminator(x)
            pair.generator(pair.prior(8, generator(1)))
    return pair, x


def test_every_pair_can_be_trained_and_has_a_word_on_its_score():
    assert pairs.PAIRS.keys() == pairs.SCORES.keys() == DISCRIMINATORS.keys()
    assert pairs.PAIRS.keys() <= RECIPES.keys()
    assert "no log density ratio" in pairs.SCORES["cifar10-sngan"]


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_checkpoint_is_published_as_the_same_function_with_plain_weights(name, tmp_path):
    pair, x = half_trained(name)
    networks = {"generator": pair.generator, "discriminator": pair.discriminator}
    path = checkpoints.save(tmp_path / "epoch-00.safetensors", checkpoints.pack(**networks))
    got = pairs.of_checkpoint(name, path)
    got.check_frozen()
    assert pair.discriminator.training, "the pair that is trained stays as it is"
    z = pair.prior(4, generator(2))
    expect = pair.frozen()
    torch.testing.assert_close(got.logit(x), expect.logit(x), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(got.generator(z), expect.generator(z))
    plain = {"generator": DCGANGenerator(), "discriminator": DISCRIMINATORS[name]()}
    assert checkpoints.pack(**networks).keys() >= checkpoints.pack(generator=got.generator).keys()
    for part, net in plain.items():
        net.load_state_dict(getattr(got, part).state_dict())  # strict: no name too many or too few
    torch.testing.assert_close(plain["discriminator"].eval()(x), expect.logit(x), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(got.folded().logit(x), expect.logit(x), rtol=1e-4, atol=1e-5)


def put(folder, monkeypatch, name, pair):
    """An entry of another zoo."""
    monkeypatch.setattr(zoo, "FOLDER", folder)
    sha = cards.write_weights(name, generator=pair.generator, discriminator=pair.discriminator)
    card = {"name": name, "kind": "gan", "latent_dim": 100, "sha256": sha, "stored": cards.stored(name)}
    (folder / f"{name}.json").write_text(json.dumps(card))


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_what_is_loaded_is_float32_of_what_is_stored(name, tmp_path, monkeypatch):
    """float16 has 11 bits: a weight that is not tiny moves by 2^-11 of itself at most."""
    trained, x = half_trained(name)
    pair = pairs.published(trained)
    put(tmp_path, monkeypatch, name, pair)
    size = (tmp_path / f"{name}.safetensors").stat().st_size
    got = zoo.load(name, device="cpu")
    got.check_frozen()
    was, is_now = ({**checkpoints.pack(g=p.generator, d=p.discriminator)} for p in (pair, got))
    half = cards.precision(name) == torch.float16
    assert half == (name == "cifar10-sngan") and (size < 4e6) == half
    for key, value in was.items():
        if value.is_floating_point():
            assert is_now[key].dtype == torch.float32
            bound = value.abs() * 2**-11 + 2**-25 if half else torch.zeros_like(value)
            assert ((is_now[key] - value).abs() <= bound).all(), key
    if half:
        assert any(not torch.equal(value, is_now[key]) for key, value in was.items())
        cards.round_weights(name, g=pair.generator, d=pair.discriminator)
    assert torch.equal(got.logit(x), pair.logit(x)), "figures are measured with what is loaded"


def test_a_number_that_float16_has_not_got_is_refused():
    with pytest.raises(ValueError, match=r"w: 7e\+04 is beyond torch.float16"):
        cards.rounded({"w": torch.tensor([1.0, 7e4])}, torch.float16)
    kept = cards.rounded({"n": torch.tensor(70_000), "m": torch.tensor(-torch.inf)}, torch.float16)
    assert kept["n"] == 70_000 and kept["n"].dtype == torch.int64 and kept["m"] == -torch.inf


def test_the_calibration_of_a_score_that_is_no_logit_is_the_logistic_regression_on_it():
    """Scores N(±0.2, 0.5²), as a hinge's that are far from ±log p/q: the log ratio is 1.6 s, exactly. Of
    40,000 each the slope's standard error is below 0.02 (by the Fisher information): 0.15 is seven."""
    rng = generator(3)
    real, fake = (sign * 0.2 + 0.5 * torch.randn(40_000, generator=rng) for sign in (1, -1))
    fit = fit_logistic(real, fake)
    assert fit.scale == pytest.approx(2 * 0.2 / 0.5**2, abs=0.15) and abs(fit.offset) < 0.1
