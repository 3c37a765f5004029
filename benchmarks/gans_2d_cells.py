"""What the tables of ``benchmarks.gans_2d`` are made of."""

from collections.abc import Mapping, Sequence
from statistics import mean

Rows = Mapping[str, dict]


def of(rows: Rows, prefix: str) -> list[dict]:
    return [row for key, row in rows.items() if key.startswith(prefix)]


def sizes(found: Mapping[str, Sequence[dict]]) -> str:
    """n of the rows, which is one number unless someone has changed it."""
    sizes = sorted({row["n"] for rows in found.values() for row in rows if "n" in row})
    return " or ".join(f"{n:,}" for n in sizes) or "no"


FORMATS = {
    "captured": "{:.3g}",
    "high_quality": "{:.1%}",
    "kl": "{:.3f}",
    "w2": "{:.3f}",
    "accept_rate": "{:.1%}",
}


def figure(rows: Sequence[dict], key: str) -> str:
    """Mean (lowest to highest); of one seed the value; "none" where a seed has no number."""
    values = [row[key] for row in rows]
    if not values or None in values:
        return "none"
    say = FORMATS[key].format
    if len(values) == 1:
        return say(values[0])
    return f"{say(mean(values))} ({say(min(values))} to {say(max(values))})"
