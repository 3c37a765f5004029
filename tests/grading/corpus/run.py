"""Grade the tiny lab in a process of its own: `python -m tests.grading.corpus.run ROOT`."""

import sys
from pathlib import Path

from ganedu.grading import grade
from ganedu.grading.sandbox import Limits
from tests.grading.mini_course import LAB

LIMITS = Limits(cell=5, check=5, notebook=30)

if __name__ == "__main__":
    grade(LAB, Path(sys.argv[1]), limits=LIMITS)
