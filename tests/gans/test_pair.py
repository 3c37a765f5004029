"""The pair that samplers take: frozen copies, folded copies, and what is refused."""

import pytest
import torch
from torch import nn

from ganedu.gans import GAN, non_saturating
from ganedu.nets import MLP, DCGANDiscriminator, DCGANGenerator
from ganedu.targets import LatentTarget


def small_gan():
    torch.manual_seed(0)
    return GAN(MLP(2, 8, 3), nn.Sequential(MLP(3, 8, 1)), 2)


def rng():
    return torch.Generator().manual_seed(0)


def test_frozen_is_a_copy_that_leaves_the_original_in_training():
    gan = small_gan()
    frozen = gan.frozen()
    assert gan.generator.training and all(p.requires_grad for p in gan.generator.parameters())
    assert not frozen.generator.training and not any(p.requires_grad for p in frozen.generator.parameters())
    frozen.generator[0].weight.zero_()
    assert gan.generator[0].weight.abs().sum() > 0


def test_folded_is_the_same_function():
    torch.manual_seed(0)
    gan = GAN(DCGANGenerator(width=8), DCGANDiscriminator(width=8), 100)
    for _ in range(3):  # statistics and gains that are not 0 and 1
        gan.discriminator(gan.generator(torch.randn(16, 100) * 2 + 1))
    frozen, folded = gan.frozen(), gan.folded()
    z = gan.prior(8, rng())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.generator.modules())
    assert torch.allclose(frozen.generator(z), folded.generator(z), atol=1e-5)
    x = frozen.generator(z)
    assert torch.allclose(frozen.logit(x), folded.logit(x), atol=1e-4, rtol=1e-4)


def test_a_discriminator_may_return_a_column():
    gan = small_gan().frozen()
    assert gan.discriminator(torch.zeros(5, 3)).shape == (5, 1)
    assert gan.logit(torch.zeros(5, 3)).shape == (5,)


def test_modules_without_parameters_are_legal():
    gan = GAN(nn.Identity(), nn.Flatten(0), 1).frozen()
    assert LatentTarget(gan).log_prob(gan.prior(4, rng())).shape == (4,)


def test_the_wrong_output_shape_is_named():
    gan = GAN(MLP(2, 3), MLP(3, 2), 2).frozen()
    with pytest.raises(ValueError, match=r"discriminator: expected logits.*\(5,\) or \(5, 1\), got \(5, 2\)"):
        LatentTarget(gan).log_prob(torch.zeros(5, 2))


def test_the_wrong_latent_size_is_named():
    with pytest.raises(ValueError, match=r"z: expected shape \(chains, 2\), got \(5, 3\)"):
        LatentTarget(small_gan().frozen()).log_prob(torch.zeros(5, 3))


def test_a_network_that_keeps_plain_tensors_has_their_precision():
    class Held(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = torch.eye(2, dtype=torch.float64)

        def forward(self, z):
            return z @ self.matrix

    assert GAN(Held(), nn.Flatten(0), 2).dtype == torch.float64
    assert GAN(MLP(2, 3).half(), MLP(3, 1), 2).dtype == torch.float32


def test_a_squeezed_logit_of_one_image_is_a_batch_of_one():
    class Squeezed(nn.Module):
        def forward(self, x):
            return x.sum(-1, keepdim=True).squeeze()

    gan = GAN(MLP(2, 3), Squeezed(), 2).frozen()
    assert gan.logit(torch.zeros(1, 3)).shape == (1,) and gan.logit(torch.zeros(4, 3)).shape == (4,)


class Skip(nn.Sequential):
    """Looks at its convolution's output before BatchNorm."""

    def forward(self, x):
        before = self[0](x)
        return self[1](before) + before


@pytest.mark.parametrize("kind", ["own forward", "inside an own forward", "hooked"])
def test_folding_leaves_alone_what_may_look_between_the_layers(kind):
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
    part = nn.Sequential(*layers) if kind == "hooked" else Skip(*layers)
    if kind == "hooked":
        part[0].register_forward_hook(lambda module, args, out: 2 * out)
    net = nn.Sequential(part, nn.ReLU()) if kind != "own forward" else part
    net(torch.randn(8, 3, 4, 4) * 3 + 1)
    x = torch.randn(2, 3, 4, 4)
    gan = GAN(net, nn.Flatten(), 3)
    assert torch.allclose(gan.frozen().generator(x), gan.folded().generator(x), atol=1e-5)


def test_parameters_that_are_not_finite_are_refused():
    gan = small_gan()
    with torch.no_grad():
        gan.discriminator[0][0].bias[0] = torch.nan
    with pytest.raises(ValueError, match="discriminator: expected finite parameters.*0.0.bias"):
        gan.frozen()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((len, nn.Identity(), 2), "generator: expected an nn.Module, got builtin"),
        ((nn.Identity(), "D", 2), "discriminator: expected an nn.Module, got str"),
        ((nn.Identity(), nn.Identity(), 0), "latent_dim: expected a positive int, got 0"),
        (
            (nn.Identity(), nn.Sequential(MLP(2, 1), nn.Sequential(nn.Sigmoid())), 2),
            "discriminator: expected one that returns logits, got a Sigmoid at its end",
        ),
    ],
)
def test_what_is_no_gan_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GAN(*arguments)


def test_the_non_saturating_losses_in_logits():
    """Asymmetric logits, against the probabilities they stand for; finite at ±100."""
    critic = nn.Identity()
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    p_real, p_fake = torch.sigmoid(real), torch.sigmoid(fake)
    expected = -(p_real.log().mean() + (1 - p_fake).log().mean())
    assert torch.allclose(non_saturating.critic_loss(critic, real, fake), expected)
    assert torch.allclose(non_saturating.generator_loss(critic, fake), -p_fake.log().mean())
    far = torch.tensor([-100.0, 100.0])
    assert torch.isfinite(non_saturating.critic_loss(critic, far, far))


def test_a_gan_elsewhere_or_folded_is_a_copy():
    torch.manual_seed(0)
    gan = GAN(DCGANGenerator(width=2, latent_dim=3), DCGANDiscriminator(width=2), 3)
    before = {name: value.clone() for name, value in gan.generator.state_dict().items()}
    there, folded = gan.to("cpu"), gan.folded()
    assert gan.generator.training and gan.discriminator.training
    assert gan.generator.state_dict().keys() == before.keys()
    for copy in (there, folded):
        for parameter in copy.generator.parameters():
            parameter.data.zero_()
    assert all(torch.equal(value, before[name]) for name, value in gan.generator.state_dict().items())
    assert all(p.requires_grad for p in gan.discriminator.parameters())


def test_a_generator_with_a_weight_that_is_no_number_is_refused():
    gan = GAN(MLP(2, 3), MLP(3, 1), 2)
    with torch.no_grad():
        gan.generator[0].bias[0] = torch.nan
    with pytest.raises(ValueError, match="generator: expected finite parameters"):
        gan.frozen()


def test_one_logit_for_a_whole_batch_is_refused():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean()

    with pytest.raises(
        ValueError, match=r"discriminator: expected logits of shape \(4,\) or \(4, 1\), got \(\)"
    ):
        GAN(nn.Identity(), Mean(), 3).logit(torch.zeros(4, 3))


def test_the_precision_is_that_of_the_first_floats_there_are():
    scaler = nn.BatchNorm1d(2, affine=False).double()
    assert GAN(nn.Identity(), MLP(2, 1).double(), 2).dtype == torch.float64
    assert GAN(scaler, nn.Flatten(0), 2).dtype == torch.float64


def test_check_frozen_names_the_part():
    gan = GAN(nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 1), 2)
    frozen = gan.frozen()
    frozen.discriminator.train()
    with pytest.raises(
        ValueError, match="gan: expected eval mode, got discriminator in train mode; pass gan.frozen"
    ):
        frozen.check_frozen()
    frozen.discriminator.eval().weight.requires_grad_(True)
    with pytest.raises(
        ValueError, match="gan: expected frozen parameters, got discriminator.weight with requires_grad=True"
    ):
        frozen.check_frozen()
    frozen = gan.frozen()
    frozen.generator[0].train()
    with pytest.raises(ValueError, match="got generator.0 in train mode"):
        frozen.check_frozen()
