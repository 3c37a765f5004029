"""Every objective: randomness in ``draw`` alone, one loss an example, and the value of its formula."""

import math
from functools import partial

import pytest
import torch

from ganedu.likelihood import (
    DenoisingReconstruction,
    FixedStd,
    MonteCarloNegativeELBO,
    NegativeELBO,
    NegativeIWAE,
    Reconstruction,
    SharedStd,
    binarise,
    dequantise,
    evidence_bounds,
    mlp_autoencoder,
    mlp_vae,
)
from ganedu.likelihood.pixels import DIGIT


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


SHAPE = (1, 4, 4)
BYTES = torch.randint(0, 256, (6, *SHAPE), generator=rng(), dtype=torch.uint8)


def gaussian_vae():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return mlp_vae(SHAPE, hidden=16, latent_dim=3, head=SharedStd())


def autoencoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return mlp_autoencoder(SHAPE, hidden=16, latent_dim=3, head=FixedStd(1.0))


CASES = {
    "elbo": (NegativeELBO(3), gaussian_vae),
    "beta": (NegativeELBO(3, beta=4.0), gaussian_vae),
    "dequantised": (NegativeELBO(3, prepare=partial(dequantise, gap=DIGIT)), gaussian_vae),
    "binary": (NegativeELBO(3, prepare=binarise), lambda: mlp_vae(SHAPE, hidden=16, latent_dim=3)),
    "monte carlo": (MonteCarloNegativeELBO(3), gaussian_vae),
    "iwae": (NegativeIWAE(3, k=5), gaussian_vae),
    "reconstruction": (Reconstruction(), autoencoder),
    "denoising": (DenoisingReconstruction(0.3), autoencoder),
}


@pytest.mark.parametrize("name", CASES)
def test_rows_are_tensors_of_n_rows_and_the_same_for_the_same_generator(name):
    objective, _ = CASES[name]
    rows, again, other = (objective.draw(BYTES, rng(seed)) for seed in (1, 1, 2))
    assert isinstance(rows, tuple) and all(len(row) == 6 and row.dtype == torch.float32 for row in rows)
    assert all(torch.equal(a, b) for a, b in zip(rows, again, strict=True))
    assert name == "reconstruction" or not all(torch.equal(a, b) for a, b in zip(rows, other, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_process_with_some_of_the_rows_sees_the_losses_of_all(name):
    """The loss of an example needs its own rows alone and no random number: shards of one draw add up."""
    objective, make = CASES[name]
    model = make()
    rows = objective.draw(BYTES, rng(1))
    before = torch.get_rng_state()
    whole = objective.loss(model, *rows)
    assert whole.shape == (6,) and whole.requires_grad and torch.isfinite(whole).all()
    parts = [objective.loss(model, *(row[part] for row in rows)) for part in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_gets_a_gradient(name):
    objective, make = CASES[name]
    model = make()
    objective.loss(model, *objective.draw(BYTES, rng(1))).mean().backward()
    assert all((parameter.grad != 0).any() for parameter in model.parameters())


def mean_loss(objective, model, n=20_000):
    """(mean, standard error) over n draws for the first image."""
    with torch.no_grad():
        loss = objective.loss(model, *objective.draw(BYTES[:1].expand(n, -1, -1, -1), rng(1))).double()
    return float(loss.mean()), float(loss.std()) / math.sqrt(n)


def test_losses_are_the_bounds_that_they_negate():
    """Means of 20,000 draws against ``evidence_bounds``, which closed forms have tested: 5 standard errors.

    beta adds (beta - 1) KL; power: it is far from the ELBO, and IWAE-5 from both.
    """
    model = gaussian_vae().requires_grad_(False)
    x = CASES["elbo"][0].draw(BYTES[:1], rng())[0]
    q = model.posterior(x)
    elbo = evidence_bounds(model.log_joint, x, q, 20_000, rng(5))
    iwae = evidence_bounds(
        model.log_joint,
        x.expand(20_000, -1, -1, -1),
        model.posterior(x.expand(20_000, -1, -1, -1)),
        5,
        rng(6),
    ).iwae
    expected = {
        "elbo": (-float(elbo.elbo), float(elbo.elbo_error)),
        "monte carlo": (-float(elbo.elbo), float(elbo.elbo_error)),
        "beta": (-float(elbo.elbo) + 3 * float(q.kl()), float(elbo.elbo_error)),
        "iwae": (-float(iwae.mean()), float(iwae.std()) / math.sqrt(20_000)),
    }
    for name, (value, error) in expected.items():
        found, own_error = mean_loss(CASES[name][0], model)
        assert abs(found - value) < 5 * math.hypot(error, own_error), name
    assert expected["beta"][0] > expected["elbo"][0] + 10 * expected["elbo"][1]
    assert expected["iwae"][0] < expected["elbo"][0] - 10 * expected["elbo"][1]


def test_iwae_with_one_draw_is_the_monte_carlo_elbo():
    model = gaussian_vae()
    one, iwae = MonteCarloNegativeELBO(3), NegativeIWAE(3, k=1)
    x, noise = one.draw(BYTES, rng(1))
    torch.testing.assert_close(one.loss(model, x, noise), iwae.loss(model, x, noise[:, None]))


def test_a_reconstruction_is_half_the_squared_error_summed_over_pixels():
    model = autoencoder()
    (x,) = Reconstruction().draw(BYTES, rng())
    error = 0.5 * (x - model.reconstruct(x)).square().sum((1, 2, 3))
    constant = 16 * 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(Reconstruction().loss(model, x), error + constant)


def test_a_denoiser_sees_noise_and_is_asked_for_the_clean_image():
    model, objective = autoencoder(), DenoisingReconstruction(0.3)
    clean, noisy = objective.draw(BYTES.expand(6, 1, 4, 4), rng())
    torch.testing.assert_close(clean, Reconstruction().draw(BYTES, rng())[0])
    error = 0.5 * (clean - model.reconstruct(noisy)).square().sum((1, 2, 3))
    torch.testing.assert_close(objective.loss(model, clean, noisy), error + 8 * math.log(2 * math.pi))
    # 0.3 to 6 standard errors of 600,000 normal numbers.
    many = objective.draw(torch.zeros(600_000, 1), rng())[1]
    assert abs(float(many.std()) / 0.3 - 1) < 6 / math.sqrt(2 * 600_000)


def test_the_best_linear_denoiser_is_the_posterior_mean():
    """x ~ N(0, 1), noise N(0, s²): E[x | noisy] = noisy / (1 + s²), and (x̂ - noisy) / s² the score of
    N(0, 1 + s²). Least squares over 200,000 pairs, 6 standard errors of the slope."""
    s, n = 0.7, 200_000
    x = torch.randn(n, 1, generator=rng(), dtype=torch.float64)
    clean, noisy = DenoisingReconstruction(s).draw(x, rng(1))
    slope = float((clean * noisy).sum() / noisy.square().sum())
    assert abs(slope - 1 / (1 + s**2)) < 6 * math.sqrt(s**2 / (1 + s**2) / (n * (1 + s**2)))
    assert (slope - 1) / s**2 == pytest.approx(-1 / (1 + s**2), abs=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NegativeELBO(0), "latent_dim: expected an int of at least 1, got 0"),
        (lambda: NegativeELBO(3, beta=-1.0), "beta: expected a positive number, got -1"),
        (lambda: MonteCarloNegativeELBO(2.5), "latent_dim: expected an int of at least 1, got 2.5"),
        (lambda: NegativeIWAE(3, k=0), "k: expected an int of at least 1, got 0"),
        (lambda: DenoisingReconstruction(0.0), "std: expected a positive number, got 0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("objective", [NegativeELBO(2), MonteCarloNegativeELBO(2), NegativeIWAE(2, k=4)])
def test_a_latent_dim_that_is_not_the_models_is_named(objective):
    with pytest.raises(ValueError, match="latent_dim: expected 3, as the model has, got 2"):
        objective.loss(gaussian_vae(), *objective.draw(BYTES, rng()))
