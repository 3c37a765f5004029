"""Rows of a benchmark: each is kept as soon as it is made, and what is there is not made again."""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tqdm.auto import tqdm

from benchmarks.files import machine, write_json

Job = tuple[str, Callable[[], dict]]
MISSING = (FileNotFoundError, LookupError, subprocess.CalledProcessError)  # data, another row, or a peer


def load(path: Path) -> dict:
    """What ``path`` holds, or the beginning of it."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": {}}


def drop(path: Path, keys: Iterable[str], load=load, save=write_json) -> None:
    """Forget the rows with these keys, where they are there."""
    found, gone = load(path), set(keys)
    found["rows"] = {key: row for key, row in found["rows"].items() if key not in gone}
    save(path, found)


def fill(path: Path, plan: Iterable[Job], name: str, load=load, save=write_json) -> dict[str, str]:
    """Make the rows of ``plan`` that are not there; {key: why not} of those that could not be made.

    A row gets the machine and its load average from before it was made: what its times depend on.
    """
    failed = {}
    there = load(path)["rows"]
    for key, work in tqdm([job for job in plan if job[0] not in there], desc=name):
        load_average = os.getloadavg()[0]
        try:
            row = work()
        except MISSING as error:
            failed[key] = str(error)
            continue
        found = load(path)  # another part may run at the same time
        found["rows"][key] = row | {"load": round(load_average, 2), "machine": machine()}
        save(path, found)
    return failed


def say_missing(keys: Iterable[str], command: str, failed: Mapping[str, str]) -> None:
    """Print which of a part's rows are not there, the command that makes them, and what stopped it."""
    keys = list(keys)
    if keys:
        print(f"missing: {', '.join(keys)}; make them: {command}")
    for reason in sorted({failed[key] for key in keys if key in failed}):
        print(f"  {reason}")
