"""The page and the plot of ``benchmarks.samplers``, from its JSON."""

import json
from pathlib import Path

import numpy as np

from benchmarks import samplers_images, samplers_posteriors
from benchmarks.files import write_text
from benchmarks.rep_gan_report import interval as student
from benchmarks.samplers_figures import ratio
from benchmarks.samplers_gan import CANDIDATES, PUBLISHED, winner
from ganedu import viz
from ganedu.viz.figure import LINES, panels

DISCUSSION = Path(__file__).parent / "samplers_discussion.md"
COMPARED = (("frechet_distance", "Frechet distance", ".2f"), ("score", "classifier score", ".3f"))
COMPARED += (("outliers", "share of outliers", ".4f"), ("mean_logit", "mean calibrated logit", ".3f"))
COMPARED += (("median_uncapped_logit", "median uncapped logit", ".3f"),)


def figures(rows: dict[str, dict]) -> dict:
    """What others quote: the lower ends, null where a kernel has not converged, and the largest."""
    found = {name: rows[f"gan/{name}"]["figure"] if f"gan/{name}" in rows else None for name in CANDIDATES}
    best = winner(rows)
    return {
        "ess_per_1000_gradients": {"published": PUBLISHED} | found,
        "winner": best,
        "winner_over_published": None if best is None else found[best] / PUBLISHED,
    }


def write(path: Path, folder: Path) -> list[Path]:
    """``path`` with suffixes .md and .png, and a page of images from ``folder`` where they are there."""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = found["rows"]
    titles = {"published": "published (MALA, 640 steps)", "winner": f"{winner(rows)}"}
    page = samplers_images.page(folder, path.with_name(f"{path.stem}_images.png"), titles)
    written = [
        write_text(path.with_suffix(".md"), markdown(rows, found["network"], path.stem, page is not None)),
        viz.save(plot(rows), path.with_suffix(".png")),
    ]
    return written + ([] if page is None else [page])


def markdown(rows: dict[str, dict], network: str, stem: str, page: bool) -> str:
    """The whole page; a part without rows is left out."""
    machines = sorted({row["machine"] for row in rows.values()})
    lines = [
        "# What the samplers are worth",
        "",
        f"Machine: {'; '.join(machines)}. Network: cifar10-dcgan {network[:8]}. Made by `python -m "
        "benchmarks.samplers --oracles PYTHON`. Intervals are of 95%.",
        "",
        f"![Figures, ratios, time and memory]({stem}.png)",
    ]
    lines += gan(rows) + images(rows, stem, page) + posteriors(rows) + cost(rows)
    if stem == "samplers" and DISCUSSION.exists():
        lines += ["", DISCUSSION.read_text(encoding="utf-8").strip()]
    return "\n".join(lines) + "\n"


def gan(rows: dict[str, dict]) -> list[str]:
    found = {name: rows[f"gan/{name}"] for name in CANDIDATES if f"gan/{name}" in rows}
    if not found:
        return []
    any_row = next(iter(found.values()))
    lines = [
        "",
        "## Effective samples per 1,000 gradient evaluations, on the zoo's GAN",
        "",
        f"The worst bulk ESS of the calibrated logit and three fixed projections of z, {any_row['chains']} "
        "chains from the prior, nothing left out. One forward and backward pass of D∘G counts 1, a forward "
        "pass ½, all that the machine made; *alone*: for a chain that waits for no other. The figure is the "
        "lower end of the interval, bootstrapped over chains, and there is one only where all four R-hat are "
        f"below 1.05. Published: one draw for 640 evaluations, {PUBLISHED:.4f} by definition. Settings were "
        "chosen in short runs with other random numbers, warm-up and these not counted.",
        "",
        "| kernel | figure | × published | estimate and interval | alone | worst of | largest R-hat "
        "| cost of a step | accepted | steps | setting |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, row in sorted(found.items(), key=lambda item: -(item[1]["figure"] or 0.0)):
        low, high = row["interval"]
        lines.append(
            f"| {name} | {show(row['figure'], '.1f')} "
            f"| {show(row['figure'] and row['figure'] / PUBLISHED, '.0f')} "
            f"| {row['estimate']:.1f} ({low:.1f} to {high:.1f}) | {show(row['chain_alone_figure'], '.1f')} "
            f"| {min(row['ess'], key=row['ess'].get)} | {max(row['rhat'].values()):.4f} "
            f"| {row['cost_per_step']:.2f} | {row['accept_rate']:.2f} | {row['steps']} | `{row['kernel']}` |"
        )
    return lines


def images(rows: dict[str, dict], stem: str, page: bool) -> list[str]:
    found = [row for key, row in rows.items() if key.startswith("images/")]
    pairs = paired(found)
    if not pairs:
        return []
    n, kernel = found[0]["n"], next(row for row in found if row["sampler"] == "winner")
    lines = [
        "",
        f"## Images of the best ({winner(rows)}) beside the published ones",
        "",
        f"n = {n} images a seed, {len(pairs)} paired seeds; ± half a t interval over seeds. "
        f"Winner: `{kernel['kernel']}`, {kernel.get('chains')} chains, {kernel.get('burn_in')} steps thrown "
        f"away, then every {kernel.get('thin')}th state kept. Chains in bfloat16, figures in float32 (mean "
        f"|error| of the calibrated logit {max(row['bfloat16_error'] for row in found):.3f}).",
        "",
        "| | prior | published | winner | winner − published |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for key, title, form in COMPARED:
        if all(key in row for pair in pairs for row in pair.values()):
            by_sampler = {s: [pair[s][key] for pair in pairs] for s in samplers_images.SAMPLERS}
            means = [f"{sum(values) / len(values):{form}}" for values in by_sampler.values()]
            differences = [pair["winner"][key] - pair["published"][key] for pair in pairs]
            mean, half = student(differences)
            lines.append(f"| {title} | {' | '.join(means)} | {mean:+{form}} ± {half:{form}} |")
    return lines + (["", f"![64 images of each]({stem}_images.png)"] if page else [])


def paired(found: list[dict]) -> list[dict[str, dict]]:
    """{sampler: row} of every seed that has all of them."""
    by_seed: dict[int, dict[str, dict]] = {}
    for row in found:
        by_seed.setdefault(row["seed"], {})[row["sampler"]] = row
    return [pair for pair in by_seed.values() if len(pair) == len(samplers_images.SAMPLERS)]


def posteriors(rows: dict[str, dict]) -> list[str]:
    parts = {
        (name, kernel): found
        for name in samplers_posteriors.SETTINGS
        for kernel in samplers_posteriors.KERNELS
        if (found := codes(rows, name, kernel))
    }
    if not parts:
        return []
    lines = [
        "",
        "## HMC and NUTS beside Pyro and blackjax",
        "",
        "Same target, start, step size and diagonal mass matrix, in float32; worst bulk ESS of all "
        "coordinates; gradients are leapfrog steps of a chain. *Compiled*: our kernels on a target whose "
        "log density and gradient are one function of `torch.compile`. Pyro's chains run one after the "
        "other, so that fewer of them have the ESS per second of 64. No time contains compilation.",
        "",
        "| posterior | kernel | ESS per gradient, ours over the better peer's | ESS per second, ours over "
        "Pyro's | ours over blackjax's | compiled over blackjax's |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for (name, kernel), found in parts.items():
        best = better(found)
        value = "" if best is None else "{:.3f} ({:.3f} to {:.3f})".format(*best)
        pairs = (("ours", "pyro"), ("ours", "blackjax"), ("compiled", "blackjax"))
        lines.append(f"| {name} | {kernel} | {value} | {' | '.join(speed(found, *pair) for pair in pairs)} |")
    lines += [
        "",
        "*Density*: share of our time inside log density and gradient. *Own*: share of a batch's leapfrog "
        "steps that a chain itself takes. *Farthest*: the largest distance of a mean from the reference, in "
        "standard errors.",
        "",
        "| posterior | kernel | code | chains × draws | gradients a draw | ESS per gradient | ESS per second "
        "| µs a gradient | density, own | R-hat | farthest | load |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (name, kernel), found in parts.items():
        for code, row in found.items():
            shares = f"{row['density_share']:.2f}, {row['own_share']:.2f}" if "own_share" in row else ""
            lines.append(
                f"| {name} | {kernel} | {code} ({row['version']}) | {row['chains']} × {row['draws']} "
                f"| {row['gradients_per_draw']:.1f} | {row['ess_per_gradient']:.4f} "
                f"| {row['ess_per_second']:.0f} | {1e6 * row['seconds'] / row['gradients']:.2f} | {shares} "
                f"| {row['rhat']:.3f} | {row['farthest_mean']:.1f} | {row['load']} |"
            )
    return lines


def speed(by_code: dict[str, dict], ours: str, theirs: str) -> str:
    """ESS per second of one code over another's; empty where one is missing."""
    if not {ours, theirs} <= by_code.keys():
        return ""
    return f"{by_code[ours]['ess_per_second'] / by_code[theirs]['ess_per_second']:.3g}"


def codes(rows: dict[str, dict], name: str, kernel: str) -> dict[str, dict]:
    keys = {code: f"posteriors/{name}/{kernel}/{code}" for code in samplers_posteriors.CODES}
    return {code: rows[key] for code, key in keys.items() if key in rows}


def better(by_code: dict[str, dict]) -> tuple[float, float, float] | None:
    """Our ESS per gradient over the better peer's, with its interval; None without one of the three."""
    peers = ("pyro", "blackjax")
    if not {"ours", *peers} <= by_code.keys():
        return None
    peer = max(peers, key=lambda code: by_code[code]["ess_per_gradient"])
    return ratio(by_code["ours"], by_code[peer], "ess_per_gradient")


def cost(rows: dict[str, dict]) -> list[str]:
    lines, steps = [], scaling(rows)
    if "cost/MALA" in rows:
        row = rows["cost/MALA"]
        low, high = row["mala_over_bare_quartiles"]
        lines += [
            "",
            "## What a step costs",
            "",
            f"MALA over the bare forward and backward pass of D∘G: {row['mala_over_bare']:.3f} (median of "
            f"{row['pairs']} pairs timed in turn, quartiles {low:.3f} to {high:.3f}), {row['batch']} chains, "
            f"{1000 * row['bare_seconds']:.1f} ms bare, {row['matrix_product_gflops']:.0f} GFLOP/s in a "
            f"matrix product; load before it {row['load']}.",
        ]
    if len(steps) > 1:
        lines += ["", "| chains | seconds a step | ms a chain | MiB | MiB a chain |"]
        lines += ["| ---: | ---: | ---: | ---: | ---: |"]
        for row in steps:
            n, seconds, mib = row["chains"], row["seconds"], row["mib"]
            lines.append(f"| {n} | {seconds:.4f} | {1000 * seconds / n:.3f} | {mib:.0f} | {mib / n:.2f} |")
    return lines


def scaling(rows: dict[str, dict]) -> list[dict]:
    found = [row for key, row in rows.items() if key.startswith("scaling/")]
    return sorted(found, key=lambda row: row["chains"])


def show(value: float | None, form: str) -> str:
    return "null" if value is None else f"{value:{form}}"


def plot(rows: dict[str, dict]):
    """Figures by kernel; ratios to the better peer; time and memory by chains."""
    fig, (left, middle, time, memory) = panels(4, 5.2, 3.6, columns=2)
    found = {"published": PUBLISHED}
    found |= {name: rows[f"gan/{name}"]["figure"] or 0.0 for name in CANDIDATES if f"gan/{name}" in rows}
    names = sorted(found, key=found.get)
    left.barh(names, [found[name] for name in names], color=LINES[0])
    left.set(xlabel="effective samples per 1,000 gradient evaluations", xscale="log", xlim=(1, None))
    labels, values = [], []
    for name in samplers_posteriors.SETTINGS:
        for kernel in samplers_posteriors.KERNELS:
            value = better(codes(rows, name, kernel))
            if value is not None:
                labels.append(f"{name}, {kernel}")
                values.append(value)
    for i, (value, low, high) in enumerate(values):
        middle.errorbar(value, i, xerr=[[value - low], [high - value]], fmt="o", color=LINES[0], capsize=3)
    middle.axvline(0.9, color="black", linestyle=":", label="0.9")
    middle.set_yticks(range(len(labels)), labels)
    middle.set(xlabel="ESS per gradient, ours over the better peer's")
    middle.legend(frameon=False)
    steps = scaling(rows)
    n = np.array([row["chains"] for row in steps])
    for axis, key, label in ((time, "seconds", "seconds a step"), (memory, "mib", "memory (MiB)")):
        y = np.array([row[key] for row in steps])
        axis.plot(n, y, "o", color=LINES[0], label="measured")
        if len(n) > 1:
            slope, start = np.polyfit(n, y, 1)
            axis.plot(n, start + slope * n, color=LINES[1], label="straight line")
            axis.legend(frameon=False)
        axis.set(xlabel="chains", ylabel=label, xlim=(0, None), ylim=(0, None))
    for axis in (left, middle, time, memory):
        axis.spines[["top", "right"]].set_visible(False)
    return fig
