"""The bound of a critic on an f-divergence, from samples: what the critic of an f-GAN maximises."""

from torch import Tensor

from ganedu.divergences.f_divergences import FDivergence
from ganedu.divergences.samples import at_least_float32


def variational_bound(divergence: FDivergence, v_real: Tensor, v_fake: Tensor) -> Tensor:
    """mean g(v_real) - mean f*(g(v_fake)), a scalar (Nowozin et al. 2016, eq. 4 and 7; seed slide 003).

    ``v_real`` (n, ...) and ``v_fake`` (m, ...) are raw outputs of one network on draws of P and Q. Its mean
    over draws is at most D_f(P || Q) for every network, and D_f where g(v) = f'(p/q). The estimate
    itself may exceed D_f; and maximised on the draws it is estimated from, it does so on average.

    Raises ValueError where either is empty.
    """
    for name, v in (("v_real", v_real), ("v_fake", v_fake)):
        if not v.numel():
            raise ValueError(f"{name}: expected at least one value, got shape {tuple(v.shape)}")
    return (
        divergence.activation(at_least_float32(v_real)).mean()
        - divergence.dual(at_least_float32(v_fake)).mean()
    )
