"""Mode collapse measured where the truth is known: a grid of Gaussians, and a bag of equally likely things."""

import numpy as np
import pytest

from prodgen_jax.evaluation.modes import birthday, collisions, modes_met

CENTERS = np.stack(np.meshgrid(np.arange(5), np.arange(5)), -1).reshape(-1, 2).astype(float)
SPREAD = 0.05


def grid(n, modes=25, seed=0):
    rng = np.random.default_rng(seed)
    return CENTERS[rng.integers(modes, size=n)] + rng.normal(0, SPREAD, (n, 2))


@pytest.mark.parametrize("modes", [1, 7, 25])
def test_modes_that_are_met_are_counted(modes):
    met, good = modes_met(grid(2000, modes), CENTERS, 3 * SPREAD)
    assert met == modes and good == pytest.approx(1 - np.exp(-4.5), abs=0.01)  # within 3 deviations in the plane


def test_what_lies_between_modes_is_not_good():
    between = grid(500) + 0.5
    assert modes_met(between, CENTERS, 3 * SPREAD) == (0, 0.0)
    met, good = modes_met(np.concatenate([grid(500), between]), CENTERS, 3 * SPREAD)
    assert met == 25 and good == pytest.approx(0.5, abs=0.02)


def test_collisions_of_gaussians():
    """Two of one Gaussian are within r with probability 1 - exp(-r^2 / 4 s^2), and a pair shares its mode 1 in 25."""
    found = collisions(grid(3000), 2 * SPREAD)
    assert found == pytest.approx((1 - np.exp(-1)) / 25, rel=0.05)
    x = np.random.default_rng(1).normal(size=(40, 3))
    brute = np.mean([np.linalg.norm(x[i] - x[j]) <= 1.5 for i in range(40) for j in range(40) if i != j])
    assert collisions(x, 1.5, block=7) == pytest.approx(brute)


def test_the_birthday_test_counts_a_bag_and_finds_a_year():
    rng = np.random.default_rng(0)
    distinct, batch = birthday(rng.integers(365, size=(4000, 1)), 0.1)
    assert distinct == pytest.approx(365, rel=0.03) and batch == pytest.approx(22.5, abs=0.5)
    bags = [rng.integers(365, size=23) for _ in range(2000)]
    assert np.mean([len(set(bag)) < 23 for bag in bags]) == pytest.approx(0.5, abs=0.05)
    assert birthday(np.arange(10.0)[:, None], 0.1) == (np.inf, np.inf)
