"""Precision, recall, density, coverage, copies: against loops, scikit-learn, scipy and known means."""

import math
import subprocess
import sys

import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.neighbors import NearestNeighbors

import ganedu.metrics.neighbours as neighbours
from ganedu.metrics.neighbours import memorisation, nearest, prdc
from ganedu.rng import generator


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def by_loops(real, fake, k):
    """The four definitions, point by point (Kynkäänniemi et al. 2019, eq. 1; Naeem et al. 2020, sec. 3)."""

    def distance(a, b):
        return math.sqrt(sum((float(u) - float(v)) ** 2 for u, v in zip(a, b, strict=True)))

    def radii(points):
        rows = range(len(points))
        return [sorted(distance(points[i], points[j]) for j in rows if j != i)[k - 1] for i in rows]

    real_radii, fake_radii = radii(real), radii(fake)
    pairs = [[distance(x, y) for y in fake] for x in real]
    n, m = len(real), len(fake)
    inside = [[pairs[i][j] <= real_radii[i] for j in range(m)] for i in range(n)]
    precision = sum(any(inside[i][j] for i in range(n)) for j in range(m)) / m
    recall = sum(any(pairs[i][j] <= fake_radii[j] for j in range(m)) for i in range(n)) / n
    density = sum(inside[i][j] for i in range(n) for j in range(m)) / (k * m)
    coverage = sum(any(inside[i]) for i in range(n)) / n
    return precision, recall, density, coverage


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("entries", [2**22, 50])
def test_the_four_are_those_of_loops(k, entries, monkeypatch):
    monkeypatch.setattr(neighbours, "ENTRIES", entries)
    real, fake = normal(40, 3), 0.6 * normal(33, 3, seed=1) + 0.5
    found = prdc(real, fake, k)
    assert found == pytest.approx(by_loops(real, fake, k), abs=1e-12)
    # Power: exchanged samples are something else, and so is the next k.
    assert found != pytest.approx(by_loops(fake, real, k), abs=1e-6)
    assert found != pytest.approx(by_loops(real, fake, k + 1), abs=1e-6)


def test_what_is_on_the_edge_is_inside():
    """Points of a lattice, where distances are equal all over; and a fake that is a copy of a real one."""
    side = torch.arange(5.0)
    lattice = torch.cartesian_prod(side, side)
    found = prdc(lattice, lattice[:12], 2)
    assert found == pytest.approx(by_loops(lattice, lattice[:12], 2), abs=1e-12)
    assert prdc(normal(50, 4), normal(50, 4), 3)[:2] == (1, 1)
    twice = torch.cat([normal(20, 4), normal(20, 4)])  # radius 0 for k = 1
    assert prdc(twice, twice[:20], 1)[:2] == (1, 1)


def test_one_fake_that_ran_away_does_not_widen_the_balls_of_others():
    """Fakes 0.3 beside real points that are 0.05 wide, and one at 1e6: its distances are rounded by 1e-4."""
    real = 0.05 * normal(60, 2)
    fake = torch.cat([0.05 * normal(30, 2, seed=1) + 0.3, 0.05 * normal(30, 2, seed=2)])
    away = torch.cat([fake, torch.full((1, 2), 1e6, dtype=torch.float64)])
    found = prdc(real, away, 3)
    assert found == pytest.approx(by_loops(real, away, 3), abs=1e-12)
    assert found.precision < 0.55


@pytest.mark.parametrize("entries", [2**20, 666])
def test_the_edge_does_not_depend_on_the_blocks(entries, monkeypatch):
    """Copies of 333 points in another order: each ball has its centre and k = 2 more in it, the last on the
    edge. A product of one row rounds otherwise than one of two: without a margin 1 in 6 were lost."""
    monkeypatch.setattr(neighbours, "ENTRIES", entries)
    real = normal(333, 17) + 3
    fake = torch.cat([real[torch.randperm(333, generator=generator(1))], real[:7] + 50])
    assert prdc(real, fake, 2).density * 340 / 333 == pytest.approx(3 / 2, abs=1e-9)


def test_for_equal_laws_density_is_one_and_coverage_what_ranks_say():
    """The mean of density is 1, that of coverage 1 - Π (n-1-i)/(n+m-1-i): 400 replicates of 30 and 20 points,
    to 5 standard errors each (one false alarm in 800,000). Power: 1 - 2^-k, which is for n = m and many."""
    n, m, k, count = 30, 20, 3, 400
    x = normal(count, n + m, 2)
    found = torch.tensor([prdc(points[:n], points[n:], k) for points in x])
    density, coverage = found[:, 2].double(), found[:, 3].double()
    expect = 1 - math.prod((n - 1 - i) / (n + m - 1 - i) for i in range(k))
    scores = [
        float((v.mean() - e) / v.std() * math.sqrt(count))
        for v, e in ((density, 1.0), (coverage, expect), (coverage, 1 - 2**-k))
    ]
    assert abs(scores[0]) < 5 and abs(scores[1]) < 5 < abs(scores[2])


def test_each_failure_shows_in_its_own_figure():
    """Real: two clusters. A generator with one of them has precision and half the recall and coverage; one
    that adds rubbish has recall and half the precision."""
    clusters = torch.cat([normal(200, 2), normal(200, 2, seed=1) + 30])
    one = normal(400, 2, seed=2)
    found = prdc(clusters, one)
    assert found.precision > 0.9 and 0.4 < found.recall < 0.52 and 0.4 < found.coverage < 0.52
    rubbish = torch.cat([normal(200, 2, seed=3), normal(200, 2, seed=4) * 3 - 60])
    found = prdc(clusters[:200], rubbish)
    assert found.recall > 0.9 and 0.4 < found.precision < 0.52
    # One real outlier makes a fake near it precise; density hardly moves (Naeem et al. 2020, sec. 3).
    outlier = torch.cat([normal(200, 2), torch.full((1, 2), 100.0).double()])
    off = normal(200, 2, seed=5) + 40
    assert prdc(outlier, off).precision == 1 and prdc(outlier, off).density < 0.25


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("entries", [2**22, 60])
def test_nearest_is_scikit_learns(k, entries, monkeypatch):
    monkeypatch.setattr(neighbours, "ENTRIES", entries)
    x, y = normal(40, 6) + 1000, normal(55, 6, seed=1) + 1000
    distance, index = nearest(x, y, k)
    theirs, which = NearestNeighbors(n_neighbors=k).fit(y.numpy()).kneighbors(x.numpy())
    torch.testing.assert_close(distance, torch.from_numpy(theirs), rtol=1e-9, atol=0)
    assert torch.equal(index, torch.from_numpy(which))


def test_a_copy_is_at_distance_zero():
    y = normal(300, 50).float() + 100
    distance, index = nearest(y[::7], y)
    assert (distance == 0).all() and torch.equal(index[:, 0], torch.arange(0, 300, 7))


def test_memorisation_is_mann_and_whitneys():
    train, held_out, fake = normal(80, 2), normal(50, 2, seed=1), 0.8 * normal(60, 2, seed=2)
    found = memorisation(fake, train, held_out)
    brute = torch.cdist(fake, train).min(1)
    torch.testing.assert_close(found.distance, brute.values)
    assert torch.equal(found.index, brute.indices)
    u, p = mannwhitneyu(
        found.held_out_distance,
        found.distance,
        alternative="greater",
        method="asymptotic",
        use_continuity=False,
    )
    assert found.closer == pytest.approx(u / (50 * 60), rel=1e-12)
    assert 0.5 * math.erfc(found.z / math.sqrt(2)) == pytest.approx(p, rel=1e-9)


def test_ties_count_half():
    """Distances 0, 1, 1 against 1, 2: of the six pairs the fake is nearer in 4, and 2 are ties."""
    train = torch.zeros(1, 1)
    found = memorisation(torch.tensor([[0.0], [1.0], [-1.0]]), train, torch.tensor([[1.0], [2.0]]))
    assert found.closer == pytest.approx((4 + 2 / 2) / 6)


def test_copies_are_found_and_honest_draws_are_not():
    """500 of each. z of honest draws is N(0, 1): beyond 5 once in 3.5 million. 20% copies with a little noise
    give z > 5, and a generator that misses the data z < -5."""
    train, held_out, honest = (normal(500, 2, seed=s) for s in (0, 1, 2))
    assert abs(memorisation(honest, train, held_out).z) < 5
    copies = torch.cat([train[:100] + 1e-3 * normal(100, 2, seed=3), honest[100:]])
    found = memorisation(copies, train, held_out)
    assert found.z > 5 and found.closer > 0.58
    assert torch.equal(found.index[:100], torch.arange(100)) and found.distance[:100].max() < 0.006
    assert memorisation(2 * honest, train, held_out).z < -5


def test_z_has_mean_zero_and_width_one_for_honest_draws():
    """300 replicates: mean to 5 standard errors, variance to 5 of its own, each once in 1.7 million."""
    x = normal(300, 100, 2, seed=9)
    z = torch.tensor([memorisation(part[:30], part[30:70], part[70:]).z for part in x])
    assert abs(float(z.mean())) < 5 / math.sqrt(300)
    assert abs(float(z.var()) - 1) < 5 * math.sqrt(2 / 299)


PROGRAM = """
import resource, torch
from ganedu.divergences.mmd import Polynomial
from ganedu.metrics.kernel_distance import mmd2_and_error
from ganedu.metrics.neighbours import nearest, prdc

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

rng = torch.Generator().manual_seed(0)
real, fake = torch.randn(2, 10_000, 16, generator=rng)
before = peak()
found = prdc(real, fake)
nearest(fake, real)
mmd2_and_error(real, fake, Polynomial())
print(peak() - before, found.density, found.coverage)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in kilobytes on Linux alone")
def test_ten_thousand_against_ten_thousand_fit_in_memory():
    """All distances at once are 800 MB, blocks whose memory is not used again as much: in a process of its
    own the peak grows by less than 200 MB (measured: 83)."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    grown, density, coverage = (float(word) for word in done.stdout.split())
    assert grown < 200
    assert abs(density - 1) < 0.05 and abs(coverage - (1 - 2**-5)) < 0.02


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prdc(normal(5, 2), normal(9, 2), 5), "real: expected more than k = 5 points, got 5"),
        (lambda: prdc(normal(9, 2), normal(9, 3)), "fake: expected points of dimension 2, got 3"),
        (lambda: prdc(normal(9, 2), normal(9, 2) * math.inf), "fake: expected finite numbers"),
        (
            lambda: prdc(normal(9, 2, 2), normal(9, 2)),
            r"real: expected shape \(n, d\), n > 0, got \(9, 2, 2\)",
        ),
        (lambda: prdc(normal(9, 2), normal(9, 2), 0), "k: expected an int of at least 1, got 0"),
        (lambda: nearest(normal(9, 2), normal(3, 2), 4), "y: expected at least k = 4 points, got 3"),
    ],
)
def test_what_makes_no_sense_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_far_clusters_do_not_blur_what_is_near():
    """Fakes half a unit beside real points of two clusters at ±1e6, whose radii are a few tenths."""
    real = 0.1 * normal(40, 2) + 1e6 * torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double().repeat(20, 1)
    assert prdc(real, real + torch.tensor([0.0, 1.5]).double(), k=3) == (0.0, 0.0, 0.0, 0.0)
    # One point far off moves the mean, and nothing else.
    x, y = normal(200, 2, seed=1), normal(200, 2, seed=2)
    far = torch.cat([x, torch.full((1, 2), 1e9, dtype=torch.float64)])
    assert prdc(far, y).density == pytest.approx(prdc(x, y).density, abs=0.05)


def test_with_ties_z_is_scipys():
    fake, held_out = normal(60, 1).round(), normal(45, 1, seed=1).round()
    found = memorisation(fake, torch.full((1, 1), 0.3, dtype=torch.float64), held_out)
    p = mannwhitneyu(
        found.distance, found.held_out_distance, alternative="less", method="asymptotic", use_continuity=False
    ).pvalue
    assert 0.5 * math.erfc(found.z / math.sqrt(2)) == pytest.approx(p, rel=1e-9)
    same = memorisation(torch.ones(5, 1), torch.zeros(1, 1), torch.ones(4, 1))
    assert (same.closer, same.z) == (0.5, 0.0)


def test_neighbours_that_a_product_can_not_tell_apart_come_in_order():
    """|x|² + |y|² - 2⟨x, y⟩ has rounded distances of 1e-5 away, a thousand from the middle: those of the
    differences put the candidates in order, and their indices with them."""
    near = 1000 + 1e-5 * normal(20, 2)
    x, y = torch.full((1, 2), 1000.0, dtype=torch.float64), torch.cat([normal(41, 2, seed=1), near])
    distance, index = nearest(x, y, 20)
    exact = (y - x).norm(dim=1).sort(stable=True)
    torch.testing.assert_close(distance[0], exact.values[:20], rtol=1e-12, atol=0)
    assert index[0].tolist() == exact.indices[:20].tolist()


def test_a_block_has_a_row_at_least(monkeypatch):
    monkeypatch.setattr(neighbours, "ENTRIES", 10)
    x, y = normal(7, 2), normal(21, 2, seed=1)
    torch.testing.assert_close(nearest(x, y)[0][:, 0], torch.cdist(x, y).min(1).values)


@pytest.mark.parametrize(
    ("x", "y", "k", "message"),
    [
        (normal(9, 2) * math.nan, normal(9, 2), 1, "x: expected finite"),
        (normal(9, 2), normal(9, 3), 1, "y: expected points of dimension 2, got 3"),
        (normal(9, 2), normal(9, 2), 0, "k: expected an int of at least 1, got 0"),
    ],
)
def test_points_that_have_no_neighbours_are_named(x, y, k, message):
    with pytest.raises(ValueError, match=message):
        nearest(x, y, k)


def test_points_that_are_all_one_are_inside_one_another():
    assert prdc(torch.ones(5, 2), torch.ones(4, 2), 2) == (1.0, 1.0, 5 / 2, 1.0)


def test_fakes_that_are_far_do_not_blur_those_that_are_near():
    real = 0.05 * normal(60, 2)
    fake = torch.cat([0.05 * normal(20, 2, seed=1) + 0.3, normal(40, 2, seed=2) + 1e7])
    assert prdc(real, fake, 3) == pytest.approx(by_loops(real, fake, 3), abs=1e-12)
