"""Examine submissions side by side: on this machine, on a dask scheduler, or on SLURM.

A worker is a thread of dask that waits for an `Examiner` of its own. It reads the submission and the secret
from the course's folder, which every worker's machine has to see under the same path, and keeps the record
there before it reports it: a worker that is killed loses the submission it was at, which is examined again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, NamedTuple

import dask
from distributed import Client, LocalCluster, as_completed

from ganedu.grading import outcomes, rebuild
from ganedu.grading.examine import Setup
from ganedu.grading.examiner import Examiner, ExaminerDied
from ganedu.grading.fingerprint import environment
from ganedu.grading.outcomes import Record
from ganedu.grading.secret import course_secret
from ganedu.grading.verdicts import LabSummary

# Scheduler and worker are threads of this process: one that is late has not gone, the machine has much to do.
BUSY = {"distributed.comm.timeouts.connect": "15 minutes", "distributed.scheduler.worker-ttl": None}
WAITING = 2  # submissions handed out per worker, so that none waits for the grader


class Job(NamedTuple):
    """One submission to examine. `key` names its record; `digest` is the SHA-256 of what was read for it."""

    key: str
    path: str
    digest: str
    more: bool = True


class Task(NamedTuple):
    """What is the same for all submissions of a run."""

    root: str
    lab: LabSummary
    setup: Setup
    environment: tuple[str, ...]


@contextlib.contextmanager
def start(
    workers: int | None = None, scheduler: str | None = None, slurm: bool = False, patience: float = 20.0
) -> Iterator[Client]:
    """A client of `workers` threads here (a core each by default), of `scheduler`, or of SLURM jobs.

    A scheduler has `patience` seconds to answer.

    Raises ValueError where there is no scheduler at that address, or no dask-jobqueue for SLURM.
    """
    with contextlib.ExitStack() as stack:
        if scheduler:
            try:
                yield stack.enter_context(Client(scheduler, timeout=patience))
            except OSError as error:
                raise ValueError(f"scheduler: nobody answers at {scheduler}: {error}") from None
            return
        cluster = _slurm(workers) if slurm else _local(workers, stack)
        yield stack.enter_context(Client(stack.enter_context(cluster)))


def examine(client: Client, task: Task, jobs: Iterable[Job]) -> Iterator[tuple[Job, Record | str]]:
    """Each job with its record, or with why there is none, in words, as they are done.

    A few jobs are handed out at a time: what is done and not yet taken stays small.
    """
    queue = list(reversed(list(jobs)))
    running: dict[Any, Job] = {}
    done = as_completed()
    try:
        while queue or running:
            while queue and len(running) < WAITING * max(_threads(client), 1):
                job = queue.pop()._replace(more=len(queue) > _threads(client))
                future = client.submit(work, task, job, key=f"ganedu-{job.key}-{os.getpid()}", retries=0)
                running[future] = job
                done.add(future)
            future = next(done)
            job = running.pop(future)
            error = future.exception()
            yield job, f"its worker failed: {error}" if error else future.result()
            future.release()
    finally:
        with contextlib.suppress(Exception):
            client.run(close_examiners)


def work(task: Task, job: Job) -> Record | str:
    """On a worker: examine one submission and keep its record; or say why that could not be done."""
    if environment() != task.environment:
        return "its worker has other versions of Python, packages or ganedu than the grader"
    try:
        data = rebuild.read(Path(job.path))
        if hashlib.sha256(data).hexdigest() != job.digest:
            return "the submission changed while it was graded"
        record = _examine(task, data, job.more)
        if record.doubtful:
            again = _examine(task, data, job.more)
            # Who ends a kernel by hand gets no second try at a guess.
            record = min(record, again, key=outcomes.points) if again.deaths and not record.broken else again
        if not record.broken:
            with contextlib.suppress(OSError):  # of a full disk the writer has more to say
                outcomes.save(Path(task.root), task.lab.name, job.key, record)
    except Exception as error:
        return str(error) or type(error).__name__
    return record


IDLE: dict[Setup, LifoQueue[Examiner]] = {}


def _examine(task: Task, data: bytes, more: bool) -> Record:
    try:
        return _examine_once(task, data, more)
    except ExaminerDied:  # killed by hand or by what it read: once more, in a new one
        return _examine_once(task, data, more)


def _examine_once(task: Task, data: bytes, more: bool) -> Record:
    idle = IDLE.setdefault(task.setup, LifoQueue())
    try:
        examiner = idle.get_nowait()
    except Empty:
        examiner = Examiner(task.setup, task.lab, course_secret(Path(task.root)))
    try:
        record = examiner.examine(data, more)
    except BaseException:
        examiner.close()
        raise
    if examiner.spent:
        examiner.close()
        if examiner.served > 1:  # what was used up may have been others'
            raise ExaminerDied("the process that examined it ran out of memory")
    else:
        idle.put(examiner)
    return record


def close_examiners() -> None:
    """End the idle examiners of this process."""
    for idle in IDLE.values():
        with contextlib.suppress(Empty):
            while True:
                idle.get_nowait().close()


def _threads(client: Client) -> int:
    return sum(client.nthreads().values())


def _local(workers: int | None, stack: contextlib.ExitStack) -> LocalCluster:
    logging.getLogger("distributed").setLevel(logging.ERROR)
    stack.enter_context(dask.config.set(BUSY))
    return LocalCluster(
        n_workers=1,
        threads_per_worker=workers or os.cpu_count() or 1,
        processes=False,  # the work is done in the examiners
        dashboard_address="127.0.0.1:0",  # dask has no way to have none
        local_directory=stack.enter_context(tempfile.TemporaryDirectory(prefix="ganedu-dask-")),
        silence_logs=logging.ERROR,
    )


def _slurm(workers: int | None) -> Any:
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise ValueError("slurm: dask-jobqueue is not installed; run: pip install 'ganedu[slurm]'") from None
    cluster = SLURMCluster(cores=1, processes=1, memory="4GB")
    cluster.scale(jobs=workers or 4)
    return cluster
