"""What single transforms promise beyond the contract: masks, knots, roots, what actnorm learns from data."""

import pytest
import torch
from torch.distributions import Normal
from torch.func import functional_call

from ganedu import checkpoints
from ganedu.flows import (
    MADE,
    ActNorm,
    Affine,
    Coupling,
    Flow,
    Inverted,
    Invertible1x1,
    Logit,
    LULinear,
    Multiscale,
    Permutation,
    Planar,
    Radial,
    RationalQuadratic,
    ScaleShift,
    glow,
    initialise,
)
from ganedu.flows.conditioners import conv
from ganedu.flows.residual import bisect
from ganedu.targets import StandardNormal
from tests.flows.proofs import rng, silent

F64 = torch.float64
SPLINE = RationalQuadratic(6, 3.0)


def normal(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, generator=rng(seed), dtype=F64)


def scatter(module, scale=0.3):
    """``module`` in float64, its parameters moved at random."""
    module = module.double()
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter += normal(*parameter.shape, seed=i, scale=scale)
    return module


@pytest.mark.parametrize(("dim", "hidden"), [(4, (30, 20)), (7, (3,)), (9, (4, 5)), (5, ()), (2, (6,))])
def test_each_output_of_made_sees_what_comes_before_and_nothing_else(dim, hidden):
    """Too few hidden units cut connections, but neither the first nor the last input of the last output."""
    made = scatter(MADE(dim, hidden, 2), 1.0)
    x = normal(60, dim)
    jacobian = torch.zeros(2 * dim, dim, dtype=F64)
    for row in x:
        jacobian += torch.autograd.functional.jacobian(made, row[None])[0, :, 0].abs()
    seen = jacobian.view(2, dim, dim) != 0
    before = torch.ones(dim, dim).tril(-1).bool()
    assert not seen[:, ~before].any()
    if all(width >= dim - 1 for width in hidden):
        assert seen[:, before].all()
    assert seen[:, -1, 0].all() and seen[:, -1, -2].all()


def test_raw_zeros_are_the_identity():
    z = normal(100, 3, scale=2.0)
    for univariate in (ScaleShift(), SPLINE):
        for direction in (univariate.forward, univariate.inverse):
            moved, log_slope = direction(z, torch.zeros(100, univariate.size, 3, dtype=F64))
            torch.testing.assert_close(moved, z, rtol=0, atol=1e-14)
            assert log_slope.abs().max() < 1e-14


def test_a_spline_goes_through_its_knots_with_its_slopes():
    raw = normal(1, SPLINE.size, 1, scale=2.0)
    x, z, slope = SPLINE._knots(raw)[0, :, :, 0]
    assert x[0] == z[0] == -3 and x[-1] == z[-1] == 3 and slope[0] == slope[-1] == 1
    found, log_slope = SPLINE.inverse(x[:, None], raw.expand(7, -1, -1))
    torch.testing.assert_close(found[:, 0], z)
    torch.testing.assert_close(log_slope[:, 0].exp(), slope)
    back, log_slope = SPLINE.forward(z[:, None], raw.expand(7, -1, -1))
    torch.testing.assert_close(back[:, 0], x)
    torch.testing.assert_close((-log_slope[:, 0]).exp(), slope)


@pytest.mark.parametrize("scale", [1.0, 10.0, 1000.0])
def test_the_wildest_spline_is_increasing_and_finite_in_float32(scale):
    """Raw numbers of a diverging network: bins then differ by the factor of 1000 that is allowed."""
    raw = normal(1, SPLINE.size, 1, scale=scale).float().requires_grad_()
    x = torch.cat([torch.linspace(-3.5, 3.5, 20_001), torch.tensor([-1e30, -3.0, 3.0, 1e30])])[:, None]
    x.requires_grad_()
    # Roundings of numbers of size three; where the slope is 1/1000 the root multiplies them.
    for direction, rounding in ((SPLINE.inverse, 1e-6), (SPLINE.forward, 1e-3)):
        z, log_slope = direction(x, raw.expand(len(x), -1, -1))
        assert z[:20_001, 0].detach().diff().min() > -rounding
        assert z[-4:, 0].tolist() == pytest.approx([-1e30, -3.0, 3.0, 1e30], rel=1e-6, abs=rounding)
        gradients = torch.autograd.grad(z[:-4].sum() + log_slope.sum(), (x, raw))
        assert all(part.isfinite().all() for part in (z, log_slope, *gradients))


@pytest.mark.parametrize(("scale", "rounding"), [(3.0, 0.02), (10.0, 0.1)])
def test_20000_wild_splines_have_a_root_beside_every_knot_in_float32(scale, rounding):
    """One rounding below a knot, where the root is the end of a bin; log slopes are those of float64."""
    raw = normal(20_000, SPLINE.size, 1, scale=scale).float()
    knots = SPLINE._knots(raw)[:, 1, 1:-1]
    for z in torch.nextafter(knots, torch.tensor(-9.0)).unbind(1):
        x, log_slope = SPLINE.forward(z, raw)
        assert x.isfinite().all() and log_slope.isfinite().all()
    z = 6 * torch.rand(20_000, 1, generator=rng()) - 3
    (x, log_slope), (_, exact) = SPLINE.forward(z, raw), SPLINE.forward(z.double(), raw.double())
    assert x.isfinite().all() and (log_slope - exact).abs().max() < rounding


def test_a_spline_rises_by_the_integral_of_its_slope():
    """g(b) - g(a) = ∫ g', by the midpoint rule over 200,000 cells."""
    raw = normal(1, SPLINE.size, 1)
    edges = torch.tensor([[-2.9], [2.3]], dtype=F64)
    ends = SPLINE.inverse(edges, raw.expand(2, -1, -1))[0]
    width = 5.2 / 200_000
    middles = (-2.9 + width * (torch.arange(200_000, dtype=F64) + 0.5))[:, None]
    slope = SPLINE.inverse(middles, raw.expand(200_000, -1, -1))[1].exp()
    assert abs(float(slope.sum() * width - (ends[1] - ends[0]))) < 1e-8


def test_radials_root_is_the_one_that_bisection_finds():
    radial = scatter(Radial(3), 0.5)
    z = normal(300, 3, scale=2.0)
    z[0] = radial.centre + 1e-9
    x = radial(z)[0]
    alpha, total = radial._alpha_total()
    y = (x - radial.centre).norm(dim=1)
    r = bisect(lambda r: r + (total - alpha) * r / (alpha + r) - y, torch.zeros_like(y), y + alpha)
    torch.testing.assert_close((radial.inverse(x)[0] - radial.centre).norm(dim=1), r, rtol=0, atol=1e-10)


@pytest.mark.parametrize("strength", [-50.0, -3.0, 3.0, 50.0])
def test_planar_and_radial_maps_never_fold(strength):
    """However far training pushes u against w, or β below -α, both stay increasing."""
    planar, radial = Planar(2).double(), Radial(2).double()
    with torch.no_grad():
        planar.w.copy_(torch.tensor([1.0, -0.5]))
        planar.u.copy_(strength * planar.w)
        radial.raw_beta.fill_(strength)
    z = normal(2000, 2, scale=2.0)
    for flow in (planar, radial):
        x, log_det = flow(z)
        assert log_det.isfinite().all()
        torch.testing.assert_close(flow.inverse(x)[0], z, rtol=0, atol=1e-6)


def test_planar_and_radial_maps_never_fold_in_float32_either():
    """The least slope is 1e-13 for the planar maps and 2e-9 for the radial ones: 1 + w·û rounds it away.
    A z is lost where the map is so flat, but what comes back maps to the same x."""
    torch.manual_seed(0)
    for _ in range(30):
        planar, radial = Planar(2), Radial(2)
        with torch.no_grad():
            planar.u.copy_(-30 * planar.w / planar.w.square().sum())
            radial.raw_beta.fill_(-20.0)
            near = torch.linspace(-0.01, 0.01, 51)[:, None] * torch.tensor([1.0, 0.3])
            for flow, z in ((planar, normal(2000, 2, scale=2.0).float()), (radial, radial.centre + near)):
                x, log_det = flow(z)
                back, log_det_back = flow.inverse(x)
                assert all(part.isfinite().all() for part in (x, log_det, back, log_det_back))
                torch.testing.assert_close(flow(back)[0], x, rtol=0, atol=3e-5)


class OneStep(Planar):
    """Planted: a step of Newton with a slope that is held fixed, which makes first derivatives right."""

    def inverse(self, x):
        a = (super().inverse(x)[0] @ self.w).detach()
        (u, least), bump = self._u(), (a + self.b).tanh()
        off = a + (least - 1) * bump - x @ self.w
        bump = (a - (off - off.detach()) / self._slope(bump, least).detach() + self.b).tanh()
        return x - bump[:, None] * u, -self._slope(bump, least).log()


@pytest.mark.parametrize(
    ("kind", "right"), [(Planar, True), (Radial, True), (OneStep, False)], ids=["planar", "radial", "planted"]
)
def test_second_derivatives_of_the_inverse_are_those_of_differences(kind, right):
    """Towards the point and every parameter; score matching needs them."""
    part = scatter(kind(2), 0.4)
    names, values = zip(*part.named_parameters(), strict=True)
    x = part(normal(5, 2))[0].detach().requires_grad_()

    def inverse(x, *values):
        return functional_call(part, dict(zip(names, values, strict=True)), (x,), {})

    part.forward = part.inverse
    at = (x, *(value.detach().requires_grad_() for value in values))
    assert torch.autograd.gradcheck(inverse, at)
    assert torch.autograd.gradgradcheck(inverse, at, raise_exception=right) == right


def test_beyond_the_reach_of_logit_the_density_is_zero():
    flow = Flow(StandardNormal(2), [Logit(0.05)]).double()
    x = torch.tensor([[0.5, 0.5], [0.5, 1.1], [-0.06, 0.2], [1.05, -0.05]], dtype=F64, requires_grad=True)
    log_prob = flow.log_prob(x)
    assert log_prob[0].isfinite() and log_prob[3].isfinite()
    assert (log_prob[1:3] == -torch.inf).all()
    (gradient,) = torch.autograd.grad(log_prob[[0, 3]].sum(), x)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_an_invertible_convolution_starts_as_a_rotation(channels):
    torch.manual_seed(1)
    layer = Invertible1x1(channels)
    x, log_det = layer(torch.eye(channels)[:, :, None, None])
    matrix = x[:, :, 0, 0].T
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(channels), rtol=0, atol=1e-5)
    assert log_det.abs().max() < 1e-5


def test_random_permutations_follow_their_generator():
    first, again, other = (Permutation.random(50, rng(seed)).order for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert Permutation.reverse(3).order.tolist() == [2, 1, 0]


def images(n=40, seed=0):
    """Correlated channels of different means and widths."""
    x = torch.randn(n, 2, 8, 8, generator=rng(seed), dtype=F64)
    return torch.stack([3 * x[:, 0] + 5, 0.1 * (x[:, 1] + x[:, 0]) - 2], 1)


def small_glow():
    torch.manual_seed(0)
    return glow((2, 8, 8), levels=2, steps=2, width=8).double()


def test_initialise_gives_every_actnorm_channels_of_mean_0_and_variance_1():
    flow, seen = small_glow(), []
    norms = [layer for layer in flow.modules() if isinstance(layer, ActNorm)]
    initialise(flow, images())
    for norm in norms:
        assert bool(norm.initialised) and not norm.waiting
        norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    z, _ = flow.inverse(images())
    flow(z)  # passes the same z through every actnorm
    assert len(seen) == len(norms) == 4
    for z in seen:
        channels = z.transpose(0, 1).flatten(1)
        torch.testing.assert_close(channels.mean(1), torch.zeros(z.shape[1], dtype=F64), rtol=0, atol=1e-9)
        torch.testing.assert_close(channels.std(1), torch.ones(z.shape[1], dtype=F64), rtol=0, atol=1e-9)


def test_initialising_a_flow_that_is_initialised_changes_nothing(tmp_path):
    flow = small_glow()
    assert not any(layer.initialised for layer in flow.modules() if isinstance(layer, ActNorm))
    initialise(flow, images())
    log_prob = flow.log_prob(images(seed=2))
    path = checkpoints.save(tmp_path / "flow.safetensors", checkpoints.pack(flow=flow))
    loaded = small_glow()
    checkpoints.unpack(checkpoints.load(path)[0], flow=loaded)
    for model in (flow, loaded):
        initialise(model, 10 * images(seed=3))
        assert torch.equal(model.log_prob(images(seed=2)), log_prob)


def test_a_batch_that_fails_initialises_nothing_and_nothing_later():
    flow = small_glow()
    with pytest.raises(ValueError, match="x: expected shape"):
        initialise(flow, images()[:, :1])
    flow.log_prob(images())
    assert not any(
        layer.initialised or layer.waiting for layer in flow.modules() if isinstance(layer, ActNorm)
    )


def test_an_actnorm_that_data_cannot_set_is_named():
    flow = Flow(StandardNormal(2), [ActNorm(2), Inverted(ActNorm(2))])
    with pytest.raises(ValueError, match="flow: expected every ActNorm to be met by its inverse, got 1 that"):
        initialise(flow, torch.randn(5, 2, generator=rng()))


def test_a_channel_that_never_varies_keeps_its_scale():
    norm = ActNorm(2)
    initialise(Flow(StandardNormal(2), [norm]), torch.tensor([[1.0, 7.0], [3.0, 7.0]]))
    assert norm.log_scale[1] == 0 and norm.shift.tolist() == [2.0, 7.0]


def test_autocast_leaves_a_glow_its_points_and_its_sums_in_float32():
    """With networks at zero nothing is left to round: as many different numbers as before, and the density
    without autocast. Power: one matrix under autocast leaves a third of the numbers. With networks, which
    are rounded, sums of their log slopes are float32 still."""
    torch.manual_seed(0)
    flow = silent(glow((1, 8, 8), levels=2, steps=2, width=8))
    x = torch.rand(64, 1, 8, 8, generator=rng())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        z, _ = flow.inverse(x)
        log_prob, rounded = flow.log_prob(x), z @ torch.linalg.qr(normal(64, 64))[0].float()
    assert len(z.unique()) > 0.99 * z.numel() > 2 * len(rounded.unique())
    assert torch.equal(log_prob, flow.log_prob(x))
    scatter(flow, 0.1).float()
    with torch.autocast("cpu", torch.bfloat16):
        half = flow.log_prob(x)
    assert half.dtype == torch.float32 and not torch.equal(half, flow.log_prob(x))


def test_a_multiscale_flow_without_levels_work_moves_pixels_and_no_volume():
    flow = Multiscale((3, 8, 8), [[], [], []])
    z = torch.arange(192.0)[None]
    x, log_det = flow(z)
    assert x.shape == (1, 3, 8, 8) and log_det == 0
    assert torch.equal(x.flatten().sort().values, z[0])
    # The coarsest numbers of z are one in eight, a block of 2^(L+1) C = 48 channels on one pixel.
    coarse = (x < 48).flatten(2).sum(2)
    assert int(coarse.sum()) == 48
    assert torch.equal(flow.inverse(x)[0], z)


def test_a_coupling_at_the_head_of_a_level_is_a_learned_prior_of_what_is_fresh():
    """log p(x) = log N(z_1) + log N(y; μ(h), σ(h)²), written down with torch's Normal."""
    split = scatter(Coupling(conv(2, 4, 4)))
    flow = Flow(StandardNormal(16), [Multiscale((1, 4, 4), [[], [split]])]).double()
    x = normal(5, 1, 4, 4)
    h, y = torch.nn.functional.pixel_unshuffle(x, 2).tensor_split(2, 1)
    shift, raw = split.net(h).unflatten(1, (2, 2)).unbind(1)
    scale = (-raw / (1 + raw.abs() / torch.tensor(1000.0, dtype=F64).log())).exp()
    prior = Normal(-shift * scale, scale).log_prob(y).flatten(1).sum(1)
    exact = prior + Normal(0.0, 1.0).log_prob(h).flatten(1).sum(1)
    torch.testing.assert_close(flow.log_prob(x), exact)


def test_inverted_twice_is_the_transform():
    layer, z = scatter(Affine(3)), normal(5, 3)
    for ours, theirs in zip(Inverted(Inverted(layer))(z), layer(z), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Affine(0), "dim: expected an int of at least 1, got 0"),
        (lambda: LULinear(2.0), "dim: expected an int of at least 1, got 2.0"),
        (lambda: Invertible1x1(0), "dim: expected an int of at least 1, got 0"),
        (lambda: Permutation(torch.tensor([0, 2])), r"order: expected a permutation .* got \[0, 2\]"),
        (lambda: Logit(0.5), "alpha: expected a number between 0 and 1/2, got 0.5"),
        (lambda: RationalQuadratic(1), "bins: expected an int of at least 2, got 1"),
        (lambda: RationalQuadratic(8, 0.0), "bound: expected a positive number, got 0.0"),
        (lambda: Multiscale((1, 6, 8), [[], []]), "shape: expected height and width that 4 divides"),
        (lambda: initialise(small_glow(), images(1)), "x: expected a batch of at least 2 rows, got 1"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("make", "name"), [(Planar, "u"), (Radial, "raw_beta")])
def test_a_bump_of_height_zero_is_the_identity(make, name):
    torch.manual_seed(0)
    flow, z = make(3).double(), normal(5, 3)
    with torch.no_grad():
        getattr(flow, name).zero_()
    x, log_det = flow(z)
    torch.testing.assert_close(x, z, rtol=0, atol=1e-14)
    torch.testing.assert_close(log_det, torch.zeros(5).double(), rtol=0, atol=1e-14)


def test_a_radial_map_of_no_dimension_is_refused():
    with pytest.raises(ValueError, match="dim: expected .*got 0"):
        Radial(0)


def test_a_radial_inverse_near_its_centre_has_float32s_digits():
    """α = e⁻¹⁴, α + β = 1: the root is next to 0, and its two terms are next to 1."""
    torch.manual_seed(0)
    flow = Radial(2)
    with torch.no_grad():
        flow.centre.zero_()
        flow.log_alpha.fill_(-14.0)
        flow.raw_beta.zero_()
    x = torch.tensor([[1e-3, 2e-3], [-0.1, 0.05]])
    z, log_det = flow.inverse(x)
    exact, exact_log_det = flow.double().inverse(x.double())
    torch.testing.assert_close(z.double(), exact, rtol=1e-5, atol=0)
    torch.testing.assert_close(log_det.double(), exact_log_det, rtol=1e-5, atol=1e-5)
