"""Samplers and kernels by name, with the options that a command line can give them.

The defaults are those of the library; of a kernel that has none they are a start for a GAN's latents.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ganedu.cli.shell import known

if TYPE_CHECKING:
    from ganedu.samplers.base import Kernel

CHAINS = {"steps": 640, "step_size": 0.01}
SAMPLERS: dict[str, dict[str, Any]] = {
    "drs": {"gamma": 0.0, "percentile": None, "pilot": 10_000},
    "mh-gan": {"steps": 640},
    "ddls": {**CHAINS, "decay": 0.0, "diversity": 0.0, "held": ()},
    "rep-gan": {"steps": 640, "held": ()},
    "ex2": {**CHAINS, "n_particles": 10, "n_moves": 3},
    "dg-flow": {"steps": 25, "step_size": 0.1, "f": "KL", "noise": 0.01},
    "dot": {"steps": 100, "step_size": 0.01, "lipschitz": None, "pilot": 1000},
}
# Of rep-gan: the class in ganedu.samplers, and its options. What only proposes is accepted or rejected.
KERNELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mala": ("Langevin", {"step_size": 0.01}),
    "barker": ("Barker", {"step_size": 0.01}),
    "random-walk": ("RandomWalk", {"step_size": 0.01}),
    "pcn": ("CrankNicolson", {"step_size": 0.1}),
    "pcn-langevin": ("CrankNicolsonLangevin", {"step_size": 0.1}),
    "hmc": ("Hamiltonian", {"step_size": 0.1, "n_leapfrog": 10}),
    "nuts": ("NUTS", {"step_size": 0.1, "max_depth": 5}),
    "elliptical-slice": ("EllipticalSlice", {}),
    "slice": ("Slice", {"width": 1.0, "max_steps": 32}),
    "independence": ("Independence", {}),
    "isir": ("ISIR", {"n_particles": 10}),
    "ex2": ("Ex2", {"step_size": 0.01, "n_particles": 10, "n_moves": 3}),
    "tempering": ("Tempering", {"step_size": 0.01, "betas": (1.0, 0.6, 0.35, 0.15), "n_moves": 3}),
}


def chosen(
    sampler: str, kernel: str | None, texts: Sequence[str], flags: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the keyword arguments to call ``sampler`` with, all its options by name).

    ``texts`` are key=value; ``flags`` are options of their own name, None where not given. Raises
    ValueError for an unknown name, with the known ones; for what an option can't be; and for one that
    is given twice.
    """
    own = SAMPLERS[known("sampler", sampler, SAMPLERS)]
    name, options = sampler, dict(own)
    if sampler == "rep-gan":
        name = known("kernel", kernel or "mala", KERNELS)
        options |= KERNELS[name][1]
    elif kernel is not None:
        raise ValueError(f"kernel: {sampler} has a kernel of its own, got {kernel}")
    given = {key: value for key, value in flags.items() if value is not None}
    for key, value in given.items():
        if key not in options:
            raise ValueError(f"{key}: {name} has no such option, got {value}")
    for text in texts:
        key, separator, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not separator:
            raise ValueError(f"kernel-option: expected KEY=VALUE, got {text!r}")
        if key not in options:
            raise ValueError(
                f"kernel-option: {name} has no option {key!r}; known: {', '.join(sorted(options))}"
            )
        if key in given:
            raise ValueError(f"{key}: given twice")
        given[key] = parsed(key, value, options[key])
    options |= given
    if sampler != "rep-gan":
        return options, options
    made = built(name, {key: options[key] for key in KERNELS[name][1]})
    return {"kernel": made, **{key: options[key] for key in own}}, {"kernel": name, **options}


def parsed(key: str, text: str, like: Any) -> Any:
    """``text`` as what the default ``like`` is: a word, an int, a float (also for None), or, with commas
    between them, several numbers. Raises ValueError for anything else."""
    if isinstance(like, str):
        return text.strip()
    if isinstance(like, tuple):
        return tuple(_number(key, part) for part in text.split(","))
    value = _number(key, text)
    if isinstance(like, int) and not isinstance(value, int):
        raise ValueError(f"{key}: expected an int, got {text!r}")
    return value if isinstance(like, int) else float(value)


def _number(key: str, text: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    raise ValueError(f"{key}: expected a number, got {text!r}")


def built(name: str, options: dict[str, Any]) -> "Kernel":
    """The kernel ``name``. One that moves by another kernel gets MALA, with the option ``step_size``."""
    from ganedu import samplers

    made = getattr(samplers, KERNELS[name][0])
    if name in ("ex2", "tempering"):
        inner = samplers.MetropolisHastings(samplers.Langevin(options["step_size"]))
        return made(inner, **{key: value for key, value in options.items() if key != "step_size"})
    made = made(**options)
    return made if getattr(made, "adjusted", False) else samplers.MetropolisHastings(made)
