"""Answers to exercise 1 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, softplus


def newton(loss, start, steps=50):
    """The minimum of a convex loss of a few parameters."""
    theta = start
    for _ in range(steps):
        here = theta.detach().requires_grad_()
        value = loss(here)
        (slope,) = torch.autograd.grad(value, here, create_graph=True)
        curvature = torch.stack([torch.autograd.grad(s, here, retain_graph=True)[0] for s in slope])
        move = torch.linalg.pinv(curvature) @ slope.detach()
        for _ in range(40):
            if not loss(here - move) > value:
                break
            move = move / 2
        theta = (here - move).detach()
        if not move.abs().max() > 1e-6:
            break
    return theta


def origin(real):
    return torch.zeros(2, dtype=real.dtype)


def balanced(real, fake):
    """(9.4) as a function of (s, b)."""
    return lambda t: softplus(-(t[0] * real + t[1])).mean() + softplus(t[0] * fake + t[1]).mean()


# %% wrong: the classes are pooled, so that their numbers matter


def platt_scale(real, fake):
    logit = torch.cat([real, fake])
    is_real = (torch.arange(len(logit)) < len(real)).to(real.dtype)
    return newton(lambda t: binary_cross_entropy_with_logits(t[0] * logit + t[1], is_real), origin(real))


# %% wrong: real and fake are swapped


def platt_scale(real, fake):
    return newton(balanced(fake, real), origin(real))


# %% wrong: the offset is left out


def platt_scale(real, fake):
    loss = balanced(real, fake)
    s = newton(lambda t: loss(torch.stack([t[0], 0 * t[0]])), origin(real)[:1])
    return torch.stack([s[0], torch.zeros_like(s[0])])


# %% wrong: the slope is left out


def platt_scale(real, fake):
    loss = balanced(real, fake)
    b = newton(lambda t: loss(torch.stack([0 * t[0] + 1, t[0]])), origin(real)[:1])
    return torch.stack([torch.ones_like(b[0]), b[0]])


# %% wrong: D is calibrated instead of its logit


def platt_scale(real, fake):
    return newton(balanced(torch.sigmoid(real), torch.sigmoid(fake)), origin(real))


# %% wrong: log D is calibrated instead of the logit of D


def platt_scale(real, fake):
    return newton(balanced(logsigmoid(real), logsigmoid(fake)), origin(real))


# %% wrong: the offset comes first


def platt_scale(real, fake):
    return newton(balanced(real, fake), origin(real)).flip(0)


# %% wrong: a temperature, by which the logit is divided


def platt_scale(real, fake):
    s, b = newton(balanced(real, fake), origin(real))
    return torch.stack([1 / s, b])


# %% wrong: the offset is added before the slope multiplies


def platt_scale(real, fake):
    s, b = newton(balanced(real, fake), origin(real))
    return torch.stack([s, b / s])


# %% wrong: the logarithm of a D that rounds to 0 or 1


def platt_scale(real, fake):
    def loss(t):
        D_real, D_fake = torch.sigmoid(t[0] * real + t[1]), torch.sigmoid(t[0] * fake + t[1])
        return -D_real.log().mean() - (1 - D_fake).log().mean()

    return newton(loss, origin(real))


# %% wrong: D is cut off at 0.0001 and 0.9999, so that nothing is infinite


def platt_scale(real, fake):
    def loss(t):
        D_real, D_fake = torch.sigmoid(t[0] * real + t[1]), torch.sigmoid(t[0] * fake + t[1])
        return -D_real.clamp(1e-4, 1 - 1e-4).log().mean() - (1 - D_fake.clamp(1e-4, 1 - 1e-4)).log().mean()

    return newton(loss, origin(real))


# %% wrong: squared error of D instead of its logarithm


def platt_scale(real, fake):
    def loss(t):
        miss = torch.sigmoid(-(t[0] * real + t[1])), torch.sigmoid(t[0] * fake + t[1])
        return miss[0].square().mean() + miss[1].square().mean()

    return newton(loss, newton(balanced(real, fake), origin(real)))


# %% wrong: a few steps of gradient descent, which have not arrived


def platt_scale(real, fake):
    loss, t = balanced(real, fake), origin(real)
    for _ in range(10):
        t = t.detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss(t), t)
        t = t - 0.1 * slope
    return t.detach()


# %% wrong: Platt's softened labels instead of 1 and 0


def platt_scale(real, fake):
    high, low = (len(real) + 1) / (len(real) + 2), 1 / (len(fake) + 2)

    def loss(t):
        x, y = t[0] * real + t[1], t[0] * fake + t[1]
        on_real = high * softplus(-x) + (1 - high) * softplus(x)
        return on_real.mean() + (low * softplus(-y) + (1 - low) * softplus(y)).mean()

    return newton(loss, origin(real))


# %% wrong: a penalty keeps the slope small


def platt_scale(real, fake):
    loss = balanced(real, fake)
    return newton(lambda t: loss(t) + 0.5 * t[0].square() / len(real), origin(real))


# %% wrong: the smallest loss is returned instead of where it is


def platt_scale(real, fake):
    loss = balanced(real, fake)
    return loss(newton(loss, origin(real)))


# %% wrong: float64 is cut to float32


def platt_scale(real, fake):
    return newton(balanced(real, fake), origin(real)).float()


# %% wrong: an argument is changed in place


def platt_scale(real, fake):
    centre = fake.mean()
    real -= centre
    s, b = newton(balanced(real, fake - centre), origin(real))
    return torch.stack([s, b - s * centre])


# %% right: weights in the loss of torch


def platt_scale(real, fake):
    logit = torch.cat([real, fake])
    is_real = (torch.arange(len(logit)) < len(real)).to(real.dtype)
    weight = torch.cat([torch.full_like(real, 1 / len(real)), torch.full_like(fake, 1 / len(fake))])

    def loss(t):
        return binary_cross_entropy_with_logits(t[0] * logit + t[1], is_real, weight, reduction="sum")

    return newton(loss, origin(real))


# %% right: logsigmoid, a mean and a sum


def platt_scale(real, fake):
    def loss(t):
        on_real = logsigmoid(real * t[0] + t[1]).mean()
        return -on_real - logsigmoid(-fake * t[0] - t[1]).sum() / fake.numel()

    return newton(loss, torch.zeros(2, dtype=real.dtype))


# %% right: Newton's method by hand, in float64


def platt_scale(real, fake):
    logit = torch.cat([real, fake]).double()
    design = torch.stack([logit / logit.std(), torch.ones_like(logit)], 1)
    weight = torch.cat([torch.full_like(real, 1 / len(real)), torch.full_like(fake, 1 / len(fake))]).double()
    is_real = (torch.arange(len(logit)) < len(real)).double()
    theta = torch.zeros(2, dtype=torch.float64)
    for _ in range(100):
        p = 1 / (1 + torch.exp(-(design @ theta)))
        curvature = (design.T * (weight * p * (1 - p))) @ design
        move = torch.linalg.solve(curvature, design.T @ (weight * (p - is_real)))
        theta = theta - move * min(1.0, 1.0 / float(move.abs().max().clamp(min=1e-9)))
    return torch.stack([theta[0] / logit.std(), theta[1]]).to(real.dtype)


# %% right: L-BFGS on standardised logits


def platt_scale(real, fake):
    x, y = real.double(), fake.double()
    spread = torch.cat([x, y]).std()
    theta = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    options = {"tolerance_grad": 1e-12, "tolerance_change": 1e-15, "line_search_fn": "strong_wolfe"}
    optimiser = torch.optim.LBFGS([theta], max_iter=500, **options)

    def closure():
        optimiser.zero_grad()
        loss = balanced(x / spread, y / spread)(theta)
        loss.backward()
        return loss

    optimiser.step(closure)
    return torch.stack([theta[0] / spread, theta[1]]).detach().to(real.dtype)


# %% right: logistic regression of scikit-learn


def platt_scale(real, fake):
    from sklearn.linear_model import LogisticRegression

    logit = torch.cat([real, fake]).double()
    spread = logit.std()
    is_real = (torch.arange(len(logit)) < len(real)).long()
    fit = LogisticRegression(
        C=1e12, class_weight="balanced", tol=1e-12, max_iter=10_000, solver="newton-cholesky"
    )
    fit.fit((logit / spread)[:, None].numpy(), is_real.numpy())
    return torch.tensor([fit.coef_[0, 0] / float(spread), fit.intercept_[0]], dtype=real.dtype)
