"""Traces outside of this program: in a file, and in arviz."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from torch import Tensor

from ganedu import checkpoints
from ganedu.samplers.base import Point
from ganedu.samplers.driver import Trace

if TYPE_CHECKING:
    from arviz import InferenceData

KIND = "trace 1"  # what the file is, and the version of its form
COUNTS = ("divergences", "n_leapfrog")  # which a trace may lack


def save_trace(trace: Trace, path: str | Path) -> Path:
    """Write ``trace`` to a safetensors file: whole or not at all, and without pickle.

    Of the last state the point is kept. What else a kernel remembers there it computes anew, by
    ``kernel.init(target, trace.last.z)``; to stop a run and go on with it, see ``run``.
    """
    parts = {"z": trace.z, "log_prob": trace.log_prob, "accept_rate": trace.accept_rate}
    parts |= {"last.z": trace.last.z, "last.log_prob": trace.last.log_prob}
    parts |= {name: count for name in COUNTS if (count := getattr(trace, name)) is not None}
    return checkpoints.save(Path(path), parts, kind=KIND, seed=trace.seed)


def load_trace(path: str | Path) -> Trace:
    """What ``save_trace`` wrote, on the CPU. ValueError, which names the file, for anything else."""
    if not Path(path).is_file():
        raise ValueError(f"{path}: expected a trace, found no file there")
    wanted = f"{path}: expected a trace as save_trace writes it"
    try:
        parts, meta = checkpoints.load(Path(path))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{wanted}, got a file that can't be read: {error}") from error
    if not isinstance(meta, dict) or meta.get("kind") != KIND:
        raise ValueError(f"{wanted}, got another safetensors file")
    _check_shapes(path, parts)
    last = Point(parts.pop("last.z"), parts.pop("last.log_prob"))
    return Trace(**parts, last=last, seed=int(meta["seed"]))


def to_arviz(trace: Trace, names: Sequence[str] | None = None) -> "InferenceData":
    """The posterior ``z`` (chain, draw, dim), with ``names`` for the d coordinates, and in the sample
    statistics ``lp`` (chain, draw) and (chain,) ``acceptance_rate``, ``divergences``, ``n_leapfrog``.

    The last three are over all steps of a chain, so there is no ``diverging`` draw by draw. In float64,
    so that arviz computes as ``ganedu.samplers.diagnostics`` does. Raises ValueError for another number of
    names, ImportError where the extra ``diagnostics`` is not installed.
    """
    d = trace.z.shape[2]
    if names is not None and len(names) != d:
        raise ValueError(f"names: expected {d}, one a coordinate, got {len(names)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # once a day: version 1 will be another library
            import arviz
    except ImportError as error:
        raise ImportError(
            f"arviz can't be imported ({error}). Install it with: pip install 'ganedu[diagnostics]'"
        ) from error
    data = arviz.from_dict(
        posterior={"z": _array(trace.z.transpose(0, 1))},
        sample_stats={"lp": _array(trace.log_prob.T)},
        coords={"dim": range(d) if names is None else list(names)},
        dims={"z": ["dim"]},
        posterior_attrs={"seed": trace.seed},
    )
    for name in ("accept_rate", *COUNTS):
        if (value := getattr(trace, name)) is not None:
            data.sample_stats["acceptance_rate" if name == "accept_rate" else name] = ("chain", _array(value))
    return data


def _check_shapes(path: str | Path, parts: dict[str, Tensor]) -> None:
    found = {name: tuple(part.shape) for name, part in parts.items()}
    draws, chains, d = found["z"] if len(found.get("z", ())) == 3 else (None, None, None)
    expected = {"z": (draws, chains, d), "log_prob": (draws, chains), "accept_rate": (chains,)}
    expected |= {"last.z": (chains, d), "last.log_prob": (chains,)}
    expected |= {name: (chains,) for name in COUNTS if name in found}
    if found != expected:
        raise ValueError(f"{path}: expected the tensors of a trace, got {found}")


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().double().numpy()
