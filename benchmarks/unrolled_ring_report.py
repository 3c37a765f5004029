"""The page and the plot of ``benchmarks.unrolled_ring``, from its JSON."""

import json
from pathlib import Path

import torch
from matplotlib.axes import Axes

from benchmarks.files import write_text
from ganedu import viz
from ganedu.data import ring
from ganedu.viz.figure import OKABE_ITO, Figure

AIM = 4  # of five seeds keep all modes where the generator looks ahead, and fewer where it does not
LAST = 0.25  # of the steps: a mode that is kept is there at every look of them
COLOURS = {0: OKABE_ITO["vermilion"], 5: OKABE_ITO["blue"]}
MARKS = {0: "s", 5: "o"}
SHOWN = 6  # pictures of the points of one seed, the first one at step 0


def looks(rows: dict[str, dict], ahead: int) -> list[dict]:
    """The rows of a game in the order of their steps."""
    return sorted((row for row in rows.values() if row["ahead"] == ahead), key=lambda row: row["step"])


def games(rows: dict[str, dict]) -> list[int]:
    return sorted({row["ahead"] for row in rows.values()})


def whole(row: dict, seed: str, count: str = "modes") -> bool:
    """Whether every mode is there."""
    found = row["seeds"][seed]
    return found[count] == found["of"]


def kept(rows: dict[str, dict], ahead: int, seed: str, count: str = "modes") -> bool:
    """Whether every mode was there at every look of the last quarter of the steps, all of them made."""
    found = looks(rows, ahead)
    return finished(rows, ahead) and all(
        whole(row, seed, count) for row in found if row["step"] > (1 - LAST) * found[-1]["total"]
    )


def finished(rows: dict[str, dict], ahead: int) -> bool:
    return looks(rows, ahead)[-1]["step"] == looks(rows, ahead)[-1]["total"]


def figures(rows: dict[str, dict]) -> dict:
    """What others quote; of a game that is not finished, of the steps that are there."""
    names = (
        "steps",
        "modes",
        "full_modes",
        "high_quality",
        "kept",
        "kept_full",
        "at_the_end",
        "full_at_the_end",
    )
    summary = {"seeds": 0} | {name: {} for name in names}
    for ahead in games(rows):
        last, name = looks(rows, ahead)[-1], str(ahead)
        summary["seeds"] = len(last["seeds"])
        summary["steps"][name] = last["step"]
        for what in ("modes", "full_modes", "high_quality"):
            summary[what][name] = [found[what] for found in last["seeds"].values()]
        for full, count in (("", "modes"), ("full_", "full_modes")):
            summary[f"{full}at_the_end"][name] = sum(whole(last, seed, count) for seed in last["seeds"])
        for what, count in (("kept", "modes"), ("kept_full", "full_modes")):
            summary[what][name] = sum(kept(rows, ahead, seed, count) for seed in last["seeds"])
    enough = AIM / 5 * summary["seeds"]
    summary["reached"] = (
        {0, 5} <= set(games(rows))
        and finished(rows, 0)
        and summary["kept"]["5"] >= enough > summary["kept"]["0"]
    )
    return summary


def write(path: Path) -> list[Path]:
    """``path`` with suffixes .md and .png."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return [
        write_text(path.with_suffix(".md"), markdown(found, path.stem)),
        viz.save(plot(found["rows"]), path.with_suffix(".png")),
    ]


def markdown(found: dict, stem: str) -> str:
    """The whole page."""
    rows, setting = found["rows"], found["setting"]
    summary, n = figures(rows), figures(rows)["seeds"]
    machines = sorted({row["machine"] for row in rows.values()})
    times = {a: sum(row["cpu_seconds"] for row in looks(rows, a)) for a in games(rows)}
    lines = [
        "# The ring of 8 by an unrolled GAN",
        "",
        "Eight Gaussians of standard deviation 0.02 on a circle of radius 2 (Metz et al. 2017, sec. 3.1 and "
        "appendix A; seed slide 003). K is how many steps of the critic the generator looks ahead; K = 0 is "
        "the plain GAN. Nothing else differs between the two: a seed's first weights, data and noise are the "
        "same. "
        f"{n} seeds, {setting['steps']:,} steps of each player on batches of {setting['batch']}; "
        + ", ".join(f"K = {a}: {seconds:,.0f} CPU seconds for all seeds" for a, seconds in times.items())
        + f". Machine: {'; '.join(machines)}. Made by `python -m benchmarks.unrolled_ring`.",
        "",
        f"![Points by step, modes by step]({stem}.png)",
        "",
        "Circles show where the modes are; they are about four times as wide as three standard deviations. "
        + _players(setting),
        "",
        f"Judged by {setting['judged']:,} points a look, every {setting['every']} steps. A mode is there if "
        "one of them lies within three of its standard deviations (`ganedu.metrics.modes`), and *kept* if "
        f"it is there at every look of the last {LAST:.0%} of the steps. That is lenient: points spread "
        "evenly over the disc of radius 2.5 would have 0.6 in a thousand near each mode, 6 of 10,000. So "
        f"there is a second count, of modes that have {setting['enough']:.0%} of all points near them "
        "(*full*; a mode of the data has 12%). High quality is the share of points within three standard "
        "deviations of any mode (0.989 of the data).",
        "",
        "## What is kept",
        "",
        "| | " + " | ".join(f"K = {a}" for a in games(rows)) + " |",
        "| --- |" + " --- |" * len(games(rows)),
        "| seeds that keep 8 of 8 | " + " | ".join(f"**{cell}**" for cell in _cells(rows, "kept")) + " |",
        "| seeds that keep 8 of 8 full | " + " | ".join(_cells(rows, "kept_full")) + " |",
        "| seeds with 8 of 8 at the last step | " + " | ".join(_cells(rows, "at_the_end")) + " |",
        "| seeds with 8 of 8 full at the last step | " + " | ".join(_cells(rows, "full_at_the_end")) + " |",
        "| steps made | " + " | ".join(f"{v:,}" for v in summary["steps"].values()) + " |",
        "",
        f"Aim: at least {AIM} of 5 seeds keep 8 of 8 with K = 5, and fewer with K = 0: "
        f"{_verdict(summary, setting['steps'])}.",
        "",
        "## Every seed",
        "",
    ]
    for ahead in games(rows):
        lines += _table(looks(rows, ahead), ahead)
    notes = Path(__file__).with_name(f"{stem}_discussion.md")
    if notes.exists():
        lines += notes.read_text(encoding="utf-8").splitlines()
    return "\n".join(lines).rstrip() + "\n"


def _cells(rows: dict[str, dict], what: str) -> list[str]:
    summary = figures(rows)
    return [
        f"{summary[what][str(a)]} of {summary['seeds']}" if finished(rows, a) else "unfinished"
        for a in games(rows)
    ]


def _verdict(summary: dict, steps: int) -> str:
    if summary["reached"]:
        return "reached"
    short = [a for a, made in summary["steps"].items() if made < steps]
    return f"not known before K = {', '.join(short)} is finished" if short else "not reached"


def _players(s: dict) -> str:
    hidden = "-".join([str(s["width"])] * s["critic_layers"])
    return (
        f"Generator {s['latent_dim']}-{s['width']}-{s['width']}-2, its output times {s['generator_unit']:g}; "
        f"critic 2-{hidden}-1 on x / {s['critic_unit']:g}; {s['activation']}, weights orthogonal times "
        f"{s['gain']:g}. Adam, β = ({s['first_beta']:g}, 0.999), rates {s['critic_rate']:g} and "
        f"{s['generator_rate']:g} (critic, generator), {s['play']} play, a zero-sum game; the steps that the "
        "generator looks ahead are of the critic's own Adam, averages and rate included."
    )


def _table(found: list[dict], ahead: int) -> list[str]:
    """About ten looks of a game, the last one among them."""
    seeds, stride = list(found[-1]["seeds"]), max(1, len(found) // 10)
    lines = [
        f"K = {ahead}: modes at a step (full ones in brackets), and the share of high quality.",
        "",
        "| step | " + " | ".join(f"seed {seed}" for seed in seeds) + " |",
        "| --- |" + " --- |" * len(seeds),
    ]
    for row in found[::-1][::stride][::-1]:
        cells = [
            f"{at['modes']} ({at['full_modes']}), {at['high_quality']:.2f}" for at in row["seeds"].values()
        ]
        lines.append(f"| {row['step']:,} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def plot(rows: dict[str, dict]) -> Figure:
    """Above, points of one seed of each game at some steps; below, modes and quality of every seed."""
    present = games(rows)
    fig = Figure(2.1 * SHOWN, 2.2 * len(present) + 3.6)
    grid = fig.add_gridspec(len(present) + 1, SHOWN, height_ratios=[2.2] * len(present) + [3.6])
    for i, ahead in enumerate(present):
        found = [row for row in looks(rows, ahead) if "points" in row]
        places = torch.linspace(0, len(found) - 1, min(SHOWN, len(found))).round().int().tolist()
        for j, k in enumerate(places):
            axis = fig.add_subplot(grid[i, j])
            _points(axis, found[k])
            axis.set_ylabel(f"K = {ahead}, seed {next(iter(found[k]['points']))}" if j == 0 else "")
    left, right = fig.add_subplot(grid[-1, : SHOWN // 2]), fig.add_subplot(grid[-1, SHOWN // 2 :])
    for ahead in present:
        _curves(left, looks(rows, ahead), ahead, "modes")
        _curves(right, looks(rows, ahead), ahead, "high_quality")
    left.set(ylabel="modes, of 8", ylim=(-0.3, 8.4), title="modes by step, a line a seed")
    right.set(ylabel="share of points near a mode", ylim=(0, None), title="high quality by step")
    left.legend(fontsize=8, frameon=False, loc="center right")
    return fig


def _points(axis: Axes, row: dict) -> None:
    x = torch.tensor(next(iter(row["points"].values())))
    means = ring().means
    axis.plot(means[:, 0], means[:, 1], "o", markersize=9, markerfacecolor="none", color="0.6", mew=0.8)
    axis.plot(x[:, 0], x[:, 1], ".", markersize=2, color=COLOURS[row["ahead"]])
    axis.set(
        xlim=(-3.2, 3.2),
        ylim=(-3.2, 3.2),
        aspect="equal",
        title=f"step {row['step']:,}",
        xticks=[],
        yticks=[],
    )


def _curves(axis: Axes, found: list[dict], ahead: int, what: str) -> None:
    """Lines that meet at whole numbers are drawn a little apart."""
    for i, seed in enumerate(found[-1]["seeds"]):
        apart = 0.05 * (i - 2) if what == "modes" else 0.0
        axis.plot(
            [row["step"] for row in found],
            [row["seeds"][seed][what] + apart for row in found],
            marker=MARKS[ahead],
            markersize=2.5,
            linewidth=0.8,
            color=COLOURS[ahead],
            zorder=3 - (ahead > 0),  # what few lines of K = 0 there are on top stay in sight
            linestyle="-" if ahead else "--",
            label=f"K = {ahead}" if i == 0 else None,
        )
    axis.set(xlabel="step")
    axis.spines[["top", "right"]].set_visible(False)
