"""The 8x8 digits that come with scikit-learn: real images without any download."""

from importlib.util import find_spec
from pathlib import Path

import torch

from ganedu.data.images import Images


def digits() -> Images:
    """1,797 handwritten digits (1, 8, 8) in 17 shades (Alpaydin and Kaynak 1998; UCI, test part)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    shades = torch.from_numpy(bunch.images)[:, None]
    return Images((shades * (255 / 16)).round().to(torch.uint8), torch.from_numpy(bunch.target).long())


def locate() -> Path:
    """The folder of scikit-learn, which carries them."""
    return Path(find_spec("sklearn").origin).parent
