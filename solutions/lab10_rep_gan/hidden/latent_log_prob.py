"""Answers to exercise 1 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import torch

# %% wrong: the prior is missing


def latent_log_prob(z, generator, logit):
    return logit(generator(z))


# %% wrong: the prior has the wrong sign


def latent_log_prob(z, generator, logit):
    return 0.5 * z.square().sum(1) + logit(generator(z))


# %% wrong: the one half of the prior is missing


def latent_log_prob(z, generator, logit):
    return -z.square().sum(1) + logit(generator(z))


# %% wrong: mean over the coordinates instead of their sum


def latent_log_prob(z, generator, logit):
    return -0.5 * z.square().mean(1) + logit(generator(z))


# %% wrong: |z| instead of |z|²


def latent_log_prob(z, generator, logit):
    return -0.5 * z.norm(dim=1) + logit(generator(z))


# %% wrong: log D instead of the logit of D


def latent_log_prob(z, generator, logit):
    return -0.5 * z.square().sum(1) + torch.nn.functional.logsigmoid(logit(generator(z)))


# %% wrong: the logit has the wrong sign


def latent_log_prob(z, generator, logit):
    return -0.5 * z.square().sum(1) - logit(generator(z))


# %% wrong: the generator is left out


def latent_log_prob(z, generator, logit):
    return -0.5 * z.square().sum(1) + logit(z)


# %% wrong: the sum runs over the batch too


def latent_log_prob(z, generator, logit):
    return -0.5 * z.square().sum() + logit(generator(z))


# %% wrong: one number for the whole batch


def latent_log_prob(z, generator, logit):
    return (-0.5 * z.square().sum(1) + logit(generator(z))).sum()


# %% wrong: the generator is cut off from the gradient


def latent_log_prob(z, generator, logit):
    return -0.5 * z.square().sum(1) + logit(generator(z.detach()))


# %% wrong: the gradient is switched off


def latent_log_prob(z, generator, logit):
    with torch.no_grad():
        return -0.5 * z.square().sum(1) + logit(generator(z))


# %% wrong: the ratio is computed from D, which rounds to 0 or 1


def latent_log_prob(z, generator, logit):
    D = torch.sigmoid(logit(generator(z)))
    return -0.5 * z.square().sum(1) - torch.log(1 / D - 1)


# %% wrong: float64 is cut to float32


def latent_log_prob(z, generator, logit):
    return (-0.5 * z.square().sum(1) + logit(generator(z))).float()


# %% wrong: an argument is changed in place


def latent_log_prob(z, generator, logit):
    d = logit(generator(z))
    return -0.5 * z.data.square_().sum(1) + d


# %% right: torch.distributions, normalised


def latent_log_prob(z, generator, logit):
    prior = torch.distributions.Independent(torch.distributions.Normal(torch.zeros_like(z), 1.0), 1)
    return prior.log_prob(z) + logit(generator(z))


# %% right: einsum


def latent_log_prob(z, generator, logit):
    return logit(generator(z)) - torch.einsum("bi,bi->b", z, z) / 2


# %% right: a loop over the chains


def latent_log_prob(z, generator, logit):
    return torch.cat([logit(generator(row)) - 0.5 * torch.sum(row * row) for row in z.split(1)])


# %% right: through log D and log(1 - D)


def latent_log_prob(z, generator, logit):
    d = logit(generator(z))
    log_ratio = torch.nn.functional.logsigmoid(d) - torch.nn.functional.logsigmoid(-d)
    return log_ratio - 0.5 * torch.linalg.vector_norm(z, dim=1) ** 2


# %% right: in place, on its own tensor


def latent_log_prob(z, generator, logit):
    total = logit(generator(z)).clone()
    total -= z.square().sum(dim=-1).div(2)
    return total
