"""What a DCGAN has learned, as its paper shows it: walks in latent space, arithmetic on latents, filters.

Radford, Metz and Chintala (2016), fig. 4, 5 and 7; seed slides 003. The latents are made by
``gans.latents``; these functions draw the pictures that a generator made of them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure, panels
from ganedu.viz.images import tile


def walks(x: Mapping[str, Tensor], z: Mapping[str, Tensor]) -> Figure:
    """Ways from one latent to another, and how long the latents on them are.

    ``x``: way -> pictures (steps, C, H, W) in [-1, 1], the same steps for all; ``z``: the same ways -> their
    latents (steps, d). Below the pictures |z| / √d is drawn over where 99.9% of the prior N(0, I) lies: a
    chord cuts through where the generator was never trained, an arc does not.
    """
    if x.keys() != z.keys() or not x:
        raise ValueError(f"z: expected the ways {', '.join(x) or '(none)'}, got {', '.join(z)}")
    steps = {len(part) for part in (*x.values(), *z.values())}
    if len(steps) != 1:
        raise ValueError(f"x, z: expected equally many steps on all ways, got {sorted(steps)}")
    (steps,) = steps
    width = max(6.0, 0.7 * steps)
    fig = Figure(width, width / steps * len(x) + 2.6)
    above, below = fig.subfigures(2, 1, height_ratios=(width / steps * len(x), 2.4))
    axis = above.subplots()
    page = _pictures(axis, torch.cat([*x.values()]), steps)
    row = (page[0] - 1) / len(x)
    axis.set_yticks([(i + 0.5) * row for i in range(len(x))], list(x))
    axis = below.subplots()
    share = torch.linspace(0, 1, steps)
    dim = next(iter(z.values())).shape[1]
    low, high = (float(bound) / dim**0.5 for bound in _lengths(dim))
    axis.axhspan(low, high, color=OKABE_ITO["sky"], alpha=0.3, linewidth=0, label="99.9% of the prior")
    for (name, points), colour, dash in zip(z.items(), LINES, DASHES, strict=False):
        length = points.detach().cpu().norm(dim=1) / dim**0.5
        axis.plot(share, length, color=colour, linestyle=dash, marker="o", markersize=3, label=name)
    axis.set_xlim(-0.5 / steps, 1 + 0.5 / steps)
    axis.set_ylim(bottom=min(0.55, axis.get_ylim()[0]))
    axis.set_xlabel("share of the way")
    axis.set_ylabel("length of z / √d")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, ncols=3, loc="lower right")
    return fig


def _lengths(dim: int) -> tuple[float, float]:
    """Between which 99.9% of N(0, I) in ``dim`` dimensions lie: quantiles of the chi law, whose distribution
    function at r is the regularised incomplete gamma function at d/2 and r²/2."""
    r = torch.linspace(0.0, 2.0 * dim**0.5 + 5.0, 20_001, dtype=torch.float64)
    cdf = torch.special.gammainc(torch.full_like(r, dim / 2.0), r.square() / 2.0)
    return tuple(float(r[int(torch.searchsorted(cdf, level))]) for level in (0.0005, 0.9995))


def arithmetic(terms: Mapping[str, Tensor], result: Tensor, title: str | None = None) -> Figure:
    """Means of latents, added and subtracted (the paper's fig. 7).

    ``terms``: label, with its sign, -> pictures (k + 1, C, H, W): those of single latents, and last that of
    their mean. ``result`` (m, C, H, W): the picture of the sum first, then of others near it.
    """
    if not terms or any(len(x) < 2 for x in terms.values()):
        raise ValueError("terms: expected pictures of at least one latent, and of the mean")
    fig = Figure(1.3 * len(terms) + 2.6, 0.75 * max(len(x) for x in terms.values()) + 1.2)
    axes = fig.subplots(1, len(terms) + 1, width_ratios=[1.0] * len(terms) + [2.4])
    for axis, (label, x) in zip(axes, terms.items(), strict=False):
        height, _ = _pictures(axis, x, 1)
        row = (height - 1) / len(x)
        axis.axhline(row * (len(x) - 1) + 0.5, color=OKABE_ITO["black"], linewidth=1.5)
        axis.set_title(label, fontsize=10)
    axes[0].set_yticks([row * (len(x) - 0.5)], ["mean"])
    _pictures(axes[-1], result, None)
    axes[-1].set_title("=", fontsize=10)
    if title:
        fig.suptitle(title, fontsize=10)
    return fig


def filters(weights: Mapping[str, Tensor], columns: int | None = None) -> Figure:
    """Filters of a first layer as pictures, a panel each: name -> (n, C, h, w), C = 1 or 3.

    Grey is 0 and the largest number of a panel, which its title tells, white or black: filters of one panel
    can be compared, colours are those of the channels that they weigh. The seed slides show what excites
    filters further in, by guided backpropagation; these are the weights themselves.
    """
    if not weights:
        raise ValueError("weights: expected at least one set of filters, got none")
    fig, axes = panels(len(weights), 3.6, 4.4)
    for axis, (name, w) in zip(axes, weights.items(), strict=True):
        if w.ndim != 4 or not torch.isfinite(w).all():
            raise ValueError(f"{name}: expected finite weights (n, C, h, w), got shape {tuple(w.shape)}")
        largest = float(w.detach().abs().max())
        _pictures(axis, w.detach() / (largest or 1.0), columns)
        axis.set_title(f"{name}\nwhite {largest:.2g}, grey 0, black {-largest:.2g}", fontsize=9)
    return fig


def _pictures(axis, x: Tensor, columns: int | None) -> tuple[int, int]:
    """Images (n, C, H, W) row by row, in pixels from the upper left, without a frame; (height, width)."""
    page = tile(x, columns)
    height, width, _ = page.shape
    axis.imshow(page, extent=(0, width, height, 0), interpolation="nearest")
    axis.spines[:].set_visible(False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.tick_params(length=0)
    return height, width
