"""Where results lie, and how they are written: whole, beside a line on the machine."""

import json
import platform
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


def write_json(path: Path, content: dict) -> Path:
    return write_text(path, json.dumps(content, indent=1) + "\n")


def write_text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(content, encoding="utf-8")
    return part.replace(path)


def machine() -> str:
    """Processor kind, threads and torch: what a time depends on."""
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
