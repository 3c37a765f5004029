"""Layers of critics: minibatch discrimination beside loops, spectral norms beside singular values."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from ganedu.gans.penalties import gradient_penalty
from ganedu.layers import MinibatchDiscrimination, initialise, plain_weights, spectrally_normalised
from ganedu.nets import MLP, DCGANCritic, DCGANDiscriminator, DCGANGenerator, fold_batchnorm


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layer(in_features=3, kernels=4, dim=2, seed=0):
    torch.manual_seed(seed)
    return MinibatchDiscrimination(in_features, kernels, dim).double()


def by_loops(part, x):
    """o(x_i)_b = Σ_{j != i} exp(-|M_i,b - M_j,b|_1) of Salimans et al. (2016), in numpy."""
    weight = (part.weight * part.log_scale.exp()[:, None, None]).detach().numpy()
    rows = x.detach().numpy()
    out = np.zeros((len(rows), len(weight)))
    for b in range(len(weight)):
        for i in range(len(rows)):
            for j in range(len(rows)):
                if i != j:
                    out[i, b] += np.exp(-np.abs(rows[i] @ weight[b] - rows[j] @ weight[b]).sum())
    return torch.tensor(out) + part.offset.detach()


def test_what_is_appended_is_the_nearness_of_the_others():
    part, x = layer(), normal(5, 3, seed=1)
    with torch.no_grad():
        part.offset.copy_(normal(4, seed=2))
        part.log_scale.copy_(0.3 * normal(4, seed=3))
    out = part(x)
    assert out.shape == (5, 7) and torch.equal(out[:, :3], x)
    torch.testing.assert_close(out[:, 3:], by_loops(part, x))
    # Power: the paper's sum has j = i in it, which is one more; and a sum over the wrong axis of samples.
    assert ((by_loops(part, x) + 1) - out[:, 3:]).abs().min() > 0.5
    assert (by_loops(part, x.flip(0)) - out[:, 3:]).abs().max() > 1e-2


def test_a_batch_of_equals_stands_out():
    """n - 1 in every kernel, whatever the sample is."""
    part, x = layer(), normal(6, 3, seed=1)
    equal = x[:1].expand(6, 3)
    torch.testing.assert_close(part(equal)[:, 3:], torch.full((6, 4), 5.0).double())
    assert (part(x)[:, 3:] < 5).all()


def test_rows_in_another_order_are_the_same_rows():
    part, x = layer(), normal(6, 3, seed=1)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(part(x[order]), part(x)[order])


@pytest.mark.parametrize("unit", [1e-4, 1.0, 500.0])
def test_initialised_from_data_kernels_see_neighbours_in_any_unit(unit):
    """The nearest is 2 away on average, and means are 0; before, all are near or all are far."""
    part, x = layer(8, 10, 5), unit * normal(64, 8, seed=1)
    part.initialise(x)
    rows = (x @ part.weight) * part.log_scale.exp()[:, None, None]
    distances = torch.cdist(rows, rows, p=1)
    nearest = (distances + 1e9 * torch.eye(64)).amin(2).mean(1)
    torch.testing.assert_close(nearest, torch.full((10,), 2.0).double())
    new = part(x)[:, 8:]
    torch.testing.assert_close(new.mean(0), torch.zeros(10).double(), rtol=0, atol=1e-9)
    assert new.std(0).min() > 0.05
    if unit != 1:
        before = layer(8, 10, 5)(x)[:, 8:]
        assert before.std(0).max() < 0.05  # all of the batch, or nothing of it


def test_a_second_initialisation_does_nothing_and_neither_does_one_of_a_loaded_layer():
    part, x = layer(), normal(16, 3, seed=1)
    part.initialise(x)
    before = copy.deepcopy(part.state_dict())
    part.initialise(9 * x)
    loaded = layer(seed=5)
    loaded.load_state_dict(before)
    loaded.initialise(9 * x)
    for state in (part.state_dict(), loaded.state_dict()):
        assert all(torch.equal(state[name], before[name]) for name in before)
    assert bool(part.initialised)


def test_a_critic_is_initialised_layer_by_layer_by_what_each_gets():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(5, 3), nn.Tanh()).double()
    critic = nn.Sequential(body, layer(), nn.Linear(7, 3).double(), layer(seed=1), nn.Linear(7, 1).double())
    x = 9 * normal(32, 5)
    initialise(critic, x)
    first = layer()
    first.initialise(body(x))
    second = layer(seed=1)
    second.initialise(critic[2](first(body(x))))
    for ours, expected in ((critic[1], first), (critic[3], second)):
        for name, value in expected.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], value)
    assert not any(part._forward_pre_hooks for part in critic.modules())
    before = copy.deepcopy(critic.state_dict())
    initialise(critic, -x)
    assert all(torch.equal(value, before[name]) for name, value in critic.state_dict().items())
    initialise(nn.ReLU(), x)


def test_a_batch_of_equals_leaves_the_scale_alone():
    part = layer()
    part.initialise(torch.ones(4, 3).double())
    assert part.log_scale.abs().max() == 0 and part.offset.isfinite().all()


def test_every_parameter_gets_a_gradient_and_so_does_a_gradient_penalty():
    """torch.cdist, faster, has no second derivative."""
    net = nn.Sequential(layer(), nn.Linear(7, 1).double())
    x, y = normal(5, 3, seed=1), normal(5, 3, seed=2)
    gradient_penalty(net, x, y, torch.rand(5).double()).backward()
    net(x).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_gradients_are_those_of_differences():
    part, x = layer(), normal(5, 3, seed=1)
    assert torch.autograd.gradcheck(part, x.requires_grad_())
    assert torch.autograd.gradgradcheck(part, x)


def test_half_precision_in_half_precision_out():
    part = MinibatchDiscrimination(3, 4, 2)
    assert part(normal(5, 3).bfloat16()).dtype == torch.bfloat16
    near = torch.tensor([[1.0, 1.0, 1.0], [1.001, 1.0, 1.0]])
    with torch.autocast("cpu", torch.bfloat16):
        out = part(near)
    torch.testing.assert_close(out, part(near))


def largest(weight, transposed=False):
    """The largest singular value of the matrix (out, the rest), by numpy."""
    matrix = weight.detach().numpy()
    if transposed:
        matrix = matrix.swapaxes(0, 1)
    return np.linalg.svd(matrix.reshape(len(matrix), -1), compute_uv=False)[0]


@pytest.mark.parametrize("make", [lambda: MLP(5, 16, 16, 1), lambda: DCGANDiscriminator(width=4)])
def test_every_weight_has_spectral_norm_one(make):
    """After 200 passes; before, the initial weights have others."""
    torch.manual_seed(0)
    net = make()
    before = {name: part.weight.clone() for name, part in net.named_modules() if hasattr(part, "weight")}
    assert spectrally_normalised(net) is net
    x = normal(4, 5, dtype=torch.float32) if isinstance(net, MLP) else normal(4, 3, 32, 32).float()
    for _ in range(200):
        net(x)
    net.eval()
    seen = 0
    for name, part in net.named_modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            assert largest(part.weight) == pytest.approx(1, abs=2e-3), name
            assert abs(largest(before[name]) - 1) > 0.02
            torch.testing.assert_close(
                part.weight, before[name] / float(largest(before[name])), rtol=5e-3, atol=1e-4
            )
            seen += 1
    assert seen >= 3


def test_transposed_convolutions_are_normalised_by_their_own_axis():
    torch.manual_seed(0)
    net = spectrally_normalised(DCGANGenerator(latent_dim=6, width=4))
    for _ in range(200):
        net(normal(4, 6, dtype=torch.float32))
    for part in net.eval().modules():
        if isinstance(part, nn.ConvTranspose2d):
            assert largest(part.weight, transposed=True) == pytest.approx(1, abs=5e-3)


def test_a_normalised_mlp_is_one_lipschitz_and_a_plain_one_need_not_be():
    torch.manual_seed(0)
    plain = MLP(5, 32, 32, 1)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter *= 4
    net = spectrally_normalised(copy.deepcopy(plain), n_power_iterations=100)
    x, y = normal(500, 5, dtype=torch.float32), normal(500, 5, seed=1, dtype=torch.float32)

    def steepest(f):
        return float(((f(x) - f(y)).squeeze(1).abs() / (x - y).norm(dim=1)).max().detach())

    net(x)
    assert steepest(net.eval()) <= 1 + 1e-4 and steepest(plain) > 2


def test_in_eval_mode_nothing_moves_and_weights_survive_saving():
    torch.manual_seed(0)
    net = spectrally_normalised(MLP(5, 16, 1))
    x = normal(4, 5, dtype=torch.float32)
    net(x)
    net.eval()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    first = net(x)
    assert torch.equal(net(x), first)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    other = spectrally_normalised(MLP(5, 16, 1))
    other.load_state_dict(state)
    assert torch.equal(other.eval()(x), first)
    assert torch.equal(copy.deepcopy(net)(x), first)


def test_plain_weights_are_the_same_function_and_fit_a_network_that_never_was_normalised():
    """Half trained, so that the power iteration has not converged; scores to the rounding of float32."""
    torch.manual_seed(0)
    net = spectrally_normalised(DCGANCritic(width=4))
    x = normal(6, 3, 32, 32, dtype=torch.float32)
    steps = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        net(x).square().mean().backward()
        steps.step()
    net.eval()
    expect, weight = net(x).detach(), net[0].weight.detach().clone()
    raw = net[0].parametrizations.weight.original.detach().clone()
    assert plain_weights(net) is net
    assert type(net[0]) is nn.Conv2d and torch.equal(net[0].weight, weight)
    torch.testing.assert_close(net(x), expect, rtol=1e-6, atol=1e-7)
    assert {name for name, _ in net.named_parameters()} == {
        name for name, _ in DCGANCritic(width=4).named_parameters()
    }
    plain = DCGANCritic(width=4)
    plain.load_state_dict(net.state_dict())
    torch.testing.assert_close(plain(x), expect, rtol=1e-6, atol=1e-7)
    assert plain_weights(net) is net, "without one, nothing is done"
    torch.testing.assert_close(fold_batchnorm(net)(x), expect, rtol=1e-5, atol=1e-6)
    # Power: what training moves is not what is used.
    with torch.no_grad():
        plain[0].weight.copy_(raw)
    assert (plain(x) - expect).abs().max() > 1e-3 * expect.abs().max()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plain_weights(spectrally_normalised(nn.Linear(2, 2))),
            "network: expected eval mode, got train",
        ),
        (lambda: MinibatchDiscrimination(0), "in_features: expected an int of at least 1, got 0"),
        (lambda: MinibatchDiscrimination(2, kernels=0), "kernels: expected an int of at least 1"),
        (lambda: layer()(torch.zeros(4, 5)), r"x: expected shape \(n, 3\), got \(4, 5\)"),
        (lambda: layer().initialise(torch.zeros(1, 3)), "x: expected a batch of at least 2 rows, got 1"),
        (lambda: spectrally_normalised(nn.ReLU()), "network: expected a linear or convolutional layer"),
        (
            lambda: spectrally_normalised(spectrally_normalised(nn.Linear(2, 2))),
            "network: expected plain weights, got a parametrised one in itself",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_initialised_anew_scale_and_offset_count_what_was_there():
    torch.manual_seed(0)
    part, x = MinibatchDiscrimination(3, 4, 2).double(), normal(16, 3, seed=1)
    with torch.no_grad():
        part.log_scale.copy_(normal(4, seed=2))
        part.offset.copy_(normal(4, seed=3))
    part.initialise(x)
    rows = (x @ part.weight) * part.log_scale.exp()[:, None, None]
    nearest = (torch.cdist(rows, rows, p=1) + 1e9 * torch.eye(16)).amin(2).mean(1)
    torch.testing.assert_close(nearest, torch.full((4,), 2.0).double())
    torch.testing.assert_close(part(x)[:, 3:].mean(0), torch.zeros(4).double(), rtol=0, atol=1e-9)


def test_a_layer_that_is_new_is_initialised_beside_one_that_is_not():
    torch.manual_seed(0)
    old, new = MinibatchDiscrimination(3, 4, 2), MinibatchDiscrimination(7, 4, 2)
    old.initialise(torch.randn(8, 3))
    before = old.log_scale.clone()
    initialise(nn.Sequential(old, new), torch.randn(8, 3))
    assert bool(new.initialised) and torch.equal(old.log_scale, before)


def test_a_batch_that_does_not_fit_leaves_no_hook():
    critic = nn.Sequential(MinibatchDiscrimination(3, 4, 2), nn.Linear(9, 1))
    with pytest.raises(RuntimeError):
        initialise(critic, torch.randn(8, 3))
    assert not critic[0]._forward_pre_hooks


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv3d])
def test_other_convolutions_are_normalised_too(kind):
    torch.manual_seed(0)
    net = spectrally_normalised(nn.Sequential(kind(2, 5, 3)))
    x = torch.randn(4, 2, *[3] * (1 if kind is nn.Conv1d else 3))
    for _ in range(200):
        net(x)
    weight = net.eval()[0].weight.detach().flatten(1).numpy()
    assert np.linalg.svd(weight, compute_uv=False)[0] == pytest.approx(1, abs=1e-3)


def test_more_power_iterations_come_nearer_in_one_pass():
    """Singular values 1 and 0.98: a pass of k shrinks the error of the norm by 0.98^4k."""
    u, _ = torch.linalg.qr(normal(16, 16))
    v, _ = torch.linalg.qr(normal(16, 16, seed=1))
    values = torch.tensor([3.0, *[2.97] * 15], dtype=torch.float64)
    found = []
    for k in (1, 500):
        torch.manual_seed(0)
        net = nn.Linear(16, 16).double()
        with torch.no_grad():
            net.weight.copy_(u @ values.diag() @ v)
        spectrally_normalised(net, n_power_iterations=k)
        net(normal(2, 16))
        net.eval()
        found.append(abs(np.linalg.svd(net.weight.detach().numpy(), compute_uv=False)[0] - 1))
    assert found[1] < 1e-4 < found[0]


def test_a_part_in_train_mode_is_refused():
    net = nn.Sequential(spectrally_normalised(nn.Sequential(nn.Linear(3, 1)))).eval()
    net[0].train()
    with pytest.raises(ValueError, match="network: expected eval mode, got train mode"):
        plain_weights(net)


def test_a_batch_of_equals_leaves_finite_scales():
    part = MinibatchDiscrimination(3, 4, 2)
    part.initialise(torch.ones(4, 3))
    assert part.log_scale.isfinite().all()
