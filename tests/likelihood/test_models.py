"""A VAE is its encoder, decoder, head and prior, put together as the formulas say."""

import pytest
import torch
from torch import nn

from ganedu.likelihood import (
    VAE,
    Autoencoder,
    BernoulliHead,
    CholeskyGaussian,
    DiagonalGaussian,
    FixedStd,
    LearnedStd,
    LinearGaussian,
    NegativeELBO,
    SharedStd,
    evidence_bounds,
    mlp_autoencoder,
    mlp_vae,
    naive,
    surgery,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def same_weights():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


HEADS = {
    "bernoulli": BernoulliHead,
    "fixed": lambda: FixedStd(0.5),
    "shared": SharedStd,
    "own": lambda: LearnedStd(0.1),
}
SHAPE = (2, 3, 4)
X = (torch.rand(5, *SHAPE, generator=rng()) > 0.5).double()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", [DiagonalGaussian, CholeskyGaussian])
def test_every_head_and_family_has_its_shapes_and_a_gradient_for_every_parameter(head, family):
    vae = mlp_vae(SHAPE, hidden=16, latent_dim=3, head=HEADS[head](), family=family).double()
    z = torch.randn(7, 5, 3, generator=rng(), dtype=torch.float64)
    assert vae.log_joint(X, z).shape == (7, 5) and vae.log_joint(X, z[0]).shape == (5,)
    assert vae.sample(6, rng()).shape == (6, *SHAPE) and vae.sample(6, rng()).dtype == torch.float64
    assert vae.reconstruct(X).shape == X.shape
    objective = NegativeELBO(latent_dim=3)
    objective.loss(vae, *objective.draw(X, rng())).mean().backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).any(), name


@pytest.mark.parametrize("head", HEADS)
def test_draws_and_examples_are_paired_row_by_row(head):
    """(k, n) at once is each pair on its own: neither k and n nor two examples are mixed up."""
    vae = mlp_vae(SHAPE, hidden=16, latent_dim=3, head=HEADS[head]()).double()
    z = torch.randn(2, 5, 3, generator=rng(), dtype=torch.float64)
    alone = [[vae.log_joint(X[i : i + 1], z[j, i : i + 1])[0] for i in range(5)] for j in range(2)]
    torch.testing.assert_close(vae.log_joint(X, z), torch.stack([torch.stack(row) for row in alone]))
    assert vae.log_joint(X, z).unique().numel() == 10


def test_the_joint_is_prior_times_likelihood():
    vae = mlp_vae(SHAPE, hidden=16, latent_dim=3).double()
    z = torch.randn(5, 3, generator=rng(), dtype=torch.float64)
    logits = vae.decoder(z)
    bits = torch.distributions.Bernoulli(logits=logits).log_prob(X).sum((1, 2, 3))
    prior = torch.distributions.Normal(0, 1).log_prob(z).sum(1)
    torch.testing.assert_close(vae.log_joint(X, z), bits + prior)


def test_with_affine_networks_it_is_the_linear_gaussian_model():
    """Decoder W z + b with a fixed deviation, and an encoder that is exact: then every weight is p(x)."""
    weight = torch.randn(4, 2, generator=rng(), dtype=torch.float64)
    exact = LinearGaussian(weight, torch.zeros(4).double(), torch.tensor(0.5).double().log()).requires_grad_(
        False
    )
    decoder = nn.Linear(2, 4).double()
    x, z = exact.sample(5, rng(1)), torch.randn(3, 5, 2, generator=rng(2), dtype=torch.float64)

    class Encoder(nn.Module):
        def forward(self, x):
            q = exact.posterior(x)
            diagonal = q.scale_tril.diagonal(dim1=1, dim2=2).log()
            return torch.cat([q.mean, diagonal, q.scale_tril[:, 1:, 0]], 1)

    vae = VAE(Encoder(), decoder, 2, FixedStd(0.5), CholeskyGaussian)
    with torch.no_grad():
        decoder.weight.copy_(weight)
        decoder.bias.zero_()
        torch.testing.assert_close(vae.log_joint(x, z), exact.log_joint(x, z))
        q = vae.posterior(x)
        torch.testing.assert_close(vae.log_joint(x, q.mean) - q.log_prob(q.mean), exact.log_prob(x))


def test_draws_of_a_linear_vae_have_the_covariance_of_the_model():
    """To 6 standard errors of 100,000 draws, for each of 10 entries; without the pixels' noise they fail."""
    vae = mlp_vae((4,), hidden=3, latent_dim=2, head=FixedStd(0.5)).double()
    vae.decoder = nn.Linear(2, 4).double()
    n, w = 100_000, vae.decoder.weight.detach()
    x = vae.sample(n, rng())
    for noise, agrees in ((0.25, True), (0.0, False)):
        covariance = w @ w.T + noise * torch.eye(4)
        variance = covariance.diagonal()
        error = ((variance[:, None] * variance + covariance**2) / n).sqrt()
        off = (x.T.cov() - covariance).abs() / error
        assert bool((off < 6).all()) == agrees


def test_the_mlp_for_mnist_is_784_400_20():
    vae = mlp_vae((1, 28, 28))
    sizes = [tuple(layer.weight.shape) for layer in vae.modules() if isinstance(layer, nn.Linear)]
    assert sizes == [(400, 784), (40, 400), (400, 20), (784, 400)]
    assert isinstance(vae.head, BernoulliHead) and vae.latent_dim == 20


@pytest.mark.parametrize("head", HEADS)
def test_an_autoencoder_has_a_code_and_gives_back_the_shape(head):
    model = mlp_autoencoder(SHAPE, hidden=16, latent_dim=3, head=HEADS[head]()).double()
    assert model.encode(X).shape == (5, 3)
    assert model.reconstruct(X).shape == X.shape
    assert model.decode(model.encode(X)).log_prob(X).shape == (5,)


def test_the_default_head_is_binary():
    vae = VAE(nn.Linear(3, 4), nn.Linear(2, 3), latent_dim=2)
    assert isinstance(vae.head, BernoulliHead)
    assert isinstance(Autoencoder(nn.Linear(3, 2), nn.Linear(2, 3)).head, BernoulliHead)


def test_weights_saved_and_loaded_are_the_same_model(tmp_path):
    first = mlp_vae(SHAPE, hidden=16, latent_dim=3, head=SharedStd()).double()
    second = mlp_vae(SHAPE, hidden=16, latent_dim=3, head=SharedStd()).double()
    z = torch.randn(5, 3, generator=rng(), dtype=torch.float64)
    assert not torch.equal(first.log_joint(X, z), second.log_joint(X, z))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.log_joint(X, z), second.log_joint(X, z))


def test_in_bfloat16_sums_over_pixels_are_still_taken_in_float32():
    """784 terms of about -0.7 in bfloat16, whose next number after 512 is 516, would be off by 1 and more."""
    vae, x = mlp_vae((1, 28, 28)), (torch.rand(4, 1, 28, 28, generator=rng()) > 0.5).float()
    objective = NegativeELBO(latent_dim=20)
    rows = objective.draw(x, rng(1))
    exact = objective.loss(vae, *rows)
    with torch.autocast("cpu", torch.bfloat16):
        rough = objective.loss(vae, *rows)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 1.0


def test_an_encoder_of_another_width_is_named():
    vae = VAE(nn.Linear(3, 5), nn.Linear(2, 3), latent_dim=2)
    with pytest.raises(ValueError, match=r"encoder: expected to get shape \(4, 4\), got \(4, 5\)"):
        vae.posterior(torch.zeros(4, 3))


@pytest.mark.gpu
def test_on_a_gpu_everything_stays_there_and_is_that_of_a_cpu():
    vae, z = mlp_vae(SHAPE, hidden=16, latent_dim=3).double(), torch.randn(7, 5, 3, dtype=torch.float64)
    here = vae.log_joint(X, z)
    vae.cuda()
    torch.testing.assert_close(vae.log_joint(X.cuda(), z.cuda()).cpu(), here)
    assert vae.sample(3, torch.Generator("cuda").manual_seed(0)).is_cuda
    objective = NegativeELBO(latent_dim=3)
    rows = objective.draw(X.cuda(), torch.Generator("cuda").manual_seed(0))
    assert all(row.is_cuda for row in rows) and objective.loss(vae, *rows).is_cuda
    q, cuda = vae.posterior(X.cuda()), torch.Generator("cuda").manual_seed(1)
    assert evidence_bounds(vae.log_joint, X.cuda(), q, 50, cuda).iwae.is_cuda
    assert naive(vae.log_joint, X.cuda(), 3, 50, cuda).iwae.is_cuda
    assert surgery(vae, X.cuda(), cuda).elbo < 0


@pytest.mark.parametrize("shape", [(5, 3), (4, 2), (3, 4, 2), (1, 2), (2,)])
def test_latents_that_do_not_fit_are_named(shape):
    vae, x = mlp_vae(SHAPE, hidden=8, latent_dim=2), torch.zeros(5, *SHAPE)
    with pytest.raises(ValueError, match=r"z: expected shape \(5, 2\) or \(k, 5, 2\), got "):
        vae.log_joint(x, torch.zeros(shape))
    assert vae.log_joint(x[:1], torch.zeros(3, 4, 2)).shape == (3, 4)


@pytest.mark.parametrize("make", [mlp_vae, mlp_autoencoder])
def test_bytes_are_no_input_of_a_network(make):
    with pytest.raises(ValueError, match="x: expected floats, got torch.uint8; see floats, threshold"):
        make(SHAPE).reconstruct(torch.zeros(3, *SHAPE, dtype=torch.uint8))
