"""What a check found, and what the checks of a lab are, as plain data: carried by processes without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Verdict(NamedTuple):
    """What one check found. `error` is a fault of the check itself, for the instructor to see."""

    grade_id: str
    points: float
    max_points: float
    messages: tuple[str, ...]
    known_mistake: str | None = None
    error: str | None = None


class Exercise(NamedTuple):
    """A check from outside: the grade_id of its test cell, its points, and what it looks at, in words."""

    grade_id: str
    points: float
    description: str


class LabSummary(NamedTuple):
    """What a lab's `checks.py` declares, without its code; exercises by grade_id."""

    name: str
    allow: tuple[str, ...]
    packages: tuple[str, ...] | None
    long: tuple[str, ...]
    checks: dict[str, Exercise]

    def as_data(self) -> dict[str, Any]:
        """As plain JSON."""
        return self._asdict() | {"checks": list(self.checks.values())}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> LabSummary:
        """The inverse of `as_data`."""
        fields = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
        return cls(**fields | {"checks": {values[0]: Exercise(*values) for values in data["checks"]}})
