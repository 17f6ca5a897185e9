"""Intervals: known values, and that they hold the truth about as often as they say."""

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_ind

from prodgen_jax.evaluation import intervals, sets
from prodgen_jax.evaluation.measures import interval, measure


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (17, 1000)])
def test_wilson_equals_scipy(hits, n):
    expected = binomtest(hits, n).proportion_ci(0.95, "wilson")
    assert intervals.wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert intervals.wilson(0, 0) == (0.0, 1.0)


def test_over_seeds_by_hand():
    mean, half = intervals.over_seeds([1.0, 2.0, 3.0])
    assert mean == 2 and half == pytest.approx(4.302653 / np.sqrt(3), rel=1e-5)  # t of 2 degrees of freedom
    assert intervals.over_seeds([5.0]) == (5.0, None)


def test_a_difference_equals_scipy():
    """Welch's interval, from two means and their own intervals alone; none where a single seed tells no spread."""
    one, other = [11.2, 12.9, 10.4], [16.5, 15.1, 16.3, 14.8]
    gap, half = intervals.difference(*map(intervals.over_seeds, (one, other)), (3, 4))
    wanted = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (gap - half, gap + half) == pytest.approx((wanted.low, wanted.high), rel=1e-6)
    assert intervals.difference((3.0, None), (1.0, 0.5), (1, 3)) == (2.0, None)
    assert intervals.difference((3.0, 0.0), (1.0, 0.0), (2, 2)) == (2.0, 0.0)


def test_subsampling_finds_the_spread_over_draws():
    """The width that one draw gives is the spread over many draws, for measures of all kinds."""
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(150, 6)), rng.normal(0.4, 1.2, size=(120, 6))) for _ in range(30)]
    values = [measure(*pair, rng) for pair in pairs]
    found = [interval(*pair, at, rng, resamples=12) for pair, at in zip(pairs[:4], values, strict=False)]
    for key in ("fcd", "fcd_infinity", "kid", "precision", "recall", "density", "coverage", "vendi"):
        true = np.std([at[key] for at in values], ddof=1)
        said = np.mean([high - low for low, high in (at[key] for at in found)]) / (2 * intervals.Z)
        assert 0.5 < said / true < 2, (key, said, true)


def test_intervals_keep_to_what_is_possible():
    assert intervals.around("precision", 0.98, 0.1) == (0.88, 1.0)
    assert intervals.around("fcd", 1.0, 2.0)[0] == 0 and intervals.around("kid", 1.0, 2.0)[0] == -1


def test_same_seed_same_interval():
    x, y = np.random.default_rng(1).normal(size=(2, 80, 4))
    values = measure(x, y, np.random.default_rng(0))
    one, two = (interval(x, y, values, np.random.default_rng(7), resamples=3) for _ in range(2))
    assert one == two and set(one) == set(values) - {"kid_stderr", "fcd_infinity_stderr", "two_sample_p"}


def test_extrapolation_takes_the_excess_away():
    """Gaussians whose distance is known: |m|^2 = 1. Few draws overstate it, the extrapolation does not."""
    rng, shift = np.random.default_rng(0), np.eye(1, 12)[0]
    plain, beyond = [], []
    for _ in range(20):
        x, y = rng.normal(size=(200, 12)), rng.normal(size=(200, 12)) + shift
        plain.append(sets.frechet_distance(x, y))
        beyond.append(sets.frechet_infinity(x, y, rng)[0])
    assert np.mean(plain) > 1.2 and abs(np.mean(beyond) - 1) < 0.08
