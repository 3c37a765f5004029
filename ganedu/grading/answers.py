"""A lab's known answers: the notebook's own, the mistakes that are known, and unusual ways to be right.

Mistakes and unusual answers live in `solutions/LAB/hidden/FUNCTION.py`, a file a function, as cells in the
percent format: `# %% wrong: NAME` and `# %% right: NAME` define the function, `# %% shared` precedes each.
All of it is trusted code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

CELL = re.compile(r"^# %% *(shared|wrong|right)(?:: *(.+?))? *$", re.MULTILINE)


def solutions(notebook: Path) -> dict[str, str]:
    """The source of each solution cell of code in a source notebook, by grade_id."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    ours = [
        c for c in cells if c["cell_type"] == "code" and c["metadata"].get("nbgrader", {}).get("solution")
    ]
    return {cell["metadata"]["nbgrader"]["grade_id"]: "".join(cell["source"]) for cell in ours}


def read(folder: Path) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """(wrong, right): source code by function, then by the name of the answer.

    Raises ValueError for a name that a file gives twice.
    """
    wrong: dict[str, dict[str, str]] = {}
    right: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*.py")):
        _, *parts = CELL.split(path.read_text(encoding="utf-8"))
        shared = ""
        answers = {"wrong": wrong.setdefault(path.stem, {}), "right": right.setdefault(path.stem, {})}
        for kind, name, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if kind == "shared":
                shared = source
            elif name in answers[kind]:
                raise ValueError(f"{path.name}: two answers are called {name!r}")
            else:
                answers[kind][name] = f"{shared.strip()}\n\n\n{source.strip()}\n"
    return wrong, right


@cache
def function(source: str, name: str) -> Callable[..., Any]:
    """The function `name` that the trusted `source` defines."""
    namespace: dict[str, Any] = {}
    exec(compile(source, f"<{name}>", "exec"), namespace)
    return namespace[name]


def values(wrong: Mapping[str, str], name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What each known mistake makes of `arguments` (copied for it); those that raise are left out."""
    found = {}
    for mistake, source in wrong.items():
        copies = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
        try:
            found[mistake] = function(source, name)(**copies)
        except Exception:  # a mistake may well break down where another argument would not have broken it
            continue
    return found
