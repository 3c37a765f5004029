"""The tables and the plot of ``benchmarks.rep_gan_tables``, from its JSON."""

import json
import math
from collections import Counter
from pathlib import Path

import torch
from scipy.stats import t as student_t

from benchmarks.files import write_json, write_text
from ganedu import viz
from ganedu.demos import published
from ganedu.viz.figure import DASHES, LINES, panels

SAMPLERS = ("GAN", "DRS", "MH-GAN", "DDLS", "REP-GAN")
# CIFAR-10, DCGAN, by epoch.
DCGAN = "cifar10-dcgan"
NAMES = {DCGAN: "DCGAN", "cifar10-sngan": "SN-GAN (hinge, n_critic 1)"}
DCGANS = "rep_gan_tables.json"  # beside which other pairs are shown
PAPER_EPOCHS = tuple(map(str, published.EPOCHS))
PAPER_SCORE = published.SCORE
PAPER_ACCEPTANCE = {name: published.ACCEPTANCE[f"{name}, the paper"] for name in ("MH-GAN", "REP-GAN")}
DISCUSSIONS = Path(__file__).parent  # rep_gan_discussion.md, and one for every other pair
NUMBERS = ("mean_logit", "median_uncapped_logit", "outliers", "gradients", "seconds")
KINDS = {True: "with the ceiling", False: "without a ceiling (scale and offset only)"}


def write(path: Path) -> list[Path]:
    """``path`` with suffixes .md and .png; ``path`` itself gets a summary for others to quote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    whole = complete(found)
    found["summary"] = summary(whole)
    return [
        write_json(path, found),
        write_text(path.with_suffix(".md"), markdown(whole, path.stem, dcgan_beside(found, path))),
        viz.save(plot(whole), path.with_suffix(".png")),
    ]


def complete(found: dict) -> dict:
    """``found`` with the seeds alone for which every epoch, calibration and sampler is there."""
    cells = found["cells"]
    rounds = len({cell["epoch"] for cell in cells}) * len(KINDS) * len(SAMPLERS)
    by_seed = Counter(cell["seed"] for cell in cells)
    kept = [cell for cell in cells if by_seed[cell["seed"]] == rounds]
    if not kept:
        raise ValueError(f"no seed is complete: {len(cells)} cells, {rounds} a seed; run it again to go on")
    return found | {"cells": kept, "left_out": len(cells) - len(kept)}


def interval(values: list[float]) -> tuple[float, float]:
    """(mean, half width of the 95% t interval); NaN where there are too few values for them."""
    x = torch.tensor(values, dtype=torch.float64)
    if len(x) < 2:
        return float(x.mean()), math.nan
    return float(x.mean()), float(student_t.ppf(0.975, len(x) - 1) * x.std() / math.sqrt(len(x)))


def select(cells: list[dict], key: str, **where) -> list[float]:
    """``key`` of the cells that match ``where`` and did not fail, by epoch and seed."""
    rows = [cell for cell in cells if all(cell[k] == v for k, v in where.items()) and key in cell]
    return [cell[key] for cell in sorted(rows, key=lambda cell: (cell["epoch"], cell["seed"]))]


def gain(cells: list[dict], key: str, sampler: str) -> tuple[float, float]:
    """Mean difference to the GAN's own draws from the same starts, with its interval over seeds.

    A seed's is its mean over epochs: they are no repetitions, for a seed draws the same starts at each. So
    the interval is that of these networks.
    """
    base = {(cell["epoch"], cell["seed"]): cell[key] for cell in cells if cell["sampler"] == "GAN"}
    differences: dict[int, list[float]] = {}
    for cell in cells:
        if cell["sampler"] == sampler and key in cell:
            by_seed = differences.setdefault(cell["seed"], [])
            by_seed.append(cell[key] - base[cell["epoch"], cell["seed"]])
    return interval([sum(rows) / len(rows) for rows in differences.values()])


def summary(found: dict) -> dict:
    """With the ceiling, over all epochs: each sampler's gain in score, as text, and its label."""
    cells = [cell for cell in found["cells"] if cell["ceiling"]]
    seeds, epochs = ({cell[key] for cell in cells} for key in ("seed", "epoch"))
    return {
        "label": f"n = {found['settings']['n']}, {len(seeds)} seeds, {len(epochs)} epochs, "
        f"cifar10-classifier {found['classifier'][:8]}, 95% intervals",
        "score_minus_gan": {name: show(gain(cells, "score", name), "+.3f") for name in SAMPLERS[1:]},
    }


def dcgan_beside(found: dict, path: Path) -> dict | None:
    """The DCGAN's figures, for the page of another pair; None for its own page, or where there are none."""
    other = path.with_name(DCGANS)
    if found["pair"] != DCGAN and other.exists():
        return complete(json.loads(other.read_text(encoding="utf-8")))
    return None


def markdown(found: dict, stem: str, dcgan: dict | None = None) -> str:
    """The whole page."""
    cells, settings = found["cells"], found["settings"]
    epochs = sorted({cell["epoch"] for cell in cells})
    seeds = len({cell["seed"] for cell in cells})
    page = [
        "# REP-GAN's tables 2 and 3 on our checkpoints",
        "",
        f"{found['data']}; {name_of(found)}; n = {settings['n']} chains a seed, {seeds} seeds, "
        f"K = {settings['steps']} steps, τ = {settings['step_size']}; chains in "
        f"{settings['precision']}, figures in float32. "
        f"Classifier score: exp E KL(p(y|x) ‖ p(y)) in cifar10-classifier {found['classifier'][:8]}, each at "
        f"n = {settings['n']}, where its bias is large: it ranks rows of this table and is not "
        f"comparable with the paper's Inception Score beside it. ± is half a 95% t interval over seeds. "
        f"Machine: {found['machine']}. "
        f"Made by `python -m benchmarks.rep_gan_tables{options(stem, found, len(epochs))}`"
        + (f"; {found['left_out']} cells of incomplete seeds are left out." if found["left_out"] else "."),
        "",
        f"![Acceptance and score by epoch]({stem}.png)",
    ]
    for ceiling, kind in KINDS.items():
        part = [cell for cell in cells if cell["ceiling"] == ceiling]
        if part:
            page += [
                "",
                f"## Calibration {kind}",
                "",
                *by_epoch(part, epochs),
                "",
                *overall(part, settings["n"]),
                *pooled([row for row in found.get("pooled", []) if row["ceiling"] == ceiling]),
            ]
    if dcgan is not None:
        page += ["", *beside(dcgan, found)]
    discussion = DISCUSSIONS / (stem.replace("tables", "discussion") + ".md")
    if discussion.exists():
        page += ["", discussion.read_text(encoding="utf-8").strip()]
    return "\n".join(page) + "\n"


def name_of(found: dict) -> str:
    return NAMES[found["pair"]]


def options(stem: str, found: dict, epochs: int) -> str:
    """What was typed after the module's name."""
    precision, pair = found["settings"]["precision"], found["pair"]
    typed = [
        (stem.endswith("_quick"), "--quick"),
        (pair != DCGAN, f"--pair {pair}"),
        (epochs != len(PAPER_EPOCHS) and not stem.endswith("_quick"), f"--last {epochs}"),
        (precision != "float32", f"--precision {precision}"),
    ]
    return "".join(f" {text}" for given, text in typed if given)


def beside(*found: dict) -> list[str]:
    """A table of several pairs, of the epochs that all of them have: trained at one budget, judged alike."""
    epochs = set.intersection(*({cell["epoch"] for cell in one["cells"]} for one in found))
    pairs = [name_of(one) for one in found]
    if not epochs:
        return []
    lines = [
        f"## {' and '.join(pairs)}, epoch {', '.join(sorted(epochs))}",
        "",
        "One budget of epochs and images, the same scorer, starts drawn by the same seeds; with the ceiling. "
        "Scores minus that of the GAN's own draws are paired over seeds.",
        "",
        "| | " + " | ".join(f"acceptance, {pair} | score minus the GAN's, {pair}" for pair in pairs) + " |",
        "| --- |" + " ---: | ---: |" * len(pairs),
    ]
    for sampler in SAMPLERS:
        row = []
        for one in found:
            cells = [cell for cell in one["cells"] if cell["ceiling"] and cell["epoch"] in epochs]
            proposes = sampler not in {"GAN", "DDLS"}
            row.append(show(interval(select(cells, "accept_rate", sampler=sampler))) if proposes else "-")
            own = show(interval(select(cells, "score", sampler="GAN")))
            row.append(
                f"its score: {own}" if sampler == "GAN" else show(gain(cells, "score", sampler), "+.3f")
            )
        lines.append(f"| {sampler} | {' | '.join(row)} |")
    lines += [
        "",
        "The paper's Inception Scores on CIFAR-10 (table 2), of its DCGAN and its WGAN, which is not our "
        "second pair:",
        "",
        "| | "
        + " | ".join(f"score, {pair} | score minus the GAN's, {pair}" for pair in published.CIFAR10)
        + " |",
        "| --- |" + " ---: | ---: |" * len(published.CIFAR10),
    ]
    for sampler in SAMPLERS:
        row = [
            f"{score[sampler]:.3f} | "
            + ("-" if sampler == "GAN" else f"{score[sampler] - score['GAN']:+.3f}")
            for score in published.CIFAR10.values()
        ]
        lines.append(f"| {sampler} | {' | '.join(row)} |")
    return lines


def by_epoch(cells: list[dict], epochs: list[str]) -> list[str]:
    lines = [
        f"| | {' | '.join(f'epoch {epoch}' for epoch in epochs)} |",
        f"| --- |{' ---: |' * len(epochs)}",
    ]
    for key, title, paper in (
        ("accept_rate", "acceptance", PAPER_ACCEPTANCE),
        ("score", "classifier score", PAPER_SCORE),
    ):
        for sampler in SAMPLERS:
            if key == "accept_rate" and sampler in {"GAN", "DDLS"}:
                continue
            values = [show(interval(select(cells, key, sampler=sampler, epoch=epoch))) for epoch in epochs]
            lines.append(f"| {title}, {sampler} | {' | '.join(values)} |")
            if sampler in paper and tuple(epochs) == PAPER_EPOCHS:
                name = "acceptance" if key == "accept_rate" else "Inception Score"
                printed = " | ".join(f"*{value:.3f}*" for value in paper[sampler])
                lines.append(f"| *the paper's {name}, {sampler}* | {printed} |")
    return lines


def overall(cells: list[dict], n: int) -> list[str]:
    lines = [
        "| over all epochs | score minus the GAN's | mean calibrated logit | median uncapped logit "
        "| share of outliers | gradients a draw | seconds a cell |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for sampler in SAMPLERS:
        rows = [cell for cell in cells if cell["sampler"] == sampler and "failed" not in cell]
        failed = sum(cell["sampler"] == sampler for cell in cells) - len(rows)
        difference = "0" if sampler == "GAN" else show(gain(cells, "score", sampler), "+.3f")
        mean = {key: sum(row[key] for row in rows) / len(rows) for key in NUMBERS}
        label = (
            f"{sampler} ({failed} of {failed + len(rows)} cells without enough draws)" if failed else sampler
        )
        lines.append(
            f"| {label} | {difference} | {mean['mean_logit']:.2f} | {mean['median_uncapped_logit']:.2f} "
            f"| {100 * mean['outliers']:.1f}% | {mean['gradients'] / n:.0f} | {mean['seconds']:.0f} |"
        )
    return lines


def pooled(rows: list[dict]) -> list[str]:
    """Frechet distance to CIFAR-10's test set, and the score, over all epochs and seeds together."""
    if not rows:
        return []
    lines = [
        "",
        "| all images together | n | Frechet distance | classifier score |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        score = f"{row['score']:.3f} ± {row['standard_error']:.3f} (s.e.)"
        lines.append(f"| {row['sampler']} | {row['n']} | {row['frechet_distance']:.2f} | {score} |")
    return lines


def show(value: tuple[float, float], form: str = ".3f") -> str:
    mean, half = value
    return f"{mean:{form}}" if math.isnan(half) else f"{mean:{form}} ± {half:.3f}"


def plot(found: dict):
    """Acceptance and gain in score by epoch, with the ceiling; the paper's acceptance dashed."""
    cells = [cell for cell in found["cells"] if cell["ceiling"]]
    epochs = sorted({cell["epoch"] for cell in cells})
    fig, (left, right) = panels(2, 4.6, 3.6)
    for sampler, colour in zip(("MH-GAN", "REP-GAN", "DRS", "DDLS"), LINES, strict=False):
        if sampler != "DDLS":
            draw_line(left, epochs, cells, "accept_rate", sampler, colour)
        if sampler in PAPER_ACCEPTANCE and tuple(epochs) == PAPER_EPOCHS:
            paper = PAPER_ACCEPTANCE[sampler]
            left.plot(
                range(len(epochs)), paper, color=colour, linestyle=DASHES[1], label=f"{sampler}, the paper's"
            )
        draw_line(right, epochs, cells, "score", sampler, colour)
    draw_line(right, epochs, cells, "score", "GAN", "black")
    left.set(xlabel="epoch", ylabel="share of proposals accepted", ylim=(0, 1.03))
    right.set(xlabel="epoch", ylabel=f"classifier score (n = {found['settings']['n']})")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xticks(range(len(epochs)), epochs)
        axis.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)
    return fig


def draw_line(axis, epochs: list[str], cells: list[dict], key: str, sampler: str, colour: str) -> None:
    values = [interval(select(cells, key, sampler=sampler, epoch=epoch)) for epoch in epochs]
    means, halves = zip(*values, strict=True)
    beside = 0.08 * (SAMPLERS.index(sampler) - 2)  # so that no interval hides another
    at = [i + beside for i in range(len(epochs))]
    axis.errorbar(at, means, yerr=halves, color=colour, marker="o", markersize=4, capsize=2, label=sampler)
