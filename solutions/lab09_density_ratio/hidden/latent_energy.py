"""Answers to exercise 4 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import torch

# %% wrong: the log density instead of the energy


def latent_energy(z, generator, logit, scale=1.0):
    return -0.5 * z.square().sum(1) + scale * logit(generator(z))


# %% wrong: the discriminator's term has the wrong sign


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum(1) + scale * logit(generator(z))


# %% wrong: the prior has the wrong sign


def latent_energy(z, generator, logit, scale=1.0):
    return -0.5 * z.square().sum(1) - scale * logit(generator(z))


# %% wrong: the prior is missing


def latent_energy(z, generator, logit, scale=1.0):
    return -scale * logit(generator(z))


# %% wrong: the prior is taken at the picture instead of the latent vector


def latent_energy(z, generator, logit, scale=1.0):
    x = generator(z)
    return 0.5 * x.square().flatten(1).sum(1) - scale * logit(x)


# %% wrong: the slope multiplies the prior too


def latent_energy(z, generator, logit, scale=1.0):
    return scale * (0.5 * z.square().sum(1) - logit(generator(z)))


# %% wrong: the slope is left out


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum(1) - logit(generator(z))


# %% wrong: the logit is divided by the slope


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum(1) - logit(generator(z)) / scale


# %% wrong: the one half of the prior is missing


def latent_energy(z, generator, logit, scale=1.0):
    return z.square().sum(1) - scale * logit(generator(z))


# %% wrong: mean over the coordinates instead of their sum


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().mean(1) - scale * logit(generator(z))


# %% wrong: |z| instead of |z|²


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.norm(dim=1) - scale * logit(generator(z))


# %% wrong: log D instead of the logit of D


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum(1) - torch.nn.functional.logsigmoid(scale * logit(generator(z)))


# %% wrong: D instead of its logit


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum(1) - torch.sigmoid(scale * logit(generator(z)))


# %% wrong: the generator is left out


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum(1) - scale * logit(z)


# %% wrong: the slope multiplies the latent vector


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum(1) - logit(generator(scale * z))


# %% wrong: the sum runs over the batch too


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum() - scale * logit(generator(z))


# %% wrong: one number for the whole batch


def latent_energy(z, generator, logit, scale=1.0):
    return (0.5 * z.square().sum(1) - scale * logit(generator(z))).sum()


# %% wrong: the generator is cut off from the gradient


def latent_energy(z, generator, logit, scale=1.0):
    return 0.5 * z.square().sum(1) - scale * logit(generator(z.detach()))


# %% wrong: the gradient is switched off


def latent_energy(z, generator, logit, scale=1.0):
    with torch.no_grad():
        return 0.5 * z.square().sum(1) - scale * logit(generator(z))


# %% wrong: the ratio is computed from D, which rounds to 0 or 1


def latent_energy(z, generator, logit, scale=1.0):
    D = torch.sigmoid(scale * logit(generator(z)))
    return 0.5 * z.square().sum(1) + torch.log(1 / D - 1)


# %% wrong: float64 is cut to float32


def latent_energy(z, generator, logit, scale=1.0):
    return (0.5 * z.square().sum(1) - scale * logit(generator(z))).float()


# %% wrong: an argument is changed in place


def latent_energy(z, generator, logit, scale=1.0):
    d = scale * logit(generator(z))
    return 0.5 * z.data.square_().sum(1) - d


# %% right: torch.distributions, normalised


def latent_energy(z, generator, logit, scale=1.0):
    prior = torch.distributions.Independent(torch.distributions.Normal(torch.zeros_like(z), 1.0), 1)
    return -prior.log_prob(z) - scale * logit(generator(z))


# %% right: einsum


def latent_energy(z, generator, logit, scale=1.0):
    return torch.einsum("bi,bi->b", z, z) / 2 - logit(generator(z)) * scale


# %% right: a loop over the chains


def latent_energy(z, generator, logit, scale=1.0):
    return torch.cat([torch.sum(row * row) / 2 - scale * logit(generator(row)) for row in z.split(1)])


# %% right: through log D and log(1 - D)


def latent_energy(z, generator, logit, scale=1.0):
    d = scale * logit(generator(z))
    log_ratio = torch.nn.functional.logsigmoid(d) - torch.nn.functional.logsigmoid(-d)
    return torch.linalg.vector_norm(z, dim=1) ** 2 / 2 - log_ratio


# %% right: in place, on its own tensor


def latent_energy(z, generator, logit, scale=1.0):
    total = z.square().sum(dim=-1).div(2)
    total -= scale * logit(generator(z))
    return total
