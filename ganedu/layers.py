"""Layers and reparametrisations of critics."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from ganedu.samplers.base import check_count


class MinibatchDiscrimination(nn.Module):
    """Appends to each sample how near the rest of its batch is (Salimans et al. 2016, sec. 3.2).

    x (n, in_features) -> (n, in_features + kernels). With M_i = x_i T, a ``kernels`` x ``dim`` matrix,

        o(x_i)_b = offset_b + sum over j != i of exp(-|M_i,b - M_j,b|_1)

    so that a critic can tell a batch of equal fakes by looking at one. The paper's sum has j = i in it,
    a constant 1 that the offset takes up. Distances have no natural unit: ``initialise(critic, x)`` sets one
    from data, without which most kernels see all of a batch, or nothing, and have no gradient to learn
    from. Real and fake must come in separate batches.
    """

    def __init__(self, in_features: int, kernels: int = 100, dim: int = 5):
        super().__init__()
        for name, value in (("in_features", in_features), ("kernels", kernels), ("dim", dim)):
            check_count(name, value)
        self.weight = nn.Parameter(torch.randn(kernels, in_features, dim) * in_features**-0.5)
        self.log_scale = nn.Parameter(torch.zeros(kernels))
        self.offset = nn.Parameter(torch.zeros(kernels))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, (self._nearness(self._distances(x)) + self.offset).to(x.dtype)], 1)

    def _distances(self, x: Tensor) -> Tensor:
        """(kernels, n, n), in float32 at least: differences of near points are what bfloat16 has not got."""
        if x.ndim != 2 or x.shape[1] != self.weight.shape[1]:
            raise ValueError(f"x: expected shape (n, {self.weight.shape[1]}), got {tuple(x.shape)}")
        with torch.autocast(x.device.type, enabled=False):
            rows = x.to(torch.promote_types(x.dtype, self.weight.dtype)) @ self.weight
            rows = rows * self.log_scale.exp()[:, None, None]
            # Not torch.cdist, which cannot be differentiated twice, as gradient penalties need.
            return (rows[:, :, None] - rows[:, None]).abs().sum(-1)

    def _nearness(self, distances: Tensor) -> Tensor:
        """(n, kernels), the sum over the others."""
        return (-distances).exp().sum(1).T - 1.0

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """From x (n, in_features) as this layer would get it: in every kernel a sample's nearest neighbour
        is 2 away on average, and what is appended has mean 0.

        A second call does nothing: a loaded or resumed layer stays as it is. Where all of x are equal in
        some kernel, its scale is left alone.

        Raises ValueError for fewer than two samples.
        """
        if len(x) < 2:
            raise ValueError(f"x: expected a batch of at least 2 rows, got {len(x)}")
        if self.initialised:
            return
        distances = self._distances(x)
        nearest = distances.diagonal_scatter(
            torch.full_like(distances[:, 0], torch.inf), dim1=1, dim2=2
        ).amin(2)
        unit = nearest.mean(1) / 2.0
        unit = torch.where(unit > 0, unit, 1.0)
        self.log_scale -= unit.log()
        self.offset.copy_(-self._nearness(distances / unit[:, None, None]).mean(0))
        self.initialised.fill_(True)


@torch.no_grad()
def initialise(network: nn.Module, x: Tensor) -> None:
    """Set every ``MinibatchDiscrimination`` of ``network`` from one batch of its inputs, x (n, ...), n > 1.

    Before training, in every process with the same batch. On a loaded or resumed network it does nothing.
    BatchNorms and spectral norms that are in train mode see the batch as they would any other.
    """
    layers = [part for part in network.modules() if isinstance(part, MinibatchDiscrimination)]
    if all(layer.initialised for layer in layers):
        return
    hooks = [layer.register_forward_pre_hook(lambda layer, rows: layer.initialise(*rows)) for layer in layers]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()


NORMALISED = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d


def spectrally_normalised(network: nn.Module, n_power_iterations: int = 1) -> nn.Module:
    """``network`` itself, every linear and convolutional weight now divided by its largest singular value,
    as power iterations in train mode estimate it (SN-GAN, Miyato et al. 2018, sec. 2.1).

    A convolution's weight is taken as the matrix (out, in x height x width), as in the paper. That is not
    the norm of the convolution as a map, which overlapping windows can make larger; between linear
    layers and 1-Lipschitz activations the network is 1-Lipschitz.

    Raises ValueError for a network without such a layer, and for one that has been through it.
    """
    layers = {name: part for name, part in network.named_modules() if isinstance(part, NORMALISED)}
    if not layers:
        raise ValueError("network: expected a linear or convolutional layer, got none")
    for name, layer in layers.items():
        if parametrize.is_parametrized(layer, "weight"):
            raise ValueError(f"network: expected plain weights, got a parametrised one in {name or 'itself'}")
    for layer in layers.values():
        spectral_norm(layer, n_power_iterations=n_power_iterations)
    return network


def plain_weights(network: nn.Module) -> nn.Module:
    """``network`` itself, every parametrised weight (``spectrally_normalised``) now a plain one with the
    value that it has in eval mode: the same function, for use and for files. To train on, keep the other.

    Raises ValueError where a part of ``network`` is in train mode: there each look at a weight is a step of
    its power iteration, and no value is the weight's.
    """
    if any(part.training for part in network.modules()):
        raise ValueError("network: expected eval mode, got train mode; call .eval() first")
    for part in list(network.modules()):
        for name in list(getattr(part, "parametrizations", ())):
            parametrize.remove_parametrizations(part, name, leave_parametrized=True)
    return network
