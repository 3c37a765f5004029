"""The pictures of ``benchmarks.gans_2d``, from its rows."""

from collections.abc import Sequence
from statistics import mean

from matplotlib.axes import Axes

from benchmarks.gans_2d_cells import Rows
from benchmarks.gans_2d_games import SETTINGS
from benchmarks.gans_2d_judge import DATA, unpack
from benchmarks.gans_2d_samplers import PAIRS, STEPPED, TRAINED_ON, Run
from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure

SIDE = {"25 Gaussians": 2.6, "Swiss roll": 2.2}  # half the width of what is shown
COLUMNS = 6
SHOWN = 0.1  # the step size of the samplers' points
NAMES = {"high_quality": "share of high quality", "w2": "W2"}


def samples(rows: Rows):
    """What each game makes of each law, seed 0, over real points: six games a row."""
    games = [name for name in SETTINGS if any(row.get("game") == name for row in rows.values())]
    columns = min(len(games), COLUMNS)
    blocks = -(-len(games) // columns)
    lines = len(DATA) * blocks
    fig = Figure(2.1 * columns, 2.5 * lines + 0.4)
    axes = fig.subplots(lines, columns, squeeze=False)
    for i in range(blocks * columns):
        for j, data in enumerate(DATA):
            ax = axes[len(DATA) * (i // columns) + j, i % columns]
            if i >= len(games):
                ax.remove()
                continue
            row = rows.get(f"train/{data}/{games[i]}/0")
            points(ax, rows, data, row, games[i])
    fig.suptitle("Grey: data. Blue: samples, seed 0;\nmodes captured, share of high quality", fontsize=10)
    return fig


def points(ax: Axes, rows: Rows, data: str, row: dict | None, name: str) -> None:
    """A sample over real points."""
    side = SIDE[data]
    if floor := rows.get(f"floor/{data}"):
        ax.plot(*unpack(floor["points"]).T, ".", color="0.75", markersize=3, zorder=1)
    title = f"{name}\nnot there yet"
    if row is not None and "points" in row:
        ax.plot(*unpack(row["points"]).T, ".", color=LINES[0], markersize=2.5, zorder=2)
        title = f"{name}\n{row['captured']} of {row['total']}, {row['high_quality']:.0%}"
    elif row is not None:
        title = f"{name}\nbroke off"
    ax.set_title(title, fontsize=9)
    ax.set(xlim=(-side, side), ylim=(-side, side), xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    ax.tick_params(labelsize=7)
    ax.xaxis.label.set_size(8)
    ax.yaxis.label.set_size(8)


def step_sizes(rows: Rows):
    """Curves against τ, a column for a pair on a law; below them points of the first pair, a line a law."""
    columns = [(game, data) for game in PAIRS for data in DATA]
    fig = Figure(3.3 * len(columns), 3.0 * (2 + len(DATA)))
    axes = fig.subplots(2 + len(DATA), len(columns), squeeze=False)
    for j, (game, data) in enumerate(columns):
        for i, key in enumerate(NAMES):
            curves(axes[i, j], rows, game, data, key)
    handles = {}  # of all, for a sampler may have failed on some
    for ax in axes[:2].flat:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    fig.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), fontsize=9)
    shown = {"GAN": Run("GAN"), "MH-GAN": Run("MH-GAN")}
    shown |= {f"{name}, τ = {SHOWN:g}": Run(name, SHOWN) for name in STEPPED}
    for i, data in enumerate(DATA):
        for ax, (name, run) in zip(axes[2 + i], shown.items(), strict=True):
            points(ax, rows, data, rows.get(run.key(data, PAIRS[0], 0)), f"{PAIRS[0]}: {name}")
    return fig


def curves(ax: Axes, rows: Rows, game: str, data: str, key: str) -> None:
    """``key`` of DDLS and REP-GAN against their step size, means and ranges; others as levels."""
    found = [
        row
        for name, row in rows.items()
        if name.startswith(f"sample/{data}/{game}/")
        and row["critic"] == TRAINED_ON
        and row.get(key) is not None
    ]
    for name, color, dash in zip(STEPPED, LINES, DASHES, strict=False):
        by_tau: dict[float, list[float]] = {}
        for row in found:
            if row["sampler"] == name:
                by_tau.setdefault(row["tau"], []).append(row[key])
        taus = sorted(by_tau)
        means = [mean(by_tau[tau]) for tau in taus]
        ax.plot(taus, means, color=color, linestyle=dash, marker="o", markersize=3, label=name)
        ax.fill_between(
            taus, [min(by_tau[t]) for t in taus], [max(by_tau[t]) for t in taus], color=color, alpha=0.2
        )
    levels = {
        "GAN": (OKABE_ITO["black"], ":"),
        "DRS": (LINES[2], "-."),
        "MH-GAN": (LINES[3], (0, (5, 1, 1, 1))),
    }
    for name, (color, dash) in levels.items():
        if values := level(found, name, key):
            ax.axhline(mean(values), color=color, linestyle=dash, linewidth=1.2, label=name)
    if floor := rows.get(f"floor/{data}"):
        ax.axhline(floor[key], color="0.6", linewidth=1.2, label="real points")
    ax.set_title(f"{game}, {data}", fontsize=9)
    # An axis without points cannot be logarithmic.
    scale = "log" if any(row["tau"] for row in found) else "linear"
    ax.set(xscale=scale, xlabel="step size τ", ylabel=NAMES[key])
    if key == "high_quality":
        ax.set_ylim(0, 1.05)
    elif found:
        ax.set_yscale("log")  # unadjusted chains may leave the picture


def level(found: Sequence[dict], sampler: str, key: str) -> list[float]:
    return [row[key] for row in found if row["sampler"] == sampler]
