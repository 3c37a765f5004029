"""Networks: plain modules, without losses and without loops."""

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class MLP(nn.Sequential):
    """Fully connected network with ReLU: ``sizes[0] -> ... -> sizes[-1]``, linear at the end."""

    def __init__(self, *sizes: int):
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        super().__init__(*layers[:-1])


def _upsample(fan_in: int, fan_out: int) -> list[nn.Module]:
    conv = nn.ConvTranspose2d(fan_in, fan_out, 4, stride=2, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(fan_out), nn.ReLU()]


def _downsample(fan_in: int, fan_out: int) -> list[nn.Module]:
    conv = nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(fan_out), nn.LeakyReLU(0.2)]


def doublings(size: int) -> int:
    """How often 8 pixels double to ``size``: 2 for 32, 3 for 64. Raises ValueError for a size that is no
    power of two from 32 on."""
    if not isinstance(size, int) or size < 32 or size & (size - 1):
        raise ValueError(f"size: expected a power of two, 32 or more, got {size!r}")
    return size.bit_length() - 4


class DCGANGenerator(nn.Sequential):
    """z (n, latent_dim) -> images (n, channels, size, size) in [-1, 1].

    The five rules of Radford, Metz and Chintala (2016; seed slide 003, "DCGAN"): strided
    convolutions instead of pooling, BatchNorm, no hidden fully connected layer, ReLU with a
    tanh at the end; the discriminator has the fifth, LeakyReLU. As in the paper, BatchNorm
    is left out of the generator's output and of the discriminator's input.

    ``width`` is that of the layer next to the image; each layer further in is twice as wide. The paper's
    networks are of size 64 and width 128. Raises ValueError for a size that is no power of two from 32 on.
    """

    def __init__(self, latent_dim: int = 100, width: int = 64, channels: int = 3, size: int = 32):
        widths = [width << k for k in range(doublings(size), -1, -1)]
        ups = [layer for wide, narrow in pairwise(widths) for layer in _upsample(wide, narrow)]
        super().__init__(
            nn.Unflatten(1, (latent_dim, 1, 1)),
            nn.ConvTranspose2d(latent_dim, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            *ups,
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        self.apply(init_dcgan)


class DCGANDiscriminator(nn.Sequential):
    """Images (n, channels, size, size) -> logits (n,); see ``DCGANGenerator`` for the rules."""

    def __init__(self, width: int = 64, channels: int = 3, size: int = 32):
        widths = [width << k for k in range(doublings(size) + 1)]
        super().__init__(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            *(layer for narrow, wide in pairwise(widths) for layer in _downsample(narrow, wide)),
            nn.Conv2d(widths[-1], 1, 4),
            nn.Flatten(0),
        )
        self.apply(init_dcgan)


class DCGANCritic(nn.Sequential):
    """Images (n, channels, size, size) -> scores (n,): DCGAN's discriminator without BatchNorm, with offsets.

    For gradient penalties, which are of single images, where BatchNorm makes a score depend on its batch
    (Gulrajani et al. 2017, sec. 4), and for spectral norms, which take its place.
    """

    def __init__(self, width: int = 64, channels: int = 3, size: int = 32):
        widths = [width << k for k in range(doublings(size) + 1)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise([channels, *widths]):
            layers += [nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 4), nn.Flatten(0))
        self.apply(init_dcgan)


class DigitGenerator(nn.Sequential):
    """z (n, latent_dim) -> images (n, 1, 28, 28) in [-1, 1]: the InfoGAN paper's for MNIST (Chen et al. 2016,
    appendix C.1) without its first layer; its width is 64."""

    def __init__(self, latent_dim: int, width: int = 24):
        super().__init__(
            nn.Linear(latent_dim, 2 * width * 7 * 7, bias=False),
            nn.BatchNorm1d(2 * width * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (2 * width, 7, 7)),
            *_upsample(2 * width, width),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
            nn.Tanh(),
        )


def digit_critic_and_recogniser(
    outputs: int, width: int = 24, features: int = 96
) -> tuple[nn.Sequential, nn.Sequential]:
    """Images (n, 1, 28, 28) -> scores (n,), and -> (n, ``outputs``): two heads on one trunk, which is the
    first part of both, as in the InfoGAN paper (appendix C.1; there 64 wide, with 1024 features)."""
    trunk = nn.Sequential(
        nn.Conv2d(1, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(2 * width * 7 * 7, features, bias=False),
        nn.BatchNorm1d(features),
        nn.LeakyReLU(0.1),
    )
    score = nn.Sequential(nn.Linear(features, 1), nn.Flatten(0))
    code = nn.Sequential(
        nn.Linear(features, 64, bias=False), nn.BatchNorm1d(64), nn.LeakyReLU(0.1), nn.Linear(64, outputs)
    )
    return nn.Sequential(trunk, score), nn.Sequential(trunk, code)


def init_dcgan(module: nn.Module) -> None:
    """Weights from N(0, 0.02^2), BatchNorm gains from N(1, 0.02^2), offsets zero (DCGAN, sec. 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(*_conv_block(width, width), *_conv_block(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _conv_block(fan_in: int, fan_out: int, pool: bool = False) -> list[nn.Module]:
    conv = nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(fan_out), nn.ReLU()]
    return [*layers, nn.MaxPool2d(2)] if pool else layers


class SmallResNet(nn.Module):
    """CIFAR-10 classifier and feature network: images (n, 3, 32, 32) in [-1, 1] -> logits (n, 10).

    A ResNet-9 at half width (1.6 million parameters). ``features`` gives the 256 averages
    before the last layer: the space in which ganedu measures its Frechet distances.
    """

    feature_dim = 256

    def __init__(self, classes: int = 10):
        super().__init__()
        self.body = nn.Sequential(
            *_conv_block(3, 32),
            *_conv_block(32, 64, pool=True),
            _Residual(64),
            *_conv_block(64, 128, pool=True),
            *_conv_block(128, 256, pool=True),
            _Residual(256),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(self.feature_dim, classes)

    def features(self, x: Tensor) -> Tensor:
        """(n, 256) non-negative features."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """A copy in which each BatchNorm that follows a convolution is folded into it.

    In eval mode BatchNorm is an affine map per channel, so the convolution can carry it: the
    function is the same up to rounding. Only neighbours in a plain ``nn.Sequential``, the network
    itself or a part of one, are folded: a module with a forward or hooks of its own may look
    between them, and is copied as it is.

    Raises ValueError where a part of ``module`` is in train mode (then BatchNorm is not affine).
    """
    if any(part.training for part in module.modules()):
        raise ValueError("module: expected eval mode, got train mode; call .eval() first")
    if type(module).forward is not nn.Sequential.forward or _is_hooked(module):
        return copy.deepcopy(module)
    layers: list[nn.Module] = []
    for layer in module:
        if _is_affine(layer) and layers and _is_plain_conv(layers[-1]):
            transpose = isinstance(layers[-1], nn.ConvTranspose2d)
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer, transpose)
        else:
            layers.append(fold_batchnorm(layer))
    return nn.Sequential(*layers).eval()


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _is_affine(layer: nn.Module) -> bool:
    return type(layer) is nn.BatchNorm2d and layer.running_mean is not None and not _is_hooked(layer)


def _is_plain_conv(layer: nn.Module) -> bool:
    """Neither parametrised (spectral normalisation makes a subclass), nor hooked, nor of a kind
    that torch cannot fuse (grouped and transposed)."""
    if type(layer) is nn.ConvTranspose2d and layer.groups > 1:
        return False
    return type(layer) in {nn.Conv2d, nn.ConvTranspose2d} and not _is_hooked(layer)


def check_finite(module: nn.Module, name: str) -> None:
    """Raise ValueError naming ``name`` where a parameter or buffer of ``module`` is not finite.

    A buffer may hold -inf: that is how masks are written.
    """
    parameters = dict(module.named_parameters())
    for key, value in module.state_dict().items():
        legal = torch.isfinite(value) if key in parameters else value < torch.inf
        if value.is_floating_point() and not legal.all():
            raise ValueError(f"{name}: expected finite parameters, got NaN or infinity in {key!r}")
