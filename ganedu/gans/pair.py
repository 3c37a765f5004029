"""A generator and its discriminator: what every GAN sampler is given."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganedu.nets import check_finite, fold_batchnorm


@dataclass(frozen=True)
class GAN:
    """G: z (B, latent_dim) -> x (B, ...); D: x -> logits (B,) or (B, 1); the prior is N(0, I).

    >>> from ganedu.gans import GAN
    >>> from ganedu.nets import MLP
    >>> gan = GAN(MLP(2, 64, 2), MLP(2, 64, 1), latent_dim=2).frozen()
    """

    generator: nn.Module
    discriminator: nn.Module
    latent_dim: int

    def __post_init__(self) -> None:
        for name in ("generator", "discriminator"):
            if not isinstance(getattr(self, name), nn.Module):
                raise ValueError(f"{name}: expected an nn.Module, got {type(getattr(self, name)).__name__}")
        if not isinstance(self.latent_dim, int) or self.latent_dim < 1:
            raise ValueError(f"latent_dim: expected a positive int, got {self.latent_dim!r}")
        if isinstance(_last(self.discriminator), nn.Sigmoid):
            raise ValueError(
                "discriminator: expected one that returns logits, got a Sigmoid at its end; leave that out: "
                "a sampler takes exp of what D returns for the density ratio"
            )

    def frozen(self) -> "GAN":
        """A copy in eval mode whose parameters need no gradient; the original is left alone.

        Raises ValueError where a parameter is not finite.
        """
        return self._map(lambda module: copy.deepcopy(module).eval().requires_grad_(False))

    def folded(self) -> "GAN":
        """A frozen copy, each BatchNorm folded into its convolution: the same function, faster."""

        def fold(module: nn.Module) -> nn.Module:
            folded = fold_batchnorm(copy.deepcopy(module).eval()).requires_grad_(False)
            for parameter in folded.parameters():
                if parameter.ndim == 4:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
            return folded

        return self._map(fold)

    def to(self, device: torch.device | str) -> "GAN":
        """A copy on ``device``."""
        return self._map(lambda module: copy.deepcopy(module).to(device))

    def _map(self, change) -> "GAN":
        check_finite(self.generator, "generator")
        check_finite(self.discriminator, "discriminator")
        return GAN(change(self.generator), change(self.discriminator), self.latent_dim)

    @property
    def dtype(self) -> torch.dtype:
        """Of the latents: that of whatever tensors the two networks hold; else torch's default.

        At least float32: in half precision a chain would not see its own small steps.
        """
        modules = (self.generator, self.discriminator)
        tensors = [t for module in modules for t in (*module.parameters(), *module.buffers())]
        parts = (part for module in modules for part in module.modules())
        tensors += [t for part in parts for t in vars(part).values() if isinstance(t, Tensor)]
        own = next((t.dtype for t in tensors if t.is_floating_point()), torch.get_default_dtype())
        return torch.promote_types(own, torch.float32)

    def check_frozen(self) -> None:
        """Raise ValueError for a part in train mode or a parameter that requires a gradient."""
        for name in ("generator", "discriminator"):
            for path, module in getattr(self, name).named_modules():
                if module.training:
                    raise ValueError(
                        f"gan: expected eval mode, got {name}{'.' + path if path else ''} in train mode; "
                        f"pass gan.frozen()"
                    )
            for path, parameter in getattr(self, name).named_parameters():
                if parameter.requires_grad:
                    raise ValueError(
                        f"gan: expected frozen parameters, got {name}.{path} with requires_grad=True; "
                        f"pass gan.frozen()"
                    )

    def prior(self, n: int, rng: torch.Generator) -> Tensor:
        """z (n, latent_dim) ~ N(0, I) on the device of ``rng``."""
        return torch.randn(n, self.latent_dim, generator=rng, device=rng.device, dtype=self.dtype)

    def logit(self, x: Tensor) -> Tensor:
        """d(x) as (B,). Raises ValueError where D returns another shape."""
        logit = self.discriminator(x)
        squeezed = logit.ndim == 0 and len(x) == 1  # by a D that ends in .squeeze()
        if logit.shape not in {(len(x),), (len(x), 1)} and not squeezed:
            raise ValueError(
                f"discriminator: expected logits of shape ({len(x)},) or ({len(x)}, 1), "
                f"got {tuple(logit.shape)}"
            )
        return logit.reshape(len(x))


def _last(module: nn.Module) -> nn.Module:
    """What a plain chain of layers ends in: what another forward makes of its layers can not be seen."""
    while type(module) is nn.Sequential and len(module):
        module = module[-1]
    return module
