"""Matched accuracy beside brute force over all permutations, and intervals beside sums of binomials."""

import math
from itertools import permutations

import pytest
import torch

from ganedu.metrics import matched_accuracy, matching
from ganedu.rng import generator

PLANTED = torch.tensor([3, 0, 4, 1, 2])


def pairs(n: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = generator(seed)
    return tuple(torch.randint(classes, (n,), generator=rng) for _ in range(2))


def share(mapping, cluster, label) -> float:
    """By a loop over the pairs."""
    return sum(int(mapping[int(c)] == int(y)) for c, y in zip(cluster, label, strict=True)) / len(label)


@pytest.mark.parametrize("seed", range(5))
def test_no_permutation_agrees_with_more(seed):
    cluster, label = pairs(40, 5, seed)
    mapping = matching(cluster, label, 5)
    best = max(share(order, cluster, label) for order in permutations(range(5)))
    got = matched_accuracy(mapping, cluster, label)
    assert got.accuracy == got.hits / got.n == pytest.approx(best) and got.n == 40
    assert share(mapping, cluster, label) == pytest.approx(best)


def test_the_greedy_match_is_not_the_best_and_is_not_taken():
    """Cluster 0 takes label 0 first, 5 pairs, and leaves cluster 1 with none: 5 against 4 + 4."""
    cluster = torch.tensor([0] * 9 + [1] * 4)
    label = torch.tensor([0] * 5 + [1] * 4 + [0] * 4)
    assert matching(cluster, label, 2).tolist() == [1, 0]


def test_a_planted_matching_is_found_and_planted_mistakes_are_counted():
    """7 of 100 labels are wrong; on other pairs the mapping stays what it was."""
    cluster = torch.arange(100) % 5
    label = PLANTED[cluster]
    assert torch.equal(matching(cluster, label, 5), PLANTED)
    wrong = label.clone()
    wrong[:7] = (wrong[:7] + 1) % 5
    mapping = matching(cluster, wrong, 5)
    assert torch.equal(mapping, PLANTED)
    assert matched_accuracy(mapping, cluster, wrong).accuracy == 0.93
    swapped = mapping.clone()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert matched_accuracy(swapped, cluster, label).accuracy == 0.6


def test_clusters_that_are_empty_or_two_of_one_label_are_matched_all_the_same():
    cluster, label = torch.tensor([0, 0, 1, 1]), torch.zeros(4, dtype=torch.long)
    mapping = matching(cluster, label, 3)
    assert sorted(mapping.tolist()) == [0, 1, 2]
    assert matched_accuracy(mapping, cluster, label).accuracy == 0.5


def test_chance_is_the_mean_over_all_orders_of_the_labels():
    """Exactly, by 720 orders of six labels; and with equal shares it is one in ``classes``."""
    cluster, label = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 1, 2, 2])
    mapping = torch.tensor([1, 2, 0])
    mean = sum(share(mapping, cluster, label[list(order)]) for order in permutations(range(6))) / 720
    assert matched_accuracy(mapping, cluster, label).chance == pytest.approx(mean, abs=1e-12)
    even = torch.arange(50) % 10
    assert matched_accuracy(torch.arange(10), even, even).chance == pytest.approx(0.1)


def test_a_matching_that_is_judged_on_its_own_pairs_is_kind_to_itself():
    """20 pairs that know nothing, 400 times: about a third is right, elsewhere a tenth. The share of 4,000
    other pairs is below 0.2 but once in 1e70 (Hoeffding: exp(-2 · 8,000 · 0.1²))."""
    own, other = [], []
    for seed in range(400):
        cluster, label = pairs(20, 10, seed)
        mapping = matching(cluster, label)
        own.append(matched_accuracy(mapping, cluster, label).accuracy)
        other.append(matched_accuracy(mapping, *pairs(20, 10, 10_000 + seed)).accuracy)
    assert sum(own) / 400 > 0.3 and sum(other) / 400 < 0.2


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (13, 20), (20, 20), (180, 200)])
def test_the_interval_is_where_the_tails_of_the_binomial_are_a_fortieth(hits, n):
    """Clopper and Pearson by sums of the binomial's own terms, at the ends that scipy's beta gives."""

    def tail(p, counts):
        return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts)

    label = (torch.arange(n) >= hits).long()  # 0 where it is hit
    got = matched_accuracy(torch.tensor([0, 1]), torch.zeros(n, dtype=torch.long), label)
    assert got.hits == hits
    assert got.low == 0 if hits == 0 else tail(got.low, range(hits, n + 1)) == pytest.approx(0.025, rel=1e-6)
    assert got.high == 1 if hits == n else tail(got.high, range(hits + 1)) == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: matching(torch.zeros(0).long(), torch.zeros(0).long()),
            r"cluster, label: expected .* got \(0,\)",
        ),
        (lambda: matching(torch.zeros(3).long(), torch.zeros(4).long()), r"got \(3,\), \(4,\)"),
        (
            lambda: matching(torch.tensor([0, 10]), torch.tensor([0, 1])),
            "cluster: expected integers in 0 .. 9",
        ),
        (lambda: matching(torch.tensor([0, 1]), torch.tensor([0, -1])), "label: expected integers in 0 .. 9"),
        (
            lambda: matching(torch.rand(3), torch.zeros(3).long()),
            "cluster: expected integers .* torch.float32",
        ),
        (
            lambda: matched_accuracy(torch.tensor([0, 0]), torch.tensor([0]), torch.tensor([1])),
            r"mapping: expected a permutation of 0 .. 1, got \[0, 0\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_small_integers_are_counted_without_overflow():
    cluster = torch.arange(40) % 20
    label = (cluster + 3) % 20
    mapping = matching(cluster.to(torch.uint8), label.to(torch.uint8), 20)
    assert torch.equal(mapping, (torch.arange(20) + 3) % 20)
