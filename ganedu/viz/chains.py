"""What chains do over time: many chains a name, one figure."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure


def traces(
    values: Mapping[str, Tensor],
    ylabel: str,
    references: Mapping[str, float] | None = None,
    thin: int = 1,
) -> Figure:
    """Median over chains, with a band from the 10% to the 90% quantile, against the step.

    ``values``: name -> (draws, chains), one draw each ``thin`` steps. ``references``: name -> level,
    drawn as a labelled horizontal line.
    """
    fig, axis = _axes(ylabel)
    for (name, value), colour, dash in zip(values.items(), LINES, DASHES, strict=False):
        steps = thin * torch.arange(1, 1 + _draws(name, value))
        quantiles = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
        low, middle, high = torch.quantile(value.detach().cpu().double(), quantiles, dim=1)
        axis.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.plot(steps, middle, color=colour, linestyle=dash, label=f"{name}: median, 10-90% of chains")
    for (name, level), dash in zip((references or {}).items(), DASHES[1:], strict=False):
        axis.axhline(level, color=OKABE_ITO["black"], linestyle=dash, linewidth=1, label=name)
    axis.legend(fontsize=8)
    return fig


def acceptance(accepted: Mapping[str, Tensor], window: int = 20) -> Figure:
    """Share of chains that moved, averaged over the last ``window`` steps, against the step.

    ``accepted``: name -> (steps, chains) bool. The first ``window`` - 1 points average what there is.
    """
    fig, axis = _axes(f"acceptance (mean of {window} steps)")
    for (name, value), colour, dash in zip(accepted.items(), LINES, DASHES, strict=False):
        steps = torch.arange(1, 1 + _draws(name, value))
        share = moving_average(value.detach().cpu(), window)
        axis.plot(steps, share, color=colour, linestyle=dash, label=name)
    axis.set_ylim(-0.02, 1.02)
    axis.legend(fontsize=8)
    return fig


def moving_average(accepted: Tensor, window: int) -> Tensor:
    """(steps, chains) -> (steps,): mean over chains and the last ``window`` steps (fewer at the start)."""
    total = torch.cat([torch.zeros(1), accepted.double().mean(dim=1).cumsum(0)])
    end = torch.arange(1, len(total))
    start = (end - window).clamp(min=0)
    return (total[end] - total[start]) / (end - start)


def _axes(ylabel: str):
    fig = Figure(6.4, 3.4)
    axis = fig.subplots()
    axis.set_xlabel("step")
    axis.set_ylabel(ylabel)
    axis.spines[["top", "right"]].set_visible(False)
    return fig, axis


def _draws(name: str, value: Tensor) -> int:
    if value.ndim != 2:
        raise ValueError(f"{name}: expected (draws, chains), got shape {tuple(value.shape)}")
    return len(value)
