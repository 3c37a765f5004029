"""Grade a lab in a process of its own: `python -m tests.grading.run_corpus ROOT LAB GROUPS`.

GROUPS is JSON, pairs of limits and the students who are graded with them; `groups` makes it. The process
imports nothing but grading: what it holds is measured.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from ganedu.grading import grade
from ganedu.grading.sandbox import DEFAULTS, Limits


def groups(limits: Mapping[str, Limits]) -> str:
    """The students of a course as GROUPS, from the limits of each; last those with the usual ones."""
    together: dict[Limits, list[str]] = {}
    for student, own in limits.items():
        together.setdefault(own, []).append(student)
    return json.dumps(sorted(together.items(), key=lambda group: group[0] == DEFAULTS))


if __name__ == "__main__":
    for limits, students in json.loads(sys.argv[3]):
        grade(sys.argv[2], Path(sys.argv[1]), students, limits=Limits(*limits))
