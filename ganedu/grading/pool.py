"""Single-use kernels of a lab: while one serves its submission, the next one comes up."""

from __future__ import annotations

import copy
from functools import partial

from ganedu.grading.kernel import Kernel
from ganedu.grading.sandbox import DEFAULTS, Limits
from ganedu.grading.verdicts import LabSummary


class Kernels:
    """Sandboxed kernels for a lab's submissions. No kernel is ever given out twice."""

    def __init__(self, lab: LabSummary, limits: Limits = DEFAULTS, *, unsandboxed: bool = False):
        self.more = True  # whether to hold one ready: not for the last submission
        make = partial(Kernel, limits=limits, packages=lab.packages, unsandboxed=unsandboxed)
        self._make, self._make_wide = partial(make, lab.allow), partial(make, (*lab.allow, *lab.long))
        self._next: Kernel | None = None

    def take(self) -> Kernel:
        """A kernel that nobody has used. Raises RuntimeError if two in a row do not come up."""
        fresh, self._next = self._next or self._make(), None
        try:
            fresh.ready()
        except RuntimeError:  # a machine that was too busy for a moment costs nobody points
            fresh = self._make().ready()
        if self.more:
            self.warm()
        return fresh

    def warm(self) -> None:
        """Have the next kernel come up."""
        self._next = self._next or self._make()

    def wide(self) -> Kernels:
        """One kernel, not held ready, that sees the modules of the lab's long cells too."""
        wide = copy.copy(self)
        wide.more, wide._next, wide._make = False, None, self._make_wide
        return wide

    def close(self) -> None:
        if self._next:
            self._next.close()
            self._next = None

    def __enter__(self) -> Kernels:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
