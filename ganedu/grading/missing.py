"""Why a function is missing: what the cell that should define it said. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nbformat import NotebookNode

from ganedu.grading.text import printable

MISSING = "✗ there is no function"
ABSENT = re.compile(r"No module named '([\w.]+)'")


def raised(outputs: Iterable[NotebookNode]) -> str | None:
    """The error that a cell's outputs end with, "ModuleNotFoundError: No module named 'x'"; else None."""
    errors = [output for output in outputs if output.output_type == "error"]
    return printable(f"{errors[-1].ename}: {errors[-1].evalue}") if errors else None


def explain_missing(messages: tuple[str, ...], cause: str | None) -> tuple[str, ...]:
    """A verdict's `messages`; if a missing function ended the check, with the `cause` that its cell gave.

    The cause is the submission's own word, from `raised`: it is shown, and decides nothing.
    """
    if not cause or not messages or not messages[-1].startswith(MISSING):
        return messages
    first, *_ = messages[-1].splitlines()
    lines = [first, f"the cell that defines it raised {printable(cause)}"]
    if absent := ABSENT.search(cause):
        lines.append(f"next: write it without {absent[1]}, which is not there while grading")
    return (*messages[:-1], "\n    ".join(lines))
