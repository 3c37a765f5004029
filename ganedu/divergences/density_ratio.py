"""Ways to learn the ratio r = p/q from samples of P and Q (Mohamed and Lakshminarayanan 2016).

Each is a loss, a scalar, of what a network says at points of P (``real``) and of Q (``fake``), the last one
of the points themselves, too. It is smallest, over all functions, where the network is

    class_probability         log r     the logit of "this one is from P"
    divergence_of_dual        T with activation(T) = f'(r)
    divergence_of_ratio       r
    ratio_matching            r
    moment_matching           r, at the points of Q alone

Seed slide 002, "Learning in implicit models". There "Divergence minimization I" reads the network's output
as the ratio; it is f'(r), from which ``ratio_of_dual`` gets r back. "Ratio matching" there has one term more,
E_P r* / 2, which does not depend on the network but does on q. Without it minus the loss is at best
(χ² + 1) / 2, which a generator can lower; with it the best loss is 0 for every q, and nothing is left to
lower.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganedu.divergences.f_divergences import FDivergence, TotalVariation
from ganedu.divergences.mmd import Kernel
from ganedu.divergences.samples import check_pair, column, full_precision
from ganedu.divergences.variational import variational_bound


def class_probability(logit_real: Tensor, logit_fake: Tensor) -> Tensor:
    """-E_P log D - E_Q log(1 - D), D = sigmoid(logit): smallest at logit = log r (seed slide 002,
    "Class-probability matching"). 2 log 2 - 2 JSD there; the classes count the same, however many points.

    logits (n,), (m,) or with a last axis of 1; JSD is the mean of KL(P || M) and KL(Q || M), M = (P + Q) / 2.
    Raises ValueError for another shape.
    """
    real, fake = column("logit_real", logit_real), column("logit_fake", logit_fake)
    return softplus(-real).mean() + softplus(fake).mean()


def divergence_of_dual(divergence: FDivergence, v_real: Tensor, v_fake: Tensor) -> Tensor:
    """-(E_P T - E_Q f*(T)), T = activation(v): -D_f(P || Q) at T = f'(r), and higher elsewhere (Nguyen et
    al. 2010; Nowozin et al. 2016, eq. 4; seed slide 002, "Divergence minimization I")."""
    return -variational_bound(divergence, v_real, v_fake)


def ratio_of_dual(divergence: FDivergence, v: Tensor) -> Tensor:
    """r = (f*)'(activation(v)), the shape and precision of v: the inverse of T = f'(r). No gradient passes.

    Taken as the slope of f*(activation(v)) over that of activation(v). Where r is large the activation is
    rounded to the end of dom f*, and a slope at that place says nothing: float32 has no Jensen-Shannon T of
    a ratio above 1e7, while its v is log r.

    Raises ValueError for total variation, whose f' is a sign: its T says which of p and q is larger, and
    not by how much.
    """
    if isinstance(divergence, TotalVariation):
        raise ValueError("divergence: expected one whose f is strictly convex, got total variation")
    with torch.enable_grad():
        at = v.detach().double().requires_grad_()
        slopes = [
            torch.autograd.grad(function(at).sum(), at)[0]
            for function in (divergence.dual, divergence.activation)
        ]
    return (slopes[0] / slopes[1]).to(v.dtype)


def divergence_of_ratio(divergence: FDivergence, r_real: Tensor, r_fake: Tensor) -> Tensor:
    """-(E_P f'(r) - E_Q f*(f'(r))): the same bound, of a network that says r itself, r > 0 (seed slide 002,
    "Divergence minimization II"). -D_f(P || Q) at the true r.

    f*(f'(r)) = r f'(r) - f(r) (Fenchel), which needs no conjugate; for KL it is r.

    r (n,), (m,) or with a last axis of 1. Raises ValueError for another shape, and a ratio that is not
    positive: let the network say log r.
    """
    r_real, r_fake = column("r_real", r_real), column("r_fake", r_fake)
    for name, ratio in (("r_real", r_real), ("r_fake", r_fake)):
        if not (ratio > 0).all():
            raise ValueError(f"{name}: expected positive ratios, got {float(ratio.min()):.3g}")
    return divergence.dual_of_ratio(r_fake).mean() - divergence.df(r_real).mean()


def ratio_matching(r_real: Tensor, r_fake: Tensor) -> Tensor:
    """E_Q r² / 2 - E_P r = E_Q (r - r*)² / 2 - E_P r* / 2: least squares, without knowing r* (Kanamori et al.
    2009; seed slide 002, "Ratio matching"). -E_P r* / 2 at r = r*; it is Pearson's bound in disguise.

    r (n,), (m,) or with a last axis of 1, of any sign. A heavy-tailed r has a large variance here. Raises
    ValueError for another shape.
    """
    return 0.5 * column("r_fake", r_fake).square().mean() - column("r_real", r_real).mean()


def moment_matching(real: Tensor, fake: Tensor, r_fake: Tensor, kernel: Kernel) -> Tensor:
    """|E_P φ(x) - E_Q r(y) φ(y)|² in the features φ of ``kernel``: the squared MMD of P and of Q reweighted
    by r (Huang et al. 2007, "kernel mean matching"). 0 at r = p/q, and for a characteristic kernel
    (RBF) nowhere else.

    real (n, d), fake (m, d), r_fake (m,). Seed slide 002, "Moment matching", has it with r = 1, as a loss for
    q. Like ``mmd2_biased`` it lets each point meet itself; the part of that which depends on r, the mean of
    k(y, y) r² / m, shrinks r a little where m is small.

    Raises ValueError for another shape of r_fake, and samples of two spaces.
    """
    check_pair(real, fake, names=("real", "fake"))
    if r_fake.shape != fake.shape[:1]:
        raise ValueError(f"r_fake: expected shape ({len(fake)},), got {tuple(r_fake.shape)}")
    within_real = kernel.gram(real, real).mean()
    across, within = kernel.gram(real, fake).mean(0), kernel.gram(fake, fake)
    r = r_fake.to(within)
    with full_precision(real):
        return within_real - 2.0 * (across @ r) / len(r) + r @ within @ r / len(r) ** 2
