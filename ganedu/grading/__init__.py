"""The instructor's side: release labs, grade submissions, report. None of it is in a student's sandbox."""

from __future__ import annotations

from typing import Any

__all__ = ["Result", "grade", "release", "report"]
_HOME = {"Result": "results", "grade": "batch", "release": "publish", "report": "gradebook"}


def __getattr__(name: str) -> Any:
    """Load nbgrader only when it is used: a lab's checks import this package too."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
