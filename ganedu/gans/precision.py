"""The same GAN, faster: networks in half precision, and networks compiled.

Half precision is for gradients. A proposal may come from anywhere as long as the acceptance knows
its law, and the gradient of ``half(gan)``, however coarse, is a function of the point, the same on the
way back as on the way there: ``rep_gan(gan, n, proposal=half(gan), ...)`` is as exact as without, with
the density that decides in full precision. Log densities in half precision are another matter:
bfloat16 has 8 significant bits, so that a logit of 300 (a critic has no zero point) is known to ±1.
"""

import copy

import torch
from torch import Tensor, nn

from ganedu.gans.pair import GAN


class InPrecision(nn.Module):
    """``net`` in ``dtype``, between inputs and outputs of whatever precision the caller has."""

    def __init__(self, net: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.net = copy.deepcopy(net).to(dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to(self.dtype)).to(x.dtype)


def half(gan: GAN, dtype: torch.dtype = torch.bfloat16) -> GAN:
    """A folded copy whose two networks compute in ``dtype``; points and logits keep their precision.

    bfloat16 has the exponents of float32: no gradient of D vanishes that would not vanish there.
    Raises ValueError for a GAN that is not frozen.
    """
    gan.check_frozen()
    return _changed(gan.folded(), lambda net: InPrecision(net, dtype).eval())


def compiled(gan: GAN) -> GAN:
    """A folded copy whose two networks go through ``torch.compile``: the same function up to rounding.

    The first pass for each shape of a batch takes seconds to minutes, so chains should be many and
    ``batch_size`` divide their number. Raises ValueError for a GAN that is not frozen.
    """
    gan.check_frozen()
    return _changed(gan.folded(), torch.compile)


def _changed(gan: GAN, change) -> GAN:
    return GAN(change(gan.generator), change(gan.discriminator), gan.latent_dim)
