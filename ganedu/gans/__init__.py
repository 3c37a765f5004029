"""The GAN pair, the objectives it is trained with, and the calibration of its discriminator."""

from ganedu.gans.pair import GAN

__all__ = ["GAN"]
