"""``ganedu diagnose``: what the draws of a run are worth, in a table, in words and in pictures."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganedu.cli.shell import AsJson, one_line_errors, print_table

if TYPE_CHECKING:
    from ganedu.samplers import Trace
    from ganedu.samplers.summaries import Row, Summary

LINES = 10  # of the table, unless all are asked for


def diagnose(
    trace: Annotated[
        Path, typer.Argument(metavar="TRACE", help="A trace that ganedu sample --trace or save_trace wrote.")
    ],
    burn_in: Annotated[int, typer.Option(min=0, help="Draws to leave out at the start of each chain.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where plots go; none without it.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help=f"Every coordinate, not only the {LINES} worst.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge the draws of a run: R-hat, effective draws, acceptance, divergences, and what to do.

    The coordinates and log_prob are listed from the worst to the best. Plots are of the worst coordinate
    that moves (trace, ranks, autocorrelation, effective draws) and, in overview.png, of log_prob too.

    \b
    Example:
      ganedu sample cifar10-dcgan --steps 2000 --out build/sample --trace build/chains.safetensors
      ganedu diagnose build/chains.safetensors --burn-in 500 --out build/diagnose
    """
    with one_line_errors():
        from ganedu.samplers.summaries import summary, verdict, worst_first
        from ganedu.samplers.traces import load_trace

        kept = without_start(load_trace(trace), burn_in)
        found = summary(kept)
        rows, said = worst_first(found.rows), verdict(found)
        paths = [] if out is None else plots(kept, found, out)
        if as_json:
            print(json.dumps(figures(found, rows, said), indent=2))
            return
        shown = rows if everything else rows[:LINES]
        print_table(
            ("quantity", *(name.replace("_", " ") for name in rows[0]._fields[1:])), map(cells, shown)
        )
        if len(shown) < len(rows):
            print(f"... and {len(rows) - len(shown)} better ones (--all)")
        print(of_the_run(found), *said, *paths, sep="\n")


def without_start(trace: "Trace", burn_in: int) -> "Trace":
    """The trace less the first ``burn_in`` draws of each chain. ValueError where that leaves none."""
    if burn_in >= len(trace):
        raise ValueError(f"burn-in: expected fewer than the {len(trace)} draws of each chain, got {burn_in}")
    return replace(trace, z=trace.z[burn_in:], log_prob=trace.log_prob[burn_in:])


def cells(row: "Row") -> tuple[str, ...]:
    """One line of the table."""
    numbers = (f"{value:.4g}" for value in (row.mean, row.sd, row.mcse))
    return (row.name, *numbers, f"{row.ess_bulk:.0f}", f"{row.ess_tail:.0f}", f"{row.rhat:.3f}")


def of_the_run(summary: "Summary") -> str:
    """What is known of the run as a whole, in a line."""
    divergences = "" if summary.divergences is None else f"; {summary.divergences} divergences"
    return (
        f"{summary.draws} draws of {summary.chains} chains; {summary.accept_rate:.0%} of the steps accepted, "
        f"{summary.lowest_accept_rate:.0%} in the chain with the fewest{divergences}"
    )


def figures(summary: "Summary", rows: "list[Row]", said: list[str]) -> dict[str, Any]:
    """The summary with its rows in this order, for JSON, which has null where we have NaN."""

    def known(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    table = [{name: known(value) for name, value in row._asdict().items()} for row in rows]
    run = {name: known(value) for name, value in summary._asdict().items()}
    return run | {"rows": table, "verdict": said}


def plots(trace: "Trace", summary: "Summary", out: Path) -> list[Path]:
    """Write the four plots of the worst coordinate that moves, if one does, and the overview; their paths."""
    from ganedu import viz
    from ganedu.samplers.summaries import worst_first

    coordinates = summary.rows[:-1]
    bad = worst_first(coordinates)
    worst = next((row for row in bad if row.sd != 0), bad[0])
    name, x = worst.name, trace.z[..., coordinates.index(worst)]
    drawn = {
        "trace.png": viz.diagnostics.trace_plot(x, name),
        "ranks.png": viz.diagnostics.rank_plot(x, name),
        "autocorrelation.png": viz.diagnostics.autocorrelation_plot(x, name),
        "ess.png": viz.diagnostics.ess_plot(x, name),
        "overview.png": viz.diagnostics.overview({name: x, "log_prob": trace.log_prob}),
    }
    return [viz.save(figure, out / file) for file, figure in drawn.items()]
