"""A run in a table and in words: what its draws are worth, and what to do about it."""

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ganedu.samplers.diagnostics import ess_bulk, ess_tail, mcse_mean, rhat

if TYPE_CHECKING:
    from ganedu.samplers.driver import Trace

# Vehtari et al. (2021, sec. 2): what is above the one or below the other is not to be relied on.
MAX_RHAT = 1.01
MIN_ESS = 400


class Row(NamedTuple):
    """One quantity over all draws of all chains; ``mcse`` is the standard error of its mean."""

    name: str
    mean: float
    sd: float
    mcse: float
    ess_bulk: float
    ess_tail: float
    rhat: float

    @property
    def ess(self) -> float:
        """The smaller of the two."""
        return min(self.ess_bulk, self.ess_tail)


class Summary(NamedTuple):
    """``rows`` for the coordinates z[0], z[1], ... and for log_prob, in this order.

    ``accept_rate`` is the mean over chains and ``lowest_accept_rate`` that of the chain that has least;
    ``still`` counts the chains that are at one point in all draws; ``divergences`` those of all steps
    and chains, None where the trace does not tell.
    """

    rows: tuple[Row, ...]
    draws: int
    chains: int
    accept_rate: float
    lowest_accept_rate: float
    still: int
    divergences: int | None


def summary(trace: "Trace") -> Summary:
    """The diagnostics of a trace (``ganedu.samplers.diagnostics``), for each coordinate and log_prob."""
    draws, chains, d = trace.z.shape
    names = [*(f"z[{i}]" for i in range(d)), "log_prob"]
    columns = []
    for x in (trace.z, trace.log_prob[..., None]):
        estimates = (diagnostic(x) for diagnostic in (mcse_mean, ess_bulk, ess_tail, rhat))
        columns.append(torch.stack([*_mean_and_sd(x), *estimates]))
    table = torch.cat(columns, dim=1).T.tolist()
    return Summary(
        rows=tuple(Row(name, *values) for name, values in zip(names, table, strict=True)),
        draws=draws,
        chains=chains,
        accept_rate=float(trace.accept_rate.mean()),
        lowest_accept_rate=float(trace.accept_rate.min()),
        still=int((trace.z == trace.z[:1]).all(2).all(0).sum()) if draws > 1 else 0,
        divergences=None if trace.divergences is None else int(trace.divergences.sum()),
    )


def worst_first(rows: tuple[Row, ...]) -> list[Row]:
    """First those without an R-hat, then by R-hat where it is too large, then by effective draws."""

    def badness(row: Row) -> tuple[float, float]:
        rhat = math.inf if math.isnan(row.rhat) else max(row.rhat, MAX_RHAT)
        return -rhat, -1 if math.isnan(row.ess) else row.ess

    return sorted(rows, key=badness)


def verdict(summary: Summary) -> list[str]:
    """What is wrong with the run and what to do about it; or that nothing is seen to be wrong."""
    rows, draws, chains = summary.rows, summary.draws, summary.chains
    found = []
    if draws < 4:
        return [f"{draws} draws a chain say nothing: keep 4 at least, hundreds to be of use."]
    if chains == 1:
        found.append("One chain cannot show what it missed: run 4 or more, from starts that lie far apart.")
    if summary.still:
        found.append(
            f"{summary.still} of {chains} chains never moved: take a smaller step size or another start."
        )
    unknown = [row.name for row in rows if math.isnan(row.rhat)]
    if unknown and chains > 1:
        found.append(
            f"No R-hat for {_some(unknown)}: the same in all draws, or not a number. "
            "Unless it was held fixed on purpose, do not use these draws."
        )
    apart = sorted((row for row in rows if row.rhat > MAX_RHAT), key=lambda row: -row.rhat)
    if apart:
        found.append(
            f"R-hat is {apart[0].rhat:.3f} for {apart[0].name}, and above {MAX_RHAT} for {len(apart)} of "
            f"{len(rows)} quantities: the chains do not agree. Run longer and drop more of the beginning. "
            "If it stays, they sit in different modes: use a kernel that jumps (tempering, independence)."
        )
    least = min((row for row in rows if not math.isnan(row.ess)), key=lambda row: row.ess, default=None)
    if least is not None and least.ess < MIN_ESS:
        where = "middle" if least.ess_bulk <= least.ess_tail else "tails"
        found.append(
            f"{least.name} has {least.ess:.0f} effective draws in the {where}; {MIN_ESS} make the figures "
            f"above reliable: run {MIN_ESS / least.ess:.1f} times as long."
        )
    if summary.divergences:
        found.append(
            f"{summary.divergences} trajectories diverged: take a smaller step size. If some still do, the "
            "target has a narrow neck that the chains do not enter: change its coordinates."
        )
    return found or [
        f"Nothing is seen to be wrong: R-hat is at most {MAX_RHAT}, and every quantity has at least "
        f"{MIN_ESS} effective draws. No diagnostic sees a mode that no chain has found."
    ]


def _mean_and_sd(x: Tensor) -> tuple[Tensor, Tensor]:
    """(d,) each, of x (draws, chains, d), taken from the first draw: exact for a constant."""
    first = x[0, 0].double()
    moves = (x.double() - first).flatten(0, 1)
    return first + moves.mean(0), moves.std(0)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
