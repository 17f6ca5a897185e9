"""Set measures against closed forms, outside implementations and cases worked by hand."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import sets


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def pair(rng, n=300, m=250, d=12):
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)), rng.normal(1, 2, size=(m, d))


def test_frechet_of_a_set_with_itself_is_zero(rng):
    x, _ = pair(rng)
    assert sets.frechet_distance(x, x) < 1e-9 * x.var(0).sum()
    few = rng.normal(size=(8, 40))  # singular covariance
    assert sets.frechet_distance(few, few) < 1e-9


def test_frechet_closed_form():
    """Diagonal Gaussians: |m|^2 + sum (s - t)^2. The samples have exactly these moments."""
    signs = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)] * 2) / np.sqrt(8 / 7)  # unbiased variance 1
    s, t, m = np.array([2.0, 0.5]), np.array([1.0, 3.0]), np.array([1.0, -2.0])
    expected = (m**2).sum() + ((s - t) ** 2).sum()
    assert sets.frechet_distance(signs * s, signs * t + m) == pytest.approx(expected, rel=1e-10)


def test_frechet_equals_sqrtm(rng):
    x, y = pair(rng)
    cx, cy = np.cov(x.T), np.cov(y.T)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cx + cy - 2 * np.real(sqrtm(cx @ cy)))
    assert sets.frechet_distance(x, y) == pytest.approx(expected, rel=1e-8)


def test_kid_equals_its_definition_and_jackknife(rng):
    x, y = pair(rng, 20, 15, 4)

    def mmd(x, y):
        def k(a, b):
            return (a @ b.T / 4 + 1) ** 3

        off = [(k(z, z).sum() - np.trace(k(z, z))) / (len(z) * (len(z) - 1)) for z in (x, y)]
        return sum(off) - 2 * k(x, y).mean()

    value, stderr = sets.kid(x, y, block=7)
    assert value == pytest.approx(mmd(x, y), rel=1e-10)
    left = np.array([mmd(np.delete(x, i, 0), y) for i in range(20)])
    right = np.array([mmd(x, np.delete(y, i, 0)) for i in range(15)])
    assert stderr == pytest.approx(np.sqrt(19 * left.var() + 14 * right.var()), rel=1e-8)


def test_kid_error_is_the_spread_over_draws(rng):
    found = np.array([sets.kid(rng.normal(size=(150, 8)), rng.normal(0.5, 1, size=(150, 8))) for _ in range(60)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.35)


def test_precision_recall_by_hand():
    """Four reals at 0 1 2 3, four fakes at 2.4 3.4 9 10 on a line; k = 1.

    Real radii are 1: fakes 2.4 and 3.4 lie inside a real ball, so precision is 1/2. Fake radii are 1: balls
    [1.4, 3.4], [2.4, 4.4], [8, 10], [9, 11] hold the reals 2 and 3, so recall is 1/2. The balls of 2 and 3 hold the
    fakes 2.4 (both) and 3.4 (one): density 3 / (1 * 4), coverage 2/4.
    """
    real, fake = (np.array(v, float)[:, None] for v in ([0, 1, 2, 3], [2.4, 3.4, 9, 10]))
    assert sets.precision_recall(real, fake, k=1) == (0.5, 0.5)
    assert sets.density_coverage(real, fake, k=1) == (0.75, 0.5)


def test_neighborhoods_equal_brute_force(rng):
    real, fake = rng.normal(size=(90, 5)), rng.normal(0.3, 1.1, size=(70, 5))

    def table(a, b):
        return np.linalg.norm(a[:, None] - b[None], axis=-1)

    for k in (3, 5):
        real_r, fake_r = (np.sort(table(z, z))[:, k] for z in (real, fake))
        between = table(real, fake)
        precision = (between <= real_r[:, None]).any(0).mean()
        recall = (between <= fake_r[None]).any(1).mean()
        density = (between <= real_r[:, None]).sum() / (k * 70)
        coverage = (between.min(1) <= real_r).mean()
        assert sets.precision_recall(real, fake, k) == pytest.approx((precision, recall))
        assert sets.density_coverage(real, fake, k) == pytest.approx((density, coverage))


def test_neighborhoods_equal_their_authors_package():
    """The numbers that `prdc.compute_prdc(x, y, k)` of prdc 0.2 gives for these points (Naeem 2020)."""
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(80, 4)), 0.8 * rng.normal(size=(60, 4)) + 0.5
    assert sets.precision_recall(x, y, k=3) == pytest.approx((0.9333333333, 0.7125))
    assert sets.precision_recall(x, y, k=5) == pytest.approx((0.9666666667, 0.8125))
    assert sets.density_coverage(x, y, k=3) == pytest.approx((1.0222222222, 0.625))
    assert sets.density_coverage(x, y, k=5) == pytest.approx((1.0866666667, 0.7625))


@pytest.mark.parametrize("measure", [sets.precision_recall, sets.density_coverage, sets.kid])
def test_blocks_equal_one_piece(rng, measure):
    x, y = pair(rng)
    assert measure(x, y, block=33) == pytest.approx(measure(x, y, block=10_000), rel=1e-10)


def test_order_does_not_matter(rng):
    x, y = pair(rng)
    p, q = x[rng.permutation(len(x))], y[rng.permutation(len(y))]
    for measure in (sets.frechet_distance, sets.kid, sets.precision_recall, sets.density_coverage):
        assert measure(x, y) == pytest.approx(measure(p, q), rel=1e-8)


def test_copies_of_one_picture_have_no_variety(rng):
    real = rng.normal(size=(200, 6))
    copies = np.tile(real[:1], (200, 1))
    precision, recall = sets.precision_recall(real, copies)
    assert precision == 1 and recall <= 1 / 200
    assert sets.density_coverage(real, copies)[1] < 0.1
    assert sets.vendi(copies) == pytest.approx(1)
    assert sets.vendi(np.eye(6)) == pytest.approx(6)


def test_two_sample_test_finds_a_shift_and_no_more(rng):
    x, y = rng.normal(size=(200, 4)), rng.normal(size=(200, 4))
    accuracy, p = sets.two_sample_test(x, y, rng)
    assert 0.4 < accuracy < 0.6 and p > 0.01
    accuracy, p = sets.two_sample_test(x, y + 2, rng)
    assert accuracy > 0.8 and p == pytest.approx(0.001)


def test_nearest(rng):
    y = rng.normal(size=(50, 3))
    row, distance = sets.nearest(y[[7, 3]] + 1e-6, y, block=1)
    assert row.tolist() == [7, 3] and distance.max() < 1e-5


@pytest.mark.parametrize(
    "x, y, word",
    [
        (np.zeros((5, 2)), np.zeros((5, 3)), "one d"),
        (np.zeros((5, 2)), np.zeros((1, 2)), "or more"),
        (np.zeros((5, 2)), np.full((5, 2), np.nan), "NaN"),
    ],
)
def test_bad_features_are_refused(x, y, word):
    with pytest.raises(InputError, match=word):
        sets.frechet_distance(x, y)


def test_no_piece_of_a_table_is_large():
    """50,000 against 50,000 never stand in memory at once, and every row has its turn."""
    pieces = list(sets.blocks(50_000, 50_000, sets.BLOCK))
    assert max(piece.stop - piece.start for piece in pieces) * 50_000 <= sets.TABLE
    assert [piece.start for piece in pieces] == list(range(0, 50_000, pieces[0].stop))
    assert next(sets.blocks(10, 10**9, sets.BLOCK)) == slice(0, 1)
