"""The course's secret, behind the random inputs of its checks."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

FOLDER = ".ganedu"  # in the course's root: the secret, outcomes, results; not for git and not for students


def course_secret(root: Path) -> bytes:
    """The secret of the course in `root`: made at first use, readable by the instructor alone."""
    path = root / FOLDER / "secret"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"secret.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another run was first: its secret is the course's
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_bytes()
