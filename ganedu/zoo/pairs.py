"""The networks of the zoo's GANs, by the name of the entry: nowhere else is it said which these are."""

from collections.abc import Callable
from pathlib import Path

from ganedu import checkpoints
from ganedu.gans import GAN
from ganedu.layers import plain_weights, spectrally_normalised
from ganedu.nets import DCGANCritic, DCGANDiscriminator, DCGANGenerator


def dcgan() -> GAN:
    """Radford et al. (2016), at half their width."""
    return GAN(DCGANGenerator(), DCGANDiscriminator(), latent_dim=100)


def sngan() -> GAN:
    """DCGAN's generator, and its discriminator with spectral norms in the place of BatchNorm (Miyato et al.
    2018). Trained by the hinge its score is no log density ratio, and no function of one."""
    return GAN(DCGANGenerator(), spectrally_normalised(DCGANCritic()), latent_dim=100)


# As they are trained.
PAIRS: dict[str, Callable[[], GAN]] = {"cifar10-dcgan": dcgan, "cifar10-sngan": sngan}

# What D says, for the card.
SCORES = {
    "cifar10-dcgan": "logit of the non-saturating game: at its best the log density ratio",
    "cifar10-sngan": "score of the hinge: no log density ratio; calibration is a logistic regression on it",
}


def published(pair: GAN) -> GAN:
    """A frozen copy with plain weights, as the zoo stores them: the same function."""
    pair = pair.frozen()
    plain = (plain_weights(net).requires_grad_(False) for net in (pair.generator, pair.discriminator))
    return GAN(*plain, pair.latent_dim)


def of_checkpoint(name: str, path: Path) -> GAN:
    """The published form of the pair that ``ganedu train NAME`` left in an epoch's checkpoint."""
    pair = PAIRS[name]()
    checkpoints.unpack(checkpoints.load(path)[0], generator=pair.generator, discriminator=pair.discriminator)
    return published(pair)
