"""The page of ``benchmarks.gans_2d``, from its rows."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from benchmarks import gans_2d_figures as figures
from benchmarks import gans_2d_samplers_report
from benchmarks.files import RESULTS, write_text
from benchmarks.gans_2d_cells import Rows, figure, of, sizes
from benchmarks.gans_2d_games import SETTINGS
from benchmarks.gans_2d_judge import DATA, DUE, PARTS, RADIUS
from ganedu import viz

DISCUSSION = Path(__file__).parent / "gans_2d_discussion.md"
LOST = 0.8  # of the parts: a game that captures fewer in some seed is said to have lost modes


def write(path: Path, missing: Mapping[str, Sequence[str]], command: str) -> list[Path]:
    """``path`` with suffix .md and the figures beside it; ``missing``: keys that are not there, by part."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    page = markdown(rows, missing, command, path.stem)
    if path.parent == RESULTS and DISCUSSION.exists():  # it says nothing of a quick run
        page += "\n" + DISCUSSION.read_text(encoding="utf-8")
    written = [write_text(path.with_suffix(".md"), page)]
    if of(rows, "train/"):
        written.append(viz.save(figures.samples(rows), path.with_suffix(".png")))
    if of(rows, "sample/"):
        name = f"{path.stem}_samplers.png"
        written.append(viz.save(figures.step_sizes(rows), path.with_name(name)))
    return written


def markdown(rows: Rows, missing: Mapping[str, Sequence[str]], command: str, stem: str) -> str:
    """The whole page; what has no rows is left out, and what is missing is named."""
    machines = sorted({row["machine"] for row in rows.values()})
    lines = ["# GANs in the plane at one budget", ""]
    lines += [f"Machine: {'; '.join(machines) or 'none yet'}. Made by `python -m benchmarks.gans_2d`."]
    lines += unfinished(missing, command)
    if of(rows, "train/"):
        lines += how(rows) + settings(rows, stem)
        for data in DATA:
            lines += table(rows, data)
    if of(rows, "sample/"):
        lines += gans_2d_samplers_report.part(rows, stem)
    return "\n".join(lines) + "\n"


def unfinished(missing: Mapping[str, Sequence[str]], command: str) -> list[str]:
    lines = []
    for part, keys in missing.items():
        if keys:
            lines += [
                "",
                f"**Unfinished**: {len(keys)} rows of {part} are not there yet. `{command} --only {part} "
                "--resume` makes them; figures below are of the seeds that are there.",
            ]
    return lines


def how(rows: Rows) -> list[str]:
    """What the figures are, in words."""
    row = of(rows, "train/")[0]
    return [
        "",
        f"Every game has {row['steps']:,} steps of the generator and the same networks (three hidden layers "
        "of 128, ReLU, latents in the plane); its loss, optimiser and critic steps are those of the table, "
        "from its paper or its authors' code, batches apart. Only the unrolled GAN's rates and batch were "
        "looked for, on the ring of 8 (unrolled_ring.md); every other game may do better than this. "
        "Data are not standardised: 25 Gaussians at {-2, ..., 2}² with standard deviation 0.05; the Swiss "
        "roll of scikit-learn with noise 0.25, divided by 7.5.",
        "",
        f"A point is of high quality within {RADIUS:g} standard deviations of the nearest mean, or of the "
        f"roll's curve (noise 1/30). A mode is captured where at least {DUE:.0%} of its due lies that near; "
        f"the modes of the roll are {PARTS} stretches of equal mass. KL: nats of how the points of high "
        f"quality are spread over the modes to equal shares, 0 at best and {math.log(PARTS):.2f} at worst. "
        "W2: exact transport by POT to as many real points. So few points make it too large for "
        "real ones too: the first line of each table.",
    ]


def settings(rows: Rows, stem: str) -> list[str]:
    lines = [
        "",
        f"![Samples of every game]({stem}.png)",
        "",
        "| game | loss | optimiser | batch | critic steps | weights | CPU ms a step | source |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, setting in SETTINGS.items():
        found = [row for row in of(rows, "train/") if row["game"] == name]
        if found:
            times = [row["cpu_ms_per_step"] for row in found if row.get("cpu_ms_per_step")]
            lines.append(
                f"| {name} | {setting.told} "
                f"| {optimiser(setting.entry.optimisers)} | {setting.entry.batch_size} "
                f"| {found[0]['critic_steps']:,} | {sum(found[0]['parameters'].values()):,} "
                f"| {f'{mean(times):.0f}' if times else 'not measured'} | {setting.entry.source} |"
            )
    return lines


def optimiser(told) -> str:
    if isinstance(told, dict):
        return "; ".join(f"{player} {optimiser(each)}" for player, each in told.items())
    betas = f" ({told.betas[0]:g}, {told.betas[1]:g})" if hasattr(told, "betas") else ""
    return f"{type(told).__name__} {told.learning_rate:g}{betas}"


def table(rows: Rows, data: str) -> list[str]:
    """One law: the real points, the games, and what the table says."""
    found = {name: of(rows, f"train/{data}/{name}/") for name in SETTINGS}
    found = {name: each for name, each in found.items() if each}
    if not found:
        return []
    lines = [
        "",
        f"## {data}",
        "",
        f"Mean over seeds (lowest to highest); {sizes(found)} points a seed.",
        "",
        "| game | seeds | modes of 25 | high quality | KL | W2 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    if floor := rows.get(f"floor/{data}"):
        low, high = floor["w2_range"]
        lines.append(
            f"| real points | {floor['samples']} samples | {floor['captured']} | {floor['high_quality']:.1%} "
            f"| {floor['kl']:.3f} | {floor['w2']:.3f} ({low:.3f} to {high:.3f}) |"
        )
    for name, each in found.items():
        whole = [row for row in each if "broke" not in row]
        cells = " | ".join(figure(whole, key) for key in ("captured", "high_quality", "kl", "w2"))
        seeds = f"{len(each)}" if whole == each else f"{len(whole)} of {len(each)}"
        lines.append(f"| {name} | {seeds} | {cells} |")
    return [*lines, "", " ".join(findings(found))]


def findings(found: Mapping[str, Sequence[dict]]) -> list[str]:
    """Sentences that the rows of a table bear out. A game that broke off has no mean: the seeds that are left
    would flatter it."""
    whole = {name: rows for name, rows in found.items() if not any("broke" in row for row in rows)}
    said = []
    near = {name: mean(row["w2"] for row in rows) for name, rows in whole.items() if finite(rows)}
    if near:
        best = min(near, key=near.get)
        said.append(f"Lowest mean W2: {best} ({near[best]:.3f}).")
    if whole:
        shares = {name: mean(row["high_quality"] for row in rows) for name, rows in whole.items()}
        best = max(shares, key=shares.get)
        said.append(f"Largest mean share of high quality: {best} ({shares[best]:.1%}).")
    lost = [
        f"{row['game']} seed {row['seed']} ({row['captured']})"
        for rows in found.values()
        for row in rows
        if "broke" not in row and row["captured"] < LOST * PARTS
    ]
    few = f"fewer than {LOST * PARTS:.0f} of {PARTS} modes"
    said.append(f"Runs with {few}: {'; '.join(lost)}." if lost else f"No run has {few}.")
    broke = [
        f"{row['game']} seed {row['seed']}: {row['broke']}"
        for r in found.values()
        for row in r
        if "broke" in row
    ]
    return said + ([f"Broke off: {'; '.join(broke)}."] if broke else [])


def finite(rows: Iterable[dict]) -> bool:
    return all(row["w2"] is not None for row in rows)
