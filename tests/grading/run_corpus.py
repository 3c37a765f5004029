"""Grade a lab in a process of its own: `python -m tests.grading.run_corpus ROOT LAB`.

It imports nothing but grading: what the process holds is measured.
"""

import sys
from pathlib import Path

from ganedu.grading import grade
from ganedu.grading.sandbox import Limits

LIMITS = Limits(cell=5, check=5, notebook=30)

if __name__ == "__main__":
    grade(sys.argv[2], Path(sys.argv[1]), limits=LIMITS)
