"""Answers to exercise 5 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import torch


def split(x):
    """(n, 2 m): the first halves, then the last ones; the draw in the middle of an odd number is left out."""
    half = len(x) // 2
    return torch.cat([x[:half], x[-half:]], dim=1)


def rhat(halves):
    n = len(halves)
    within, between = halves.var(0).mean(), halves.mean(0).var()
    return (((n - 1) / n * within + between) / within).sqrt()


# %% wrong: the chains are not split


def split_rhat(x):
    return rhat(x)


# %% wrong: every other draw goes into a half


def split_rhat(x):
    half = len(x) // 2
    return rhat(torch.cat([x[0::2][:half], x[1::2][:half]], dim=1))


# %% wrong: the halves of a chain are laid side by side, so that draws are the chains


def split_rhat(x):
    return rhat(split(x).T)


# %% wrong: only the first halves are used


def split_rhat(x):
    return rhat(x[: len(x) // 2])


# %% wrong: the draw in the middle stays in, and the last one is dropped


def split_rhat(x):
    half = len(x) // 2
    return rhat(torch.cat([x[:half], x[half : 2 * half]], dim=1))


# %% wrong: the square root is missing


def split_rhat(x):
    return rhat(split(x)).square()


# %% wrong: the ratio is upside down


def split_rhat(x):
    return 1 / rhat(split(x))


# %% wrong: the factor (n - 1)/n is missing


def split_rhat(x):
    halves = split(x)
    within, between = halves.var(0).mean(), halves.mean(0).var()
    return ((within + between) / within).sqrt()


# %% wrong: n is the number of draws of a whole chain


def split_rhat(x):
    halves, n = split(x), len(x)
    within, between = halves.var(0).mean(), halves.mean(0).var()
    return (((n - 1) / n * within + between) / within).sqrt()


# %% wrong: the variance of the means is divided by n


def split_rhat(x):
    halves = split(x)
    n = len(halves)
    within, between = halves.var(0).mean(), halves.mean(0).var()
    return (((n - 1) / n * within + between / n) / within).sqrt()


# %% wrong: the variance of the means is multiplied by n


def split_rhat(x):
    halves = split(x)
    n = len(halves)
    within, between = halves.var(0).mean(), halves.mean(0).var()
    return (((n - 1) / n * within + between * n) / within).sqrt()


# %% wrong: variances divided by the number instead of the number less one


def split_rhat(x):
    halves = split(x)
    n = len(halves)
    within, between = halves.var(0, correction=0).mean(), halves.mean(0).var(correction=0)
    return (((n - 1) / n * within + between) / within).sqrt()


# %% wrong: the mean of the standard deviations, squared, instead of the mean of the variances


def split_rhat(x):
    halves = split(x)
    n = len(halves)
    within, between = halves.std(0).mean().square(), halves.mean(0).var()
    return (((n - 1) / n * within + between) / within).sqrt()


# %% wrong: the variance of all draws together, over that within


def split_rhat(x):
    halves = split(x)
    return (halves.flatten().var() / halves.var(0).mean()).sqrt()


# %% wrong: one R-hat for each chain


def split_rhat(x):
    return torch.stack([rhat(split(chain[:, None])) for chain in x.T])


# %% wrong: float64 is cut to float32


def split_rhat(x):
    return rhat(split(x)).float()


# %% wrong: an argument is changed in place


def split_rhat(x):
    x -= x.mean()
    return rhat(split(x))


# %% right: half by half


def split_rhat(x):
    half = len(x) // 2
    parts = [part for chain in x.T for part in (chain[:half], chain[len(x) - half :])]
    means, variances = torch.stack([p.mean() for p in parts]), torch.stack([p.var() for p in parts])
    within = variances.mean()
    return torch.sqrt((half - 1) / half + means.var() / within)


# %% right: reshaped, chains first


def split_rhat(x):
    n, m = len(x) // 2, x.shape[1]
    if len(x) % 2:
        x = torch.cat([x[:n], x[n + 1 :]])
    halves = x.T.reshape(2 * m, n)
    within = halves.var(dim=1).mean()
    pooled = (n - 1) / n * within + halves.mean(dim=1).var()
    return (pooled / within).sqrt()


# %% right: sums of squares by hand, with B of the books


def split_rhat(x):
    half = len(x) // 2
    halves = torch.stack([x[:half], x[-half:]])
    mean = halves.mean(1, keepdim=True)
    within = ((halves - mean) ** 2).sum(1).mean() / (half - 1)
    count = mean.numel()
    big_b = half * ((mean - mean.mean()) ** 2).sum() / (count - 1)
    return ((within - within / half + big_b / half) / within) ** 0.5


# %% right: numpy


def split_rhat(x):
    y = x.numpy()
    half = y.shape[0] // 2
    y = [part for j in range(y.shape[1]) for part in (y[:half, j], y[-half:, j])]
    means = [part.mean() for part in y]
    within = sum(part.var(ddof=1) for part in y) / len(y)
    between = sum((m - sum(means) / len(y)) ** 2 for m in means) / (len(y) - 1)
    return torch.as_tensor(((half - 1) / half + between / within) ** 0.5, dtype=x.dtype)
