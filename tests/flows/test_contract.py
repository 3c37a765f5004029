"""Proofs that a flow is right, for every flow of tests/flows/registry.py.

test_power.py shows that the same proofs reject flows that are wrong.
"""

import pytest
import torch

from ganedu import checkpoints, flows
from ganedu.flows import Transform
from tests.flows import proofs
from tests.flows.proofs import points, rng
from tests.flows.registry import CASES, PROOFS, cases


def test_every_exclusion_names_a_proof_and_its_reason():
    for name, case in CASES.items():
        assert case.excluded.keys() <= PROOFS.keys(), name
        assert all(len(reason) > 10 for reason in case.excluded.values()), name


def test_every_transform_that_is_exported_is_in_a_registered_flow():
    exported = {getattr(flows, name) for name in flows.__all__} - {Transform}
    transforms = {kind for kind in exported if isinstance(kind, type) and issubclass(kind, Transform)}
    registered = {type(layer) for case in CASES.values() for layer in case.make().modules()}
    assert len(transforms) > 10 and transforms <= registered, transforms - registered


@pytest.mark.parametrize("name", cases("shapes"))
def test_shapes_are_those_promised_and_nothing_changes(name):
    flow = CASES[name].build()
    before, torchs = {key: value.clone() for key, value in flow.state_dict().items()}, torch.get_rng_state()
    for n in (1, 6):
        z = points(flow, n)
        x, log_det = flow(z)
        assert x.shape == (n, *flow.shape) and log_det.shape == (n,)
        back, log_det = flow.inverse(x)
        assert back.shape == z.shape and log_det.shape == (n,)
        draws, log_prob = flow.rsample_and_log_prob(n, rng(1))
        assert draws.shape == x.shape and log_prob.shape == flow.log_prob(x).shape == (n,)
        alone, plain = flow.rsample(n, rng(1)), flow.sample(n, rng(1))
        assert draws.requires_grad and alone.requires_grad and not plain.requires_grad
        torch.testing.assert_close(alone, draws, rtol=0, atol=CASES[name].tolerance)
        torch.testing.assert_close(plain, alone, rtol=0, atol=CASES[name].tolerance)
        torch.testing.assert_close(log_prob, flow.log_prob(draws), rtol=0, atol=100 * CASES[name].tolerance)
    assert all(torch.equal(value, before[key]) for key, value in flow.state_dict().items())
    assert torch.equal(torch.get_rng_state(), torchs)


@pytest.mark.parametrize("name", cases("inverse"))
def test_the_inverse_undoes_the_map(name):
    assert proofs.inverse_error(CASES[name].build(), CASES[name]) < 1


@pytest.mark.parametrize("name", cases("log_det"))
def test_log_determinants_are_those_of_autograds_jacobian(name):
    assert proofs.log_det_error(CASES[name].build(), CASES[name]) < 1


@pytest.mark.parametrize("name", cases("gradient"))
def test_every_parameter_gets_a_gradient_and_it_agrees_with_differences(name):
    assert proofs.gradient_error(CASES[name].build(), CASES[name]) < 1


@pytest.mark.parametrize("name", cases("checkpoint"))
def test_a_loaded_flow_has_the_densities_of_the_saved_one(name, tmp_path):
    flow, other = CASES[name].build(seed=0), CASES[name].build(seed=1)
    x = flow(points(flow, 20))[0].detach()
    assert not torch.equal(other.log_prob(x), flow.log_prob(x))
    path = checkpoints.save(tmp_path / "flow.safetensors", checkpoints.pack(flow=flow))
    checkpoints.unpack(checkpoints.load(path)[0], flow=other)
    assert torch.equal(other.log_prob(x), flow.log_prob(x))


@pytest.mark.parametrize("name", cases("rows"))
def test_changing_one_row_leaves_the_others_bit_for_bit(name):
    assert proofs.rows_are_independent(CASES[name].build())


@pytest.mark.parametrize("name", cases("precision"))
def test_float32_agrees_with_float64(name):
    """To 2e-4 of nats and coordinates: a thousand roundings at numbers of order one."""
    flow, single = CASES[name].build(), CASES[name].build().float()
    z = points(flow, 200).float()
    for ours, exact in zip(single(z), flow(z.double()), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), exact, rtol=2e-4, atol=2e-4)
    x = flow(z.double())[0].float().detach()
    torch.testing.assert_close(single.log_prob(x).double(), flow.log_prob(x.double()), rtol=2e-4, atol=2e-4)
    assert single.sample(3, rng()).dtype == torch.float32 and flow.sample(3, rng()).dtype == torch.float64


@pytest.mark.parametrize("name", cases("autocast"))
def test_autocast_rounds_nothing_but_networks(name):
    assert proofs.autocast_error(CASES[name].build()) < 1


@pytest.mark.parametrize("name", cases("continuity"))
def test_the_density_has_no_jumps(name):
    assert proofs.jump(CASES[name].build(), CASES[name]) < 1


@pytest.mark.parametrize("name", cases("integral"))
def test_the_density_integrates_to_one(name):
    assert proofs.integral_error(CASES[name].build(), CASES[name]) < 1


@pytest.mark.slow
@pytest.mark.parametrize("name", cases("law"))
def test_draws_have_the_law_that_log_prob_says(name):
    assert proofs.law_error(CASES[name].build(), CASES[name]) < 1


@pytest.mark.parametrize("name", cases("errors"))
def test_rows_of_a_wrong_shape_are_named(name):
    flow = CASES[name].build()
    with pytest.raises(ValueError, match=rf"z: expected shape \(n, {flow.base.dim}\), got \(3, 1\)"):
        flow(torch.zeros(3, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"x: expected shape \(n, .*\), got \(3, 1\)"):
        flow.log_prob(torch.zeros(3, 1, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_rows_of_another_precision_are_named(dtype):
    flow = flows.real_nvp(2, 2, (4,)).double()
    for name, call in (("z", flow), ("x", flow.log_prob)):
        with pytest.raises(ValueError, match=rf"{name}: expected torch.float64, .* got {dtype}"):
            call(torch.zeros(3, 2, dtype=dtype))


@pytest.mark.gpu
@pytest.mark.parametrize("name", cases("gpu"))
def test_a_gpu_gives_the_numbers_of_a_cpu(name):
    flow, there = CASES[name].build(), CASES[name].build().cuda()
    z = points(flow, 50)
    for ours, exact in zip(there(z.cuda()), flow(z), strict=True):
        torch.testing.assert_close(ours.cpu(), exact, rtol=0, atol=100 * CASES[name].tolerance)
    draws = there.sample(50, rng(0, "cuda"))
    assert draws.is_cuda and torch.equal(draws, there.sample(50, rng(0, "cuda")))
    ours = there.log_prob(draws)
    torch.testing.assert_close(
        ours.cpu(), flow.log_prob(draws.cpu()), rtol=0, atol=100 * CASES[name].tolerance
    )
    ours.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in there.parameters())
