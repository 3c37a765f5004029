"""Half precision for proposals leaves the law exact, compiled networks are the same function."""

import pytest
import torch
from torch import nn

from ganedu.gans import GAN
from ganedu.gans.calibration import Logistic
from ganedu.gans.precision import compiled, half
from ganedu.nets import MLP, DCGANDiscriminator, DCGANGenerator
from ganedu.rng import generator
from ganedu.samplers import Hamiltonian, MetropolisHastings
from ganedu.samplers.gan import rep_gan
from ganedu.targets import LatentTarget
from tests.laws import gaussian_marginals, worst
from tests.samplers.kernels import OldGradient

N = 100_000


class Quadratic(nn.Module):
    """d(x) = offset + b·x - x·Qx/2, in the precision of its input."""

    def __init__(self, offset):
        super().__init__()
        self.offset = offset
        self.register_buffer("b", torch.tensor([1.0, -0.5]))
        self.register_buffer("q", torch.tensor([[0.8, 0.3], [0.3, 0.4]]))

    def forward(self, x):
        return (x @ self.b - 0.5 * ((x @ self.q) * x).sum(-1)) + self.offset


class Stretch(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("matrix", torch.tensor([[1.2, 0.3], [-0.2, 0.7]]))

    def forward(self, z):
        return z @ self.matrix.T


def quadratic_gan():
    """Logits far from zero, as a critic's are: bfloat16 knows them to ±1/2 only."""
    return GAN(Stretch(), Quadratic(offset=200.0), 2).frozen()


def rejection(z):
    """Against p_t = N(S Aᵀb, S), S = (I + AᵀQA)⁻¹."""
    gan = quadratic_gan()
    a, b, q = (t.double() for t in (gan.generator.matrix, gan.discriminator.b, gan.discriminator.q))
    cov = torch.linalg.inv(torch.eye(2, dtype=torch.float64) + a.T @ q @ a)
    return worst(gaussian_marginals(z, cov @ (a.T @ b), (cov + cov.T) / 2))[0]


@pytest.mark.gpu
def test_on_a_gpu_too_the_law_is_exact_with_coarse_gradients_and_wrong_with_coarse_densities():
    gan, rng = quadratic_gan().to("cuda"), torch.Generator("cuda").manual_seed(0)
    assert rejection(drawn(gan, proposal=half(gan), rng=rng).cpu()) < 1
    assert rejection(drawn(half(gan), rng=rng).cpu()) > 2


def drawn(gan, **options):
    return rep_gan(gan, N, **{"steps": 30, "step_size": 0.7, "rng": generator(0), **options}).z


def test_with_gradients_in_bfloat16_mala_has_the_same_law():
    assert rejection(drawn(quadratic_gan(), proposal=half(quadratic_gan()))) < 1


def test_so_has_hmc():
    kernel = MetropolisHastings(Hamiltonian(0.5, 3))
    assert rejection(drawn(quadratic_gan(), proposal=half(quadratic_gan()), kernel=kernel, steps=10)) < 1


def test_with_densities_in_bfloat16_it_has_not():
    assert rejection(drawn(half(quadratic_gan()))) > 2


def test_a_gradient_of_another_point_is_found_out_in_bfloat16_too():
    kernel = MetropolisHastings(OldGradient(1.5))
    assert rejection(drawn(quadratic_gan(), proposal=half(quadratic_gan()), kernel=kernel)) > 2


def test_the_gradient_is_coarse_and_the_density_is_not():
    """What the tests above stand on: half precision is at work, and in the gradient alone."""
    gan, z = quadratic_gan(), torch.randn(200, 2, generator=generator(1))
    exact, coarse = (LatentTarget(g).log_prob_and_grad(z) for g in (gan, half(gan)))
    assert 1e-3 < float((exact[1] - coarse[1]).abs().max()) < 0.2
    assert float((exact[0] - coarse[0]).abs().max()) > 0.4
    draws = rep_gan(gan, 200, steps=1, trace=True, proposal=half(gan), rng=generator(2))
    assert torch.allclose(draws.trace.log_prob[0], LatentTarget(gan).log_prob(draws.z), atol=1e-4)


def test_every_pass_is_counted():
    gan = quadratic_gan()
    assert rep_gan(gan, 5, steps=9, proposal=half(gan), rng=generator(0)).evaluations == (2 * 50, 50)


def test_chunks_change_no_draw():
    torch.manual_seed(0)
    gan = GAN(MLP(4, 32, 5), MLP(5, 32, 1), 4).frozen()
    whole, parts = (
        rep_gan(gan, 23, steps=10, proposal=half(gan), batch_size=b, rng=generator(0)).z for b in (None, 7)
    )
    assert torch.allclose(whole, parts, atol=1e-2)


def test_the_zoos_networks_take_it_and_keep_their_precision_outside():
    torch.manual_seed(0)
    gan = GAN(DCGANGenerator(width=8), DCGANDiscriminator(width=8), 100).frozen()
    z = gan.prior(6, generator(0))
    rough = half(gan)
    assert {p.dtype for p in rough.generator.parameters()} == {torch.bfloat16}
    assert rough.dtype == torch.float32 and rough.logit(rough.generator(z)).dtype == torch.float32
    exact, coarse = (LatentTarget(g, Logistic(2.0)).log_prob_and_grad(z)[1] for g in (gan, rough))
    assert torch.nn.functional.cosine_similarity(exact + z, coarse + z).min() > 0.9
    assert {p.dtype for p in gan.generator.parameters()} == {torch.float32}


def test_bad_input_is_named():
    gan = quadratic_gan()
    with pytest.raises(ValueError, match="proposal: expected a GAN of latent_dim 2, got 4"):
        rep_gan(gan, 5, proposal=GAN(MLP(4, 3), MLP(3, 1), 4).frozen(), rng=generator(0))
    for change in (half, compiled):
        with pytest.raises(ValueError, match="gan: expected eval mode"):
            change(GAN(MLP(4, 3), MLP(3, 1), 4))
    with pytest.raises(ValueError, match="gan: expected eval mode"):
        rep_gan(gan, 5, proposal=GAN(MLP(2, 3), MLP(3, 1), 2), rng=generator(0))


@pytest.mark.slow
def test_compiled_networks_are_the_same_function():
    torch.manual_seed(0)
    gan = GAN(DCGANGenerator(width=8), DCGANDiscriminator(width=8), 100).frozen()
    fast, z = compiled(gan), gan.prior(8, generator(0))
    try:
        value, grad = LatentTarget(fast).log_prob_and_grad(z)
    except Exception as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        pytest.skip(f"torch.compile finds no compiler here: {str(error).splitlines()[0]}")
    exact_value, exact_grad = LatentTarget(gan).log_prob_and_grad(z)
    assert torch.allclose(value, exact_value, rtol=1e-5, atol=1e-5)
    assert torch.allclose(grad, exact_grad, rtol=1e-5, atol=1e-5)
    a, b = (rep_gan(g, 8, steps=3, rng=generator(1)) for g in (gan, fast))
    assert torch.allclose(a.z, b.z, atol=1e-4)
