"""What holds for every target of the table: its gradient, its rows, its precision, its messages."""

import pytest
import torch

from ganedu.targets import TARGETS, Tilted, log_prob_and_grad, references, tilted

DOUBLE = torch.float64
ALL = sorted(TARGETS)


def points(name: str, n: int = 7) -> torch.Tensor:
    """(n, dim) where the mass is: the reference's mean and half of its standard deviations."""
    mean, sd = references(name)[:2]
    noise = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(3), dtype=DOUBLE)
    return mean + 0.5 * sd * noise


def by_differences(log_prob, z: torch.Tensor, h: float = 1e-4) -> torch.Tensor:
    """The gradient (n, d) by central differences of fourth order."""
    columns = []
    for i in range(z.shape[1]):
        step = torch.zeros_like(z)
        step[:, i] = h
        near = log_prob(z + step) - log_prob(z - step)
        far = log_prob(z + 2 * step) - log_prob(z - 2 * step)
        columns.append((8 * near - far) / (12 * h))
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("name", ALL)
def test_the_gradient_is_that_of_the_density(name):
    target, z = TARGETS[name](dtype=DOUBLE), points(name)
    value, grad = log_prob_and_grad(target, z)
    assert torch.equal(value, target.log_prob(z))
    slow = by_differences(target.log_prob, z)
    assert torch.allclose(grad, slow, rtol=1e-6, atol=1e-6)
    # Power: a gradient that is off by a hundred thousandth is seen.
    assert not torch.allclose(1.00001 * grad, slow, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_row_depends_on_no_other_row(name):
    target, z = TARGETS[name](dtype=DOUBLE), points(name)
    other = z.clone()
    other[3] += 5.0
    rest = [0, 1, 2, 4, 5, 6]
    for before, after in zip(log_prob_and_grad(target, z), log_prob_and_grad(target, other), strict=True):
        assert torch.equal(before[rest], after[rest])
        assert not torch.equal(before[3], after[3])
    assert torch.allclose(target.log_prob(z[2:3]), target.log_prob(z)[2:3], rtol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_single_precision_gives_the_same_density_in_single_precision(name):
    z = points(name)
    double = TARGETS[name](dtype=DOUBLE).log_prob(z)
    for target in (TARGETS[name](), TARGETS[name](dtype=DOUBLE)):
        single = target.log_prob(z.float())
        assert single.dtype == torch.float32
        # 100 dimensions of condition 10⁴ lose three of the seven digits.
        assert torch.allclose(single.double(), double, rtol=2e-3)
    assert TARGETS[name]().dtype == torch.float32


@pytest.mark.parametrize("name", [name for name in ALL if hasattr(TARGETS[name](), "sample")])
def test_draws_have_the_precision_asked_for_and_depend_on_the_generator_alone(name):
    for dtype in (torch.float32, DOUBLE):
        target = TARGETS[name](dtype=dtype)
        first, again = (target.sample(5, torch.Generator().manual_seed(1)) for _ in range(2))
        assert first.shape == (5, target.dim) and first.dtype == dtype
        assert torch.equal(first, again)


@pytest.mark.parametrize("name", ALL)
def test_tilted_is_the_same_law_with_its_prior_apart(name):
    target, z = TARGETS[name](dtype=DOUBLE), points(name)
    view = tilted(target)
    assert isinstance(view, Tilted) and view.prior.dim == target.dim
    assert view.prior.sample(2, torch.Generator()).dtype == DOUBLE
    assert torch.allclose(view.log_prob(z), target.log_prob(z), rtol=1e-12)
    expected = target.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    assert torch.allclose(view.log_weight(z), expected, rtol=1e-12)


def test_tilted_refuses_a_target_of_unknown_dimension():
    class Flat:
        def log_prob(self, z):
            return torch.zeros(len(z))

    with pytest.raises(ValueError, match="target: expected one with dim and dtype, got Flat"):
        tilted(Flat())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", ["one point", "one coordinate too many"])
def test_points_of_another_shape_are_named(name, shape):
    target = TARGETS[name]()
    z = torch.zeros(target.dim) if shape == "one point" else torch.zeros(3, target.dim + 1)
    with pytest.raises(ValueError, match=f"[xz]: expected shape .*{target.dim}"):
        target.log_prob(z)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ALL)
def test_a_gpu_gives_the_same_densities(name):
    target, z = TARGETS[name](dtype=DOUBLE), points(name)
    on_gpu = target.log_prob(z.cuda())
    assert on_gpu.is_cuda and torch.allclose(on_gpu.cpu(), target.log_prob(z), rtol=1e-9)
    if hasattr(target, "sample"):
        assert target.sample(3, torch.Generator("cuda").manual_seed(0)).is_cuda
