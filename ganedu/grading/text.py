"""Hostile text, made fit for a terminal and for one line of a table."""

from __future__ import annotations

from typing import Any

TEXT_LIMIT = 400


def printable(text: Any) -> str:
    """Hostile text as one line of printable characters, at most `TEXT_LIMIT` of them."""
    line = " ".join(str(text)[: 4 * TEXT_LIMIT].split())
    return "".join(c for c in line if c.isprintable())[:TEXT_LIMIT]
