"""The networks: their shapes, DCGAN's five rules, and folding that changes nothing."""

import math

import pytest
import torch
from torch import nn

from ganedu.nets import (
    MLP,
    DCGANCritic,
    DCGANDiscriminator,
    DCGANGenerator,
    SmallResNet,
    check_finite,
    fold_batchnorm,
)
from ganedu.rng import generator


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def kinds(net: nn.Module) -> set[type]:
    return {type(layer) for layer in net.modules() if not list(layer.children())}


def lived_in(net: nn.Module) -> nn.Module:
    """``net`` in eval mode, with statistics and gains that a trained network might have."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0.0, 0.5)
            layer.running_var.uniform_(0.2, 3.0)
            if layer.affine:
                nn.init.normal_(layer.weight, 1.0, 0.3)
                nn.init.normal_(layer.bias, 0.0, 0.3)
    return net.eval()


@pytest.mark.parametrize("n", [1, 3])
def test_dcgan_maps_latents_to_pictures_and_pictures_to_logits(n):
    maker, critic = DCGANGenerator().eval(), DCGANDiscriminator().eval()
    x = maker(torch.randn(n, 100))
    assert x.shape == (n, 3, 32, 32) and x.abs().max() <= 1
    assert critic(x).shape == (n,)
    grey = DCGANGenerator(latent_dim=7, width=8, channels=1).eval()(torch.randn(n, 7))
    assert DCGANDiscriminator(width=8, channels=1).eval()(grey).shape == (n,)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_dcgan_comes_in_sizes(size):
    maker, x = DCGANGenerator(5, 2, size=size).eval(), torch.randn(2, 3, size, size)
    assert maker(torch.randn(2, 5)).shape == x.shape
    for critic in (DCGANDiscriminator(2, size=size).eval(), DCGANCritic(2, size=size)):
        assert critic(x).shape == (2,)
        with pytest.raises(RuntimeError, match="Kernel size|shape"):
            critic(torch.randn(2, 3, size // 2, size // 2)).reshape(2)


def test_dcgan_of_size_64_has_as_many_weights_as_pytorchs_example():
    """3,576,704 and 2,765,568 there, without offsets: ours add 3 for the colours, 64 and 1 for the critic."""
    counts = [
        sum(p.numel() for p in net(size=64).parameters()) for net in (DCGANGenerator, DCGANDiscriminator)
    ]
    assert counts == [3_576_704 + 3, 2_765_568 + 64 + 1]


@pytest.mark.parametrize("size", [16, 48, 33, 0, 64.0])
def test_dcgan_refuses_sizes_that_do_not_double(size):
    for make in (DCGANGenerator, DCGANDiscriminator, DCGANCritic):
        with pytest.raises(ValueError, match=f"size: expected a power of two, 32 or more, got {size}"):
            make(size=size)


def test_a_logit_is_not_a_probability():
    critic = DCGANDiscriminator().eval()
    critic[-2].bias.data.fill_(5.0)
    assert critic(torch.zeros(2, 3, 32, 32)).min() > 1


def test_rule_1_strides_and_no_pooling():
    for net in (DCGANGenerator(), DCGANDiscriminator()):
        assert not any("Pool" in kind.__name__ or "Upsample" in kind.__name__ for kind in kinds(net))
        convolutions = [layer for layer in net if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
        assert [layer.stride for layer in convolutions].count((2, 2)) == 3


def test_rule_2_batchnorm_but_not_at_the_pictures_end():
    for net, first in ((DCGANGenerator(), True), (DCGANDiscriminator(), False)):
        convolutions = [i for i, layer in enumerate(net) if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
        normalised = [isinstance(net[i + 1], nn.BatchNorm2d) for i in convolutions]
        # Neither at the picture, nor at the logit.
        assert normalised == ([True, True, True, False] if first else [False, True, True, False])


def test_rule_3_no_fully_connected_layer():
    assert nn.Linear not in kinds(DCGANGenerator()) | kinds(DCGANDiscriminator())


def test_rule_4_relu_and_a_tanh_at_the_end_of_the_generator():
    maker = DCGANGenerator()
    assert type(maker[-1]) is nn.Tanh
    assert [type(layer) for layer in maker].count(nn.ReLU) == 3 and nn.LeakyReLU not in kinds(maker)


def test_rule_5_leaky_relu_in_the_discriminator():
    slopes = [layer.negative_slope for layer in DCGANDiscriminator() if isinstance(layer, nn.LeakyReLU)]
    assert slopes == [0.2] * 3 and nn.ReLU not in kinds(DCGANDiscriminator())


@pytest.mark.parametrize("make", [DCGANGenerator, DCGANDiscriminator])
def test_initial_weights_have_mean_0_and_width_2_percent(make):
    """Five standard errors of mean and of width: false-fail 6e-7 a comparison, 14 comparisons."""
    for layer in make().modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            w, mean = layer.weight.double(), 0.0
        elif isinstance(layer, nn.BatchNorm2d):
            w, mean = layer.weight.double(), 1.0
        else:
            continue
        n = w.numel()
        assert abs(w.mean().item() - mean) < 5 * 0.02 / math.sqrt(n)
        assert abs(w.std().item() - 0.02) < 5 * 0.02 / math.sqrt(2 * n)
        assert layer.bias is None or not layer.bias.any()


def test_the_classifier_gives_ten_logits_of_256_non_negative_features():
    net, x = SmallResNet().eval(), torch.rand(2, 3, 32, 32) * 2 - 1
    features = net.features(x)
    assert features.shape == (2, SmallResNet.feature_dim) and features.min() >= 0
    torch.testing.assert_close(net(x), features @ net.head.weight.T + net.head.bias)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(1.6e6, rel=0.05)


def test_an_mlp_is_linear_at_the_end():
    net = MLP(2, 8, 8, 3)
    assert [type(layer) for layer in net] == [nn.Linear, nn.ReLU] * 2 + [nn.Linear]
    x = torch.randn(5, 2)
    hidden = (x @ net[0].weight.T + net[0].bias).clamp_min(0)
    hidden = (hidden @ net[2].weight.T + net[2].bias).clamp_min(0)
    torch.testing.assert_close(net(x), hidden @ net[4].weight.T + net[4].bias)


class Skip(nn.Sequential):
    """A Sequential that is no chain."""

    def forward(self, x):
        return x + super().forward(x)


class Swapped(nn.Sequential):
    """Lists a convolution before a BatchNorm and applies them the other way round."""

    def forward(self, x):
        return self[0](self[1](x))


def block(**norm) -> list[nn.Module]:
    return [nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3, **norm)]


CASES = {
    "generator": (lambda: DCGANGenerator(), (4, 100)),
    "discriminator": (lambda: DCGANDiscriminator(), (4, 3, 32, 32)),
    "classifier": (lambda: SmallResNet(), (4, 3, 32, 32)),
    "nested": (lambda: nn.Sequential(nn.Sequential(*block()), nn.ReLU(), *block()), (4, 3, 6, 6)),
    "without gains": (lambda: nn.Sequential(*block(affine=False)), (4, 3, 6, 6)),
    "two norms": (lambda: nn.Sequential(*block(), nn.BatchNorm2d(3)), (4, 3, 6, 6)),
    "norm first": (lambda: nn.Sequential(*reversed(block())), (4, 3, 6, 6)),
    "skip": (lambda: Skip(*block()), (4, 3, 6, 6)),
    "swapped": (lambda: Swapped(*block()), (4, 3, 6, 6)),
    "spectral": (
        lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(block()[0]), block()[1]),
        (4, 3, 6, 6),
    ),
    "grouped": (lambda: nn.Sequential(nn.Conv2d(6, 4, 3, groups=2), nn.BatchNorm2d(4)), (4, 6, 6, 6)),
    "grouped transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(6, 4, 3, groups=2), nn.BatchNorm2d(4)),
        (4, 6, 6, 6),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_folding_changes_no_value_and_no_gradient(case):
    make, shape = CASES[case]
    net = lived_in(make())
    folded = fold_batchnorm(net)
    x = torch.randn(shape, generator=generator(1)).requires_grad_()
    y, z = net(x), folded(x)
    scale = y.abs().max().item()
    assert scale > 0
    torch.testing.assert_close(z, y, rtol=0, atol=1e-5 * max(scale, 1.0))
    weight = torch.randn(y.shape, generator=generator(2))
    (dy,) = torch.autograd.grad((weight * y).sum(), x)
    (dz,) = torch.autograd.grad((weight * z).sum(), x)
    torch.testing.assert_close(dz, dy, rtol=0, atol=1e-5 * dy.abs().max().item())


def test_folding_leaves_no_batchnorm_and_the_original_as_it_was():
    for make in (DCGANGenerator, DCGANDiscriminator):
        net = lived_in(make())
        before = {name: value.clone() for name, value in net.state_dict().items()}
        folded = fold_batchnorm(net)
        assert nn.BatchNorm2d in kinds(net) and nn.BatchNorm2d not in kinds(folded)
        with torch.no_grad():
            for weight in folded.parameters():
                weight.add_(1.0)
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_statistics_of_the_batch_are_not_folded():
    net = nn.Sequential(*block(track_running_stats=False)).eval()
    x = torch.randn(4, 3, 6, 6)
    torch.testing.assert_close(fold_batchnorm(net)(x), net(x))


@pytest.mark.parametrize("part", ["whole", "inside", "norm"])
def test_folding_refuses_train_mode(part):
    net = SmallResNet().eval()
    {"whole": net, "inside": net.body[4], "norm": net.body[1]}[part].train()
    with pytest.raises(ValueError, match="module: expected eval mode, got train mode"):
        fold_batchnorm(net)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_parameter_that_is_not_finite_is_named(bad):
    net = DCGANDiscriminator()
    check_finite(net, "discriminator")
    with torch.no_grad():
        net[3].running_var[1] = bad
    with pytest.raises(ValueError, match="discriminator: expected finite.*'3.running_var'"):
        check_finite(net, "discriminator")
