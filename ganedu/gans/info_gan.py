"""InfoGAN (Chen et al. 2016; seed slide 003): part of the latents is a code that can be read off x.

A third network, "recogniser", says Q(c|x). The code's information is bounded from below (eq. 4, 5):

    I(c; G(z, c)) = H(c) - H(c|x) >= L_I = H(c) + E_{c, x = G(z, c)} log Q(c|x)

and the generator and Q maximise it beside the game: min_{G,Q} max_D V(D, G) - weight L_I(G, Q) (eq. 6).
In the seed's TensorFlow code ``ent`` is the entropy of a one-hot vector, which is 0 and not H(c) = log 10,
and is added to the cross-entropy where it should be taken from it. It is a constant: the loss that is
printed is not -L_I, what is learned is right.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganedu.divergences.samples import at_least_float32
from ganedu.gans.game import Nets, TwoPlayer, fakes, latents, mixing_weights
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive


@dataclass(frozen=True)
class Code:
    """c: a one-hot block for each of ``categories``, uniform, then ``continuous`` numbers from U(-1, 1).

    Q(c|x), as the recogniser's outputs (n, ``dim``): logits for each block, then the mean of each number,
    N(mean, std²). The std is fixed: of a generator without further noise x may tell a number exactly,
    its information is infinite, and a learned std would go to 0 after it. With std 1, as in the authors'
    code, a number's part of L_I is at most log 2 - ½ log 2π = -0.226: a bound that says nothing, and that
    trains like a squared error.
    """

    categories: tuple[int, ...] = (10,)
    continuous: int = 2
    std: float = 1.0

    def __post_init__(self) -> None:
        for size in self.categories:
            check_count("categories", size, at_least=2)
        check_count("continuous", self.continuous, at_least=0)
        check_positive("std", self.std)
        if self.dim == 0:
            raise ValueError("categories, continuous: expected a code, got none")

    @property
    def dim(self) -> int:
        return sum(self.categories) + self.continuous

    @property
    def entropy(self) -> float:
        """H(c) in nats: log k for each of k categories, log 2 (differential) for each number."""
        return sum(map(math.log, self.categories)) + self.continuous * math.log(2.0)

    def draw(self, like: Tensor, rng: torch.Generator) -> Tensor:
        """(n, dim) for n rows of ``like``, in their precision."""
        kind = {"device": like.device, "dtype": like.dtype}
        blocks = [
            one_hot(torch.randint(k, (len(like),), generator=rng, device=like.device), k).to(**kind)
            for k in self.categories
        ]
        numbers = 2.0 * torch.rand(len(like), self.continuous, generator=rng, **kind) - 1.0
        return torch.cat([*blocks, numbers], 1)

    def log_prob(self, outputs: Tensor, code: Tensor) -> Tensor:
        """log Q(c|x), (n,), in nats, of codes (n, dim) by the recogniser's outputs (n, dim).

        Raises ValueError where these have another shape.
        """
        if outputs.shape != code.shape:
            raise ValueError(
                f"recogniser: expected outputs {tuple(code.shape)}, got shape {tuple(outputs.shape)}"
            )
        outputs = at_least_float32(outputs)
        sizes = [*self.categories, self.continuous]
        *logits, means = outputs.split(sizes, 1)
        *blocks, numbers = code.split(sizes, 1)
        total = outputs.new_zeros(len(outputs))
        for logit, block in zip(logits, blocks, strict=True):
            total = total + (block * logit.log_softmax(1)).sum(1)
        scaled = (numbers - means) / self.std
        constant = math.log(self.std) + 0.5 * math.log(2.0 * math.pi)
        return total + (-0.5 * scaled.square() - constant).sum(1)

    def information(self, outputs: Tensor, code: Tensor) -> Tensor:
        """L_I, a scalar, in nats: at most I(c; x), and equal to it where Q is the posterior."""
        return self.entropy + self.log_prob(outputs, code).mean()


@dataclass(frozen=True)
class InfoGAN(TwoPlayer):
    """``objective`` with a code: latents (noise ~ N(0, I), code) (n, ``latent_dim``), which counts both.

    Digits in the paper: ``InfoGAN(non_saturating, 74)``, which is 62 + 10 + 2; its noise is uniform, ours
    normal, as everywhere in ganedu. Networks: "generator", "critic", "recogniser" (x -> (n, ``code.dim``)).

    The critic's player moves the recogniser, too, by L_I at fakes without a graph, and the generator's
    moves by L_I through it: the authors' code. So the two may share all layers but the last, as in the paper.

    Raises ValueError for a ``latent_dim`` below the code's.
    """

    code: Code = Code()
    weight: float = 1.0
    moves: ClassVar = {"critic": ("critic", "recogniser"), "generator": ("generator",)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("latent_dim", self.latent_dim, at_least=self.code.dim)
        check_positive("weight", self.weight)

    def latent(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """(n, latent_dim) for n rows of x: noise, then code."""
        noise = latents(x, self.latent_dim - self.code.dim, rng)
        return torch.cat([noise, self.code.draw(x, rng)], 1)

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(x, latents (n, latent_dim), mixing weights (n,))."""
        return x, self.latent(x, rng), mixing_weights(x, rng)

    def loss(self, player: str, nets: Nets, x: Tensor, z: Tensor, mixing: Tensor) -> Tensor:
        with torch.set_grad_enabled(player == "generator" and torch.is_grad_enabled()):
            fake = fakes(nets, z, x)
        code = z[:, -self.code.dim :]
        if player == "generator":
            loss = self.generator_loss(nets["critic"], x, fake)
        else:
            loss = self.critic_loss(nets["critic"], x, fake, mixing)
        return loss - self.weight * self.code.information(nets["recogniser"](fake), code)


@dataclass(frozen=True)
class InfoNetworks:
    """A trained InfoGAN: G: latents -> x, D: x -> (n,), Q: x -> (n, ``game.code.dim``), and its ``game``."""

    generator: nn.Module
    critic: nn.Module
    recogniser: nn.Module
    game: InfoGAN

    def latent(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, latent_dim): noise, then code, on the device of ``rng``."""
        return self.game.latent(torch.empty(n, 0, device=rng.device), rng)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """G of n latents."""
        return self.generator(self.latent(n, rng))

    def category(self, x: Tensor, block: int = 0) -> Tensor:
        """(n,): the value of one of the code's categories that Q thinks most probable.

        Raises ValueError for a block that the code has not got.
        """
        sizes = self.game.code.categories
        if not 0 <= block < len(sizes):
            raise ValueError(f"block: expected one of the code's {len(sizes)} categories, got {block}")
        return self.recogniser(x).split([*sizes, self.game.code.continuous], 1)[block].argmax(1)
