"""Where data sets come from: ``$GANEDU_DATA`` first, then a checked download into the cache."""

import os
from collections.abc import Sequence
from pathlib import Path

TIMEOUT_SECONDS = 30
BLOCK = 1 << 16  # a line that breaks costs what of it had come


class DataNotFound(FileNotFoundError):
    """A data set is neither on this machine nor to be had; the message says what to do."""


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/ganedu``, by default ``~/.cache/ganedu``; not created here."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ganedu"


def data_roots() -> list[Path]:
    """The folders that are searched for data, in order."""
    named = os.environ.get("GANEDU_DATA")
    return [*([Path(named).expanduser()] if named else []), cache_dir() / "data"]


def find(folder: str, names: Sequence[str]) -> Path | None:
    """The first ``root/folder`` that holds all of ``names``, or None."""
    for root in data_roots():
        if all((root / folder / name).is_file() for name in names):
            return root / folder
    return None


def not_found(name: str, folder: str) -> DataNotFound:
    """The error for a data set that was looked for and is not here."""
    named = os.environ.get("GANEDU_DATA")
    told = f" GANEDU_DATA={named} holds no {folder}/." if named else ""
    return DataNotFound(
        f"{name} is not on this machine.{told} Set GANEDU_DATA to a folder that holds {folder}/, "
        f"or run: ganedu data get {name}"
    )


def download(urls: Sequence[str], sha256: str, target: Path) -> Path:
    """Fetch ``target`` from the first of ``urls`` that answers: with a bar, resumable, checked
    and renamed into place. Does nothing where ``target`` is there and has the checksum.

    An interrupted download leaves ``target.part``, from which the next call goes on.

    Raises DataNotFound where no address answers, and ValueError where the checksum is wrong;
    in that case nothing is kept.
    """
    import pooch
    import requests

    part = target.with_name(target.name + ".part")

    def resume(url: str, output: str, _) -> None:
        _fetch(url, part)
        part.replace(output)  # whole: from here on pooch checks it, and removes it if it is wrong

    refusals = []
    for url in urls:
        try:
            pooch.retrieve(url, f"sha256:{sha256}", target.name, target.parent, downloader=resume)
            return target
        except requests.RequestException as error:
            refusals.append(f"{url} ({type(error).__name__})")
    name = target.parent.name
    raise DataNotFound(
        f"{target.name} is not on this machine and could not be downloaded from "
        f"{' or '.join(refusals)}. Either set GANEDU_DATA to a folder that holds the data, "
        f"or run this where there is a network: ganedu data get {name}"
    )


def _fetch(url: str, part: Path) -> None:
    """Append what is missing of ``url`` to ``part``."""
    import requests
    from tqdm.auto import tqdm

    have = part.stat().st_size if part.exists() else 0
    # A server that compresses on the way would count other bytes than the file's.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as reply:
        if reply.status_code == 416:  # nothing is missing
            return
        reply.raise_for_status()
        resumed = reply.status_code == 206
        start = have if resumed else 0
        total = int(reply.headers.get("Content-Length", 0)) + start
        bar = tqdm(total=total or None, initial=start, unit="B", unit_scale=True, desc=part.stem)
        with part.open("ab" if resumed else "wb") as file, bar:
            for block in reply.iter_content(BLOCK):
                file.write(block)
                bar.update(len(block))
