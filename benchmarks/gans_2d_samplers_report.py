"""The samplers' part of the page of ``benchmarks.gans_2d``."""

import math
from collections.abc import Sequence
from statistics import mean

from benchmarks.gans_2d_cells import Rows, figure, of, sizes
from benchmarks.gans_2d_judge import DATA
from benchmarks.gans_2d_samplers import AS_TRAINED, PAIRS, STEPPED, TRAINED_ON, UNBOUNDED, USUAL

CLEARLY = 0.9  # times the W2 of DRS, or it may be an accident of the draws


def part(rows: Rows, stem: str) -> list[str]:
    """The five samplers of seed slide 000, a table for each pair on each law."""
    first = of(rows, "sample/")[0]
    n = sizes({"": of(rows, "sample/")})
    lines = [
        "",
        "## Five samplers on top",
        "",
        f"GAN, DRS, MH-GAN, DDLS and REP-GAN (seed slide 000, its synthetic experiments) on "
        f"{' and '.join(PAIRS)}, whose critics' logit is log p/q where they are optimal. A critic "
        f"'{AS_TRAINED}' has followed a generator that moved; one '{TRAINED_ON}' was trained alone after "
        "that, as DRS has it. Platt's scaling on held-out points follows, with a soft ceiling at the 0.9 "
        f"quantile of real ones, but for the critic '{UNBOUNDED}'. Chains of {first['steps']} steps start "
        "from the draws of the line GAN, and the last state of each is judged as above; "
        f"{n} points a seed. τ is the step size, {USUAL:g} the samplers' default; seeds and ranges as above.",
        "",
        f"![Step sizes and samples]({stem}_samplers.png)",
    ]
    for game in PAIRS:
        for data in DATA:
            lines += sampler_table(rows, game, data)
    return lines


def sampler_table(rows: Rows, game: str, data: str) -> list[str]:
    found = [row for row in of(rows, f"sample/{data}/{game}/")]
    if not found:
        return []
    lines = [
        "",
        f"### {game}, {data}",
        "",
        "| sampler | critic | τ | seeds | modes of 25 | high quality | KL | W2 | accepted |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    by_run: dict[tuple, list[dict]] = {}
    for row in found:
        by_run.setdefault((row["critic"], row["sampler"], row["tau"]), []).append(row)
    for (critic, sampler, tau), each in by_run.items():
        whole = [row for row in each if "failed" not in row]
        keys = ("captured", "high_quality", "kl", "w2", "accept_rate")
        cells = " | ".join(figure(whole, key) for key in keys)
        guide = "" if sampler == "GAN" else critic
        lines.append(
            f"| {sampler} | {guide} | {'' if tau is None else f'{tau:g}'} | {len(whole)} | {cells} |"
        )
    broken = [row for row in found if "failed" in row]
    failed = [f"{r['sampler']} ({r['critic']}), seed {r['seed']}: {r['failed']}" for r in broken]
    lines += ["", " ".join(losses(found) + robustness(found) + unmixed(found))]
    return lines + (["", f"Failed: {'; '.join(failed)}."] if failed else [])


def losses(found: Sequence[dict]) -> list[str]:
    """How well either critic tells held-out points from fakes."""
    means = {}
    for critic in (AS_TRAINED, UNBOUNDED, TRAINED_ON):
        values = [row["held_out_loss"] for row in found if row["critic"] == critic and "failed" not in row]
        if values:
            means[critic] = mean(values)
    if not means:
        return []
    told = "; ".join(f"{loss:.3f} ({critic})" for critic, loss in means.items())
    return [f"On held-out points critics lose {told}; who knows nothing, {2 * math.log(2):.3f}."]


def robustness(found: Sequence[dict]) -> list[str]:
    """What the worst step size makes of either sampler, by means over seeds."""
    whole = [row for row in found if row["critic"] == TRAINED_ON and row.get("w2") is not None]
    worst, taus = {}, sorted({row["tau"] for row in whole if row["tau"] is not None})
    for name in STEPPED:
        at = [[row for row in whole if (row["sampler"], row["tau"]) == (name, tau)] for tau in taus]
        if not taus or not all(at):
            return []
        shares = [mean(row["high_quality"] for row in rows) for rows in at]
        worst[name] = min(shares), max(mean(row["w2"] for row in rows) for rows in at)
    (share, w2), (rep_share, rep_w2) = (worst[name] for name in STEPPED)
    by = [name for name, better in (("the share", rep_share > share), ("W2", rep_w2 < w2)) if better]
    verdict = {2: "is, by both", 1: f"is, by {' and '.join(by)} alone", 0: "is not"}[len(by)]
    return [
        f"At the worst of the step sizes from {taus[0]:g} to {taus[-1]:g} {STEPPED[0]}, its critic trained "
        f"on, has {share:.1%} of high quality and {STEPPED[1]} {rep_share:.1%}; the largest W2 is {w2:.3f} "
        f"and {rep_w2:.3f}. "
        f'"More robust to step size", as seed slide 000 says, {STEPPED[1]} {verdict}.'
    ]


def unmixed(found: Sequence[dict]) -> list[str]:
    """Whether chains are nearer to the data than the law that they should have, of which DRS draws."""
    w2 = {}
    for name, tau in (("DRS", None), ("REP-GAN", USUAL)):
        rows = [
            row for row in found if (row["critic"], row["sampler"], row["tau"]) == (TRAINED_ON, name, tau)
        ]
        if not rows or any(row.get("w2") is None for row in rows):
            return []
        w2[name] = mean(row["w2"] for row in rows)
    if w2["REP-GAN"] > CLEARLY * w2["DRS"]:
        return []
    return [
        f"REP-GAN at τ = {USUAL:g} has a lower W2 ({w2['REP-GAN']:.3f}) than DRS ({w2['DRS']:.3f}), which "
        "draws from the very law that REP-GAN's chains approach: they have not forgotten where they began."
    ]
