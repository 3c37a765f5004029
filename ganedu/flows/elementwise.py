"""Maps that treat every coordinate on its own: a scale and a shift, and the logistic function."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganedu.flows.base import Flow, Transform
from ganedu.targets.base import check_dim


class Affine(Transform):
    """x = e^s z + t, with an s and a t for each of the ``dim`` coordinates, or channels, of axis 1.

    z (n, dim), or images (n, dim, H, W). Starts as the identity.
    """

    def __init__(self, dim: int):
        super().__init__()
        check_dim(dim, 1)
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z * along_channels(self.log_scale.exp(), z) + along_channels(self.shift, z), self._log_det(z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        centred = x - along_channels(self.shift, x)
        return centred * along_channels((-self.log_scale).exp(), x), -self._log_det(x)

    def _log_det(self, z: Tensor) -> Tensor:
        pixels = z.shape[2:].numel()  # that share a scale: H W of images, 1 of vectors
        return pixels * self.log_scale.sum().expand(len(z))


class ActNorm(Affine):
    """``Affine`` whose first scale and shift come from data (Kingma and Dhariwal 2018, sec. 3.1).

    ``initialise(flow, x)`` sets them; until then it is the identity. Nothing happens behind the
    back of a training loop, so that a run that is resumed, or shared by several processes that see
    different rows, starts from one state. The buffer ``initialised`` is saved with the parameters.
    """

    def __init__(self, dim: int):
        super().__init__(dim)
        self.register_buffer("initialised", torch.tensor(False))
        self.waiting = False  # for the batch that ``initialise`` sends through

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.waiting:
            self._standardise(x)
        return super().inverse(x)

    def _standardise(self, x: Tensor) -> None:
        """Give every channel of z mean 0 and variance 1 over this batch; where it does not vary at
        all, mean 0 alone."""
        channels = x.transpose(0, 1).flatten(1)
        std = channels.std(1)
        self.shift.copy_(channels.mean(1))
        self.log_scale.copy_(torch.where(std > 0, std, 1.0).log())
        self.initialised.fill_(True)


@torch.no_grad()
def initialise(flow: Flow, x: Tensor) -> None:
    """Set every ``ActNorm`` of ``flow`` from one batch x (n, ...), n > 1, as the flow would see it:
    dequantised, on its device. Call it before training, in every process with the same batch.

    Those already initialised stay as they are: on a loaded or resumed flow it does nothing.

    Raises ValueError for a batch of fewer than two rows, which has no variance, and for a flow with an
    ``ActNorm`` that x passes backwards, as one in ``Inverted``: it cannot be set.
    """
    if len(x) < 2:
        raise ValueError(f"x: expected a batch of at least 2 rows, got {len(x)}")
    norms = [layer for layer in flow.modules() if isinstance(layer, ActNorm) and not layer.initialised]
    try:
        for norm in norms:
            norm.waiting = True
        flow.inverse(x)
    finally:
        for norm in norms:
            norm.waiting = False
    missed = sum(not norm.initialised for norm in norms)
    if missed:
        raise ValueError(f"flow: expected every ActNorm to be met by its inverse, got {missed} that are not")


class Logit(Transform):
    """x = (σ(z) - α) / (1 - 2α): from the whole line to a little more than the interval [0, 1].

    The last transform of a flow on images in [0, 1], so that a Gaussian need not learn the edges of
    the cube. z = logit(α + (1 - 2α) x) keeps away from both (Papamakarios et al. 2017, on images);
    logit(α + (1 - α) x) of Dinh et al. (2017, sec. 4.1), who introduced it with α = 0.05, from that
    at 0 alone. A model may put mass on the margins of width α / (1 - 2α) outside [0, 1]; its
    likelihood of images only suffers from that.

    Raises ValueError unless 0 < α < 1/2.
    """

    def __init__(self, alpha: float = 0.05):
        super().__init__()
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha: expected a number between 0 and 1/2, got {alpha}")
        self.alpha = alpha

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return (z.sigmoid() - self.alpha) / (1 - 2 * self.alpha), self._log_det(z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Where x is out of reach its density is zero: a log determinant of -inf."""
        share = self.alpha + (1 - 2 * self.alpha) * x
        within = (share > 0) & (share < 1)
        z = torch.where(within, share, 0.5).logit()
        return z, torch.where(within.flatten(1).all(1), -self._log_det(z), -torch.inf)

    def _log_det(self, z: Tensor) -> Tensor:
        # σ' = σ(z) σ(-z), in log space.
        slope = F.logsigmoid(z) + F.logsigmoid(-z) - torch.log1p(z.new_tensor(-2 * self.alpha))
        return slope.flatten(1).sum(1)


def along_channels(value: Tensor, like: Tensor) -> Tensor:
    """value (C,) in a shape that broadcasts along axis 1 of ``like`` (n, C, ...)."""
    return value.view(-1, *[1] * (like.ndim - 2))
