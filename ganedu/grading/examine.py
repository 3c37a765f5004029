"""Run one submission in its sandbox and form its verdicts; record nothing."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import hmac
import secrets
import time
from typing import NamedTuple

from nbformat import NotebookNode
from nbformat.v4 import new_output

from ganedu.grading import rebuild
from ganedu.grading.checker import Checker, CheckerFailed
from ganedu.grading.kernel import GRACE, Execution, Kernel
from ganedu.grading.missing import explain_missing, raised
from ganedu.grading.outputs import Budget, text_output
from ganedu.grading.pool import Kernels
from ganedu.grading.sandbox import DEFAULTS, Limits
from ganedu.grading.verdicts import LabSummary, Verdict

SERVE = "__import__('ganedu_guest.serve', fromlist=['serve']).serve({address!r}, globals())"
NOT_RUN = "[not executed while grading: this cell takes long, and earns no points]\n"
ROOM = f"bytes({64 << 20}); None"
SLACK = 2.0  # seconds that the checker has to speak before its guest is stopped


class Outcome(NamedTuple):
    """What a submission earned: the notebook with verdicts as outputs, and what to tell its student."""

    notebook: NotebookNode
    verdicts: list[Verdict]
    problems: list[str]
    seconds: float
    deaths: int = 0  # of kernels, by the submission's own hand or by another


class Setup(NamedTuple):
    """What an examiner has to know before its first submission. Paths are absolute."""

    checks: str
    released: str
    limits: Limits = DEFAULTS
    unsandboxed: bool = False
    execute_all: bool = False


def examine(
    data: bytes,
    released: NotebookNode,
    checker: Checker,
    kernels: Kernels,
    secret: bytes,
    limits: Limits = DEFAULTS,
    *,
    execute_all: bool = False,
) -> Outcome:
    """Grade the submitted notebook `data`, or say why it cannot be (then every check gives 0).

    Cells that are tagged as long are run after that, and only if `execute_all`. Verdicts depend on the
    submission's bytes and the course's `secret` alone. Raises RuntimeError if the sandbox, rather than the
    submission, failed.
    """
    start = time.monotonic()
    lab = checker.summary()
    try:
        notebook, problems = rebuild.rebuild(released, rebuild.parse(data))
    except rebuild.Unreadable as error:
        return refuse(released, lab, str(error))
    with contextlib.suppress(CheckerFailed):  # the first check will try again
        checker.ready()
    with Session(kernels, limits) as session:
        key = hmac.new(secret, data, hashlib.sha256).digest()
        run = Run(session, lab, checker, key)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                run.cell(cell)
    problems += session.problems
    if execute_all:
        try:
            problems += draw(notebook, kernels, limits, session.budget)
        except RuntimeError as error:  # the verdicts stand
            problems.append(f"the long cells were not executed: {error}")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = rebuild.legible(cell.source)
    seconds = time.monotonic() - start
    return Outcome(notebook, run.verdicts, problems, seconds, session.deaths)


def draw(notebook: NotebookNode, kernels: Kernels, limits: Limits, budget: Budget) -> list[str]:
    """Execute the long cells, in a kernel that sees what they need: the verdicts have been formed.

    Returns what went wrong in them.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    last = max((i for i, cell in enumerate(cells) if rebuild.LONG in rebuild.tags(cell)), default=-1)
    patient = limits._replace(cell=limits.notebook)
    with Session(kernels.wide(), patient) as session:
        session.budget = budget
        for cell in cells[: last + 1]:
            if rebuild.LONG in rebuild.tags(cell):
                cell.outputs = session.run(cell.source, _name(cell)).outputs
            else:
                before = len(session.problems)
                session.run(cell.source, _name(cell))
                del session.problems[before:]  # said already, when it was run for the verdicts
    return session.problems


def refuse(released: NotebookNode, lab: LabSummary, reason: str) -> Outcome:
    """The released notebook with 0 points and `reason` under every check."""
    notebook = copy.deepcopy(released)
    verdicts = [Verdict(c.grade_id, 0.0, c.points, (f"✗ {reason}",)) for c in lab.checks.values()]
    for cell in notebook.cells:
        if rebuild.is_test(cell):
            grade_id = cell.metadata.nbgrader.grade_id
            cell.outputs = shown(next(v for v in verdicts if v.grade_id == grade_id), lab)
    return Outcome(notebook, verdicts, [reason], 0.0)


def shown(verdict: Verdict, lab: LabSummary) -> list[NotebookNode]:
    """A verdict as the outputs of its test cell: words, then a number that nbgrader reads as points."""
    lines = [lab.checks[verdict.grade_id].description, *verdict.messages]
    lines.append(f"{verdict.points:g} of {verdict.max_points:g} points\n")
    points = {"text/plain": f"{verdict.points:g}"}
    return [text_output("\n".join(lines)), new_output("execute_result", data=points, execution_count=None)]


class Session:
    """A submission's kernel, made again after it died, with the cells that it survived run again.

    The notebook's time begins when its first kernel has come up: how long that takes is no fault of its own.
    """

    def __init__(self, kernels: Kernels, limits: Limits):
        self.limits = limits
        self.problems: list[str] = []
        self.deaths = 0
        self.budget = Budget()  # of what the notebook may show
        self._kernels = kernels
        self._kernel = kernels.take()
        self.deadline = time.monotonic() + limits.notebook
        self._done: list[str] = []

    @property
    def left(self) -> float:
        """Seconds until the notebook's time is used up."""
        return max(self.deadline - time.monotonic(), 0.0)

    def run(self, source: str, name: str) -> Execution:
        """Execute a cell; one that ends the kernel, or does not end, is not run again."""
        seconds = min(self.limits.cell, self.left)
        execution = self.kernel().run(source, seconds, self.budget)
        if execution.status == "timeout":
            self.problems.append(f"{name} did not end within {seconds:.0f} s")
        elif execution.status == "dead":
            self.died(name)
        if execution.status != "ok":
            self.settle()
        if self._kernel.alive and execution.status != "timeout":
            self._done.append(source)
        return execution

    def died(self, name: str) -> None:
        """Note that the kernel ended while `name` was running."""
        self.deaths += 1
        why = f": {self._kernel.why_dead}" if self._kernel.why_dead else ""
        self.problems.append(f"{name} ended the kernel{why}")

    def settle(self) -> None:
        """After trouble: a kernel that does not answer, or has no memory left to, gives way to a new one."""
        if self._kernel.alive and self._kernel.run(ROOM, GRACE).status != "ok":
            self._kernel.kill()

    def kernel(self) -> Kernel:
        """The kernel, alive."""
        while not self._kernel.alive:
            self._kernel.close()
            self._kernel = self._kernels.take()
            self._run_again()
        return self._kernel

    def _run_again(self) -> None:
        """Run the cells that were survived, while there is time; one that ends a new kernel is dropped."""
        for source in list(self._done):
            if not self.left:
                return
            if self._kernel.run(source, min(self.limits.cell, self.left)).status == "dead":
                self.deaths += 1
                self._done.remove(source)
                return

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._kernel.close()


class Run:
    """The walk through a rebuilt notebook: cells are executed, test cells become verdicts."""

    def __init__(self, session: Session, lab: LabSummary, checker: Checker, key: bytes):
        self.session, self.lab, self.checker, self.key = session, lab, checker, key
        self.verdicts: list[Verdict] = []
        self._raised: dict[str, str | None] = {}  # the error that a cell ended with, by grade_id

    def cell(self, cell: NotebookNode) -> None:
        """Execute a code cell, or put the verdict of its check in its outputs."""
        if rebuild.is_test(cell):
            grade_id = cell.metadata.nbgrader.grade_id
            verdict = self.check(grade_id)
            said = explain_missing(verdict.messages, self._raised.get(grade_id.removesuffix("_test")))
            self.verdicts.append(verdict._replace(messages=said))
            cell.outputs = shown(self.verdicts[-1], self.lab)
        elif rebuild.LONG in rebuild.tags(cell):
            # What `rebuild` left there is the student's own picture, and says so.
            cell.outputs = cell.outputs or [text_output(NOT_RUN)]
        elif not self.session.left:
            cell.outputs = [text_output("[not executed while grading: the notebook's time was used up]\n")]
        elif cell.source.strip():
            cell.outputs = self.session.run(cell.source, _name(cell)).outputs
            self._raised[cell.metadata.get("nbgrader", {}).get("grade_id")] = raised(cell.outputs)

    def check(self, grade_id: str) -> Verdict:
        """The verdict of one check, whatever the kernel does meanwhile."""
        check = self.lab.checks[grade_id]
        seconds = min(self.session.limits.check, self.session.left)
        if not seconds:
            return Verdict(grade_id, 0.0, check.points, ("✗ not checked: the notebook's time was used up",))
        kernel = self.session.kernel()
        address = kernel.sockets / f"check-{secrets.token_hex(8)}"
        seed = int.from_bytes(hmac.new(self.key, grade_id.encode(), hashlib.sha256).digest()[:7], "big")
        try:
            self.checker.begin(grade_id, address, seed, seconds)
            served = kernel.wait(kernel.send(SERVE.format(address=str(address))), seconds + SLACK)
            verdict = self.checker.finish(seconds)
        except CheckerFailed as error:
            message = "✗ this check broke down; it has been reported to your instructor"
            return Verdict(grade_id, 0.0, check.points, (message,), None, str(error))
        if served.status == "timeout":
            self.session.settle()
        if served.status == "dead":
            self.session.died(f"check {grade_id}")
        return verdict


def _name(cell: NotebookNode) -> str:
    return f"cell {cell.metadata.get('nbgrader', {}).get('grade_id') or cell.id}"
