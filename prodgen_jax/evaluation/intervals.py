"""How sure is a number? Intervals for shares, for means over seeds, and for measures of sets."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float
from scipy.special import stdtrit

LEVEL = 0.95  # of all intervals here
Z = 1.959964  # standard normal quantile of that level
RESAMPLES = 40  # subsets behind the interval of a measure: its own error is then about a ninth
MOST = 1000  # pictures of the larger set in a subset, so that time does not grow with the sets
BOUNDS = {"precision": 1.0, "recall": 1.0, "coverage": 1.0, "two_sample_accuracy": 1.0}  # above; all but KIDs are >= 0
SIGNED = ("kid", "fcd_infinity")  # unbiased estimates, which may be below 0


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The interval of a share of `hits` in n (Wilson 1927), which has a width even where none or all are hits."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = hits / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return float(middle - half) if hits else 0.0, float(middle + half) if hits < n else 1.0


def over_seeds(values: Sequence[float]) -> tuple[float, float | None]:
    """(mean, half the width of its interval by Student's t); None with a single value, which tells no spread."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), None
    t = stdtrit(len(values) - 1, 0.5 + LEVEL / 2)
    return float(values.mean()), float(t * values.std(ddof=1) / np.sqrt(len(values)))


def difference(
    one: tuple[float, float | None], other: tuple[float, float | None], seeds: tuple[int, int]
) -> tuple[float, float | None]:
    """(mean of one - mean of the other, half the width of its interval), each as `over_seeds` has it of so many seeds.

    Their spreads need not be alike (Welch 1947). None where either is of a single seed.
    """
    gap, halves = one[0] - other[0], (one[1], other[1])
    if None in halves or not any(halves):
        return gap, None if None in halves else 0.0
    free = np.asarray(seeds) - 1
    errors = np.asarray(halves, float) / stdtrit(free, 0.5 + LEVEL / 2)  # standard errors of the means
    freedom = np.sum(errors**2) ** 2 / np.sum(errors**4 / free)
    return gap, float(stdtrit(freedom, 0.5 + LEVEL / 2) * np.sqrt(np.sum(errors**2)))


def of_measures(
    measure: Callable[..., Mapping[str, float]],
    reference: Float[Array, "n d"],
    found: Float[Array, "m d"],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> dict[str, float]:
    """Half the width of an interval for each measure that `measure(reference, found)` gives.

    By subsampling, the bootstrap without replacement (Politis & Romano 1994): the spread of a measure over random
    subsets of a share f of both sets, times sqrt(f / (1 - f)), is that of the measure over sets of full size. The
    bootstrap with replacement is no use here: a picture drawn twice is its own nearest neighbor, so balls shrink to
    nothing, and covariances lose rank.
    """
    share = min(0.5, MOST / max(len(reference), len(found)))
    sizes = [max(int(share * len(side)), 2) for side in (reference, found)]

    def subset(side: np.ndarray, n: int) -> np.ndarray:
        return side[rng.choice(len(side), n, replace=False)]

    drawn = [measure(subset(reference, sizes[0]), subset(found, sizes[1])) for _ in range(resamples)]
    scale = Z * np.sqrt(share / (1 - share))
    return {key: float(scale * np.std([at[key] for at in drawn], ddof=1)) for key in drawn[0]}


def around(key: str, value: float, half: float) -> tuple[float, float]:
    """The interval, held to what the measure can be."""
    low = value - half if key in SIGNED else max(value - half, 0.0)
    return low, min(value + half, BOUNDS.get(key, np.inf))
