"""Data sets: images as floats in [-1, 1], and toy sets whose density is known."""

from ganedu.data.catalogue import available, get
from ganedu.data.cifar10 import cifar10
from ganedu.data.digits import digits
from ganedu.data.files import DataNotFound, cache_dir
from ganedu.data.folder import image_folder
from ganedu.data.images import Images, to_bytes, to_float
from ganedu.data.mixtures import GaussianMixture, grid, mixture_1d, ring
from ganedu.data.mnist import mnist
from ganedu.data.plane import Checkerboard, Rings
from ganedu.data.toy import swiss_roll, two_moons

__all__ = [
    "Checkerboard",
    "DataNotFound",
    "GaussianMixture",
    "Images",
    "Rings",
    "available",
    "cache_dir",
    "cifar10",
    "digits",
    "get",
    "grid",
    "image_folder",
    "mixture_1d",
    "mnist",
    "ring",
    "swiss_roll",
    "to_bytes",
    "to_float",
    "two_moons",
]
