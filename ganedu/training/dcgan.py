"""A DCGAN of images of your own: any folder or zip of pictures (CelebA's users; seed slide 003, "DCGAN").

>>> from pathlib import Path
>>> from ganedu.data import image_folder
>>> from ganedu.training import GANRecipe
>>> from ganedu.training.dcgan import load_dcgan, train_dcgan
>>> images = image_folder("img_align_celeba.zip", size=64)
>>> gan = train_dcgan(images, GANRecipe(batch_size=128), Path("build/faces"))
>>> gan = load_dcgan("build/faces")  # later
"""

from pathlib import Path

from ganedu import checkpoints
from ganedu.data import Images
from ganedu.gans import non_saturating
from ganedu.gans.pair import GAN
from ganedu.nets import DCGANDiscriminator, DCGANGenerator
from ganedu.rng import initial_weights
from ganedu.training import GANRecipe, train_gan

# The paper's batch; its networks have width 128, which takes four times as long as 64.
RECIPE = GANRecipe(batch_size=128)


def build_dcgan(size: int, latent_dim: int, width: int, channels: int, seed: int) -> GAN:
    """The pair before training, by ``seed``; torch's global generator stays as it is."""
    with initial_weights(seed):
        generator = DCGANGenerator(latent_dim, width, channels, size)
        return GAN(generator, DCGANDiscriminator(width, channels, size), latent_dim)


def train_dcgan(
    images: Images,
    recipe: GANRecipe,
    folder: Path | str,
    *,
    latent_dim: int = 100,
    width: int = 64,
    **options,
) -> GAN:
    """Train a DCGAN on square images (n, C, size, size), by ``train_gan``, which says what ``folder`` gets
    and takes ``options``. A run goes on with the images and networks that it began with, and no others.

    Raises ValueError for images that are not square, or of a size that is no power of two from 32 on,
    and as ``train_gan``.
    """
    _, channels, height, size = images.pixels.shape
    if height != size:
        raise ValueError(f"images: expected squares, got {height} x {size}")
    sizes = {"size": size, "latent_dim": latent_dim, "width": width, "channels": channels}
    gan = build_dcgan(**sizes, seed=recipe.seed)
    return train_gan(gan, images, non_saturating, recipe, folder, held=sizes, **options)


def load_dcgan(folder: Path | str) -> GAN:
    """The pair of the last whole epoch in ``folder``, frozen, on the processor.

    Raises ValueError where there is none, or the run is of other networks.
    """
    folder = Path(folder)
    state = folder / "state.safetensors"
    if not state.exists():
        raise ValueError(f"{folder}: expected a training of a DCGAN, found no {state.name}")
    tensors, meta = checkpoints.load(state)
    try:
        sizes = {name: meta["recipe"][name] for name in ("size", "latent_dim", "width", "channels")}
    except KeyError as error:
        raise ValueError(f"{state}: expected a run of train_dcgan, {error} is not recorded") from None
    gan = build_dcgan(**sizes, seed=0)
    parts = {"generator": gan.generator, "discriminator": gan.discriminator}
    checkpoints.unpack(tensors, **parts)
    return gan.frozen()
