"""Random numbers by name."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from ganedu.rng import draw_seed, generator, initial_weights

WORDS = st.lists(st.integers(-(2**40), 2**70), min_size=1, max_size=4).map(tuple)


def draws(*path: int, n: int = 8) -> list[float]:
    return torch.rand(n, generator=generator(*path), dtype=torch.float64).tolist()


@given(WORDS, WORDS)
def test_the_same_path_gives_the_same_numbers_and_another_gives_others(one, two):
    assert draws(*one) == draws(*one)
    assert (draws(*one) == draws(*two)) == (one == two)


def test_order_depth_and_digits_of_the_path_matter():
    paths = [(1, 2), (2, 1), (12,), (1, 2, 0), (0, 1, 2), (1,), (-1,)]
    assert len({tuple(draws(*path)) for path in paths}) == len(paths)


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    draw_seed(generator(0, 1))
    draws(0, 1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_neighbouring_steps_are_unrelated():
    """4,000 pairs of first draws: |correlation| stays below 5 standard errors (false-fail 6e-7)."""
    n = 4000
    first = torch.tensor([draws(7, step, n=1)[0] for step in range(n + 1)])
    correlation = torch.corrcoef(torch.stack([first[:-1], first[1:]]))[0, 1].abs().item()
    assert correlation < 5 / math.sqrt(n)
    # Power: a generator seeded by the sum would repeat itself from one chain to the next.
    again = torch.tensor([draws(8 + step - 1, n=1)[0] for step in range(n + 1)])
    other = torch.tensor([draws(7 + step, n=1)[0] for step in range(n + 1)])
    assert torch.corrcoef(torch.stack([again, other]))[0, 1].abs().item() > 5 / math.sqrt(n)


def test_a_drawn_seed_moves_the_generator_on():
    rng = generator(0)
    seeds = [draw_seed(rng) for _ in range(100)]
    assert len(set(seeds)) == 100 and all(0 <= seed < 2**62 for seed in seeds)
    rng = generator(0)
    assert [draw_seed(rng) for _ in range(100)] == seeds


def test_initial_weights_are_those_of_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.nn.Linear(2, 2).weight
    before = torch.get_rng_state()
    with initial_weights(3):
        assert torch.equal(torch.nn.Linear(2, 2).weight, expected)
    assert torch.equal(torch.get_rng_state(), before)
