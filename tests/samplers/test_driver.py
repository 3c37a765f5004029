"""The driver keeps what it says, goes on where it was stopped, and says what is wrong with a call."""

import pytest
import torch

from ganedu.samplers import Independence, Langevin, MetropolisHastings, Preconditioned, RandomWalk, run
from ganedu.samplers.base import Point
from ganedu.samplers.resume import fingerprint
from ganedu.targets import StandardNormal, Tilted

TARGET = Tilted(StandardNormal(3), lambda z: -z.abs().sum(-1))
KERNELS = [
    Langevin(0.3),
    MetropolisHastings(Langevin(0.3)),
    MetropolisHastings(Independence(TARGET.prior)),
]


def rng():
    return torch.Generator().manual_seed(11)


def test_a_start_that_carries_a_graph_leaves_none_in_the_trace():
    trace = run(KERNELS[1], TARGET, torch.zeros(2, 3, requires_grad=True), 5, rng=rng())
    assert not trace.z.requires_grad and trace.last.z.grad_fn is None


def test_a_start_without_a_gradient_is_refused_by_kernels_that_need_one():
    class Edge:
        def log_prob(self, z):
            return -(0.0 * z).sqrt().sum(-1)

    with pytest.raises(ValueError, match="gradient.*got 2 of 2"):
        run(KERNELS[1], Edge(), torch.zeros(2, 3), 5, rng=rng())


def test_burn_in_and_thinning_keep_the_states_they_name():
    z = torch.zeros(2, 3)
    every = run(KERNELS[1], TARGET, z, 20, rng=rng())
    some = run(KERNELS[1], TARGET, z, 20, burn_in=5, thin=4, rng=rng())
    assert every.z.shape == (20, 2, 3) and len(some) == 3
    assert torch.equal(some.z, every.z[[8, 12, 16]])
    assert torch.equal(some.log_prob, every.log_prob[[8, 12, 16]])
    assert torch.equal(every.last.z, every.z[-1])


def test_accept_rate_counts_moves_chain_by_chain():
    trace = run(KERNELS[1], TARGET, torch.zeros(4, 3), 200, rng=rng())
    moved = (trace.z[1:] != trace.z[:-1]).any(-1).float().sum(0)
    first = (trace.z[0] != 0).any(-1).float()
    assert torch.allclose(trace.accept_rate * 200, (moved + first).double())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(z=torch.zeros(3)), r"z: expected starts of shape \(chains, dim\).*got \(3,\)"),
        (dict(z=torch.zeros(0, 3)), "chains > 0"),
        (dict(steps=0), "steps: expected an int of at least 1, got 0"),
        (dict(burn_in=-1), "burn_in: expected an int of at least 0"),
        (dict(thin=0), "thin: expected an int of at least 1"),
        (dict(burn_in=10), r"expected burn_in \+ thin <= steps, got 10 \+ 1 > 10"),
        (dict(z=torch.full((2, 3), torch.nan)), "finite log density .*got 2 of 2"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    good = dict(z=torch.zeros(2, 3), steps=10)
    with pytest.raises(ValueError, match=message):
        run(KERNELS[1], TARGET, **{**good, **arguments}, rng=rng())


def test_a_run_goes_on_from_the_last_state_of_another():
    """Not the same as one run, which counts its steps on: but the same state, and nothing computed anew."""
    kernel = KERNELS[1]
    first = run(kernel, TARGET, torch.zeros(4, 3), 20, rng=rng())
    again = run(kernel, TARGET, first.last, 20, rng=rng())
    same = run(kernel, TARGET, first.last.z, 20, rng=rng())
    assert torch.equal(again.z, same.z)


def test_a_checkpoint_of_another_run_is_refused_and_left_alone(tmp_path):
    path, z = tmp_path / "run.safetensors", torch.ones(2, 3)
    run(KERNELS[1], TARGET, z, 10, rng=rng(), checkpoint=path)
    before = path.read_bytes()
    for arguments, message in (
        (dict(steps=12), "a run with steps 12, got 10"),
        (dict(rng=torch.Generator().manual_seed(1)), "a run with seed"),
        (dict(z=z + 1), "a run with starts"),
        (dict(kernel=KERNELS[0]), "a run with kernel Langevin"),
        (dict(target=StandardNormal(3)), "a run with starts"),
    ):
        call = dict(kernel=KERNELS[1], target=TARGET, z=z, steps=10, rng=rng(), checkpoint=path)
        with pytest.raises(ValueError, match=message):
            run(**{**call, **arguments})
    assert path.read_bytes() == before


def test_kernels_are_told_apart_by_what_they_hold_and_not_by_where():
    """Scales that print alike, networks of other weights; and an object without a repr of its own."""
    fine = torch.tensor([0.60001, 1.0]), torch.tensor([0.60002, 1.0])
    a, b = (Preconditioned(KERNELS[0], scale) for scale in fine)
    assert repr(a) == repr(b) and fingerprint(a) != fingerprint(b)
    long = torch.ones(2000), torch.ones(2000).index_fill(0, torch.tensor([1000]), 2.0)
    assert len({fingerprint(Preconditioned(KERNELS[0], scale)) for scale in long}) == 2

    class Law(torch.nn.Linear):
        def sample(self, n, rng):
            return torch.randn(n, 2, generator=rng)

        def log_prob(self, z):
            return self(z)[:, 0]

    one, other = Law(2, 1), Law(2, 1)
    assert fingerprint(Independence(one)) != fingerprint(Independence(other))
    other.load_state_dict(one.state_dict())
    assert fingerprint(Independence(one)) == fingerprint(Independence(other))

    class Plain:
        def sample(self, n, rng): ...

        def log_prob(self, z): ...

    assert fingerprint(Independence(Plain())) == fingerprint(Independence(Plain()))


@pytest.mark.parametrize(
    "state",
    [
        run(MetropolisHastings(RandomWalk(0.3)), TARGET, torch.zeros(2, 3), 5, rng=rng()).last,
        run(KERNELS[1], StandardNormal(3), torch.zeros(2, 3), 5, rng=rng()).last,
        Point(torch.zeros(2, 3), torch.zeros(2)),
    ],
    ids=["another kernel's", "another target's", "a loaded trace's"],
)
def test_a_state_of_another_run_is_refused(state):
    with pytest.raises(ValueError, match="z: expected a state that this kernel left on this target"):
        run(KERNELS[1], TARGET, state, 5, rng=rng())


def test_a_state_of_another_scale_is_refused():
    one, other = (Preconditioned(KERNELS[1], torch.full((3,), scale)) for scale in (1.0, 100.0))
    last = run(one, TARGET, torch.ones(2, 3), 5, rng=rng()).last
    assert len(run(one, TARGET, last, 5, rng=rng())) == 5
    with pytest.raises(ValueError, match="z: expected a state that this kernel left"):
        run(other, TARGET, last, 5, rng=rng())


def test_a_finished_run_is_read_back_without_a_step(tmp_path, monkeypatch):
    path, z = tmp_path / "run.safetensors", torch.zeros(2, 3)
    once = run(KERNELS[1], TARGET, z, 10, rng=rng(), checkpoint=path)

    def no_step(self, target, state, rng):
        raise AssertionError("a step")

    monkeypatch.setattr(MetropolisHastings, "step", no_step)
    again = run(KERNELS[1], TARGET, z, 10, rng=rng(), checkpoint=path)
    assert torch.equal(once.z, again.z) and once.seed == again.seed


def test_the_bar_shows_acceptance_step_size_and_rhat(capsys):
    run(KERNELS[1], TARGET, torch.zeros(8, 3), 100, rng=rng(), progress="mala")
    shown = capsys.readouterr().err
    assert "mala: 100%" in shown and "acceptance=" in shown
    assert "step size=0.3" in shown and "R-hat=" in shown
