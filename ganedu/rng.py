"""Random numbers by name: every (seed, step) has a generator of its own.

A chain, an epoch or a resumed run needs only its seed and its index to draw the
same numbers again; torch's global generator stays where it is.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generator(seed: int, *path: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on ``seed`` and on the whole ``path``, and on nothing else.

    The words are hashed rather than added, so that (1, 2) and (2, 1) are unrelated and
    neighbouring steps do not share correlated initial states. torch's CPU generator uses 32 bits
    of a seed: among 10,000 steps two share their numbers with a chance of one in a hundred, which
    changes no law.
    """
    words = ",".join(str(int(word)) for word in (seed, *path))
    digest = hashlib.sha256(words.encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Within it networks begin with the weights of ``seed``; afterwards torch's global generator, which
    draws them, is where it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def draw_seed(rng: torch.Generator) -> int:
    """A 62-bit seed drawn from ``rng`` (which moves on, so two calls give two seeds)."""
    return int(torch.randint(2**62, (), generator=rng, device=rng.device))
