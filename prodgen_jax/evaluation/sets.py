"""Measures between two sets of pictures, given their features: realism, diversity, and a test for any difference.

All take float arrays [n d], one row a picture, and none depends on the order of the rows. What needs all pairs is
done in blocks of rows in float64, so memory grows with n, not with n^2.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Array, Bool, Float

from prodgen_jax.errors import InputError

BLOCK = 1024  # rows of a pairwise table held at once, at most
POINTS, DRAWS = 5, 2  # shares that the line of an extrapolation goes through; random subsets of each
TABLE = 2**23  # numbers of it, at most: 64 MB

Features = Float[Array, "n d"]


def rows_of(x: Features, y: Features, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Both sets as float64; InputError if they cannot be compared."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise InputError(f"features must be [n d] with one d, got {x.shape} and {y.shape}")
    if min(len(x), len(y)) < least:
        raise InputError(f"sets of {len(x)} and {len(y)} rows: this measure needs {least} or more in each")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("features hold NaN or infinity; was the network trained?")
    return x, y


def blocks(n: int, m: int, block: int) -> Iterator[slice]:
    """Rows of a table [n m], so many at a time that a piece of it stays small however large m is."""
    block = min(block, max(1, TABLE // m))
    return (slice(start, start + block) for start in range(0, n, block))


# --- Frechet distance -------------------------------------------------------------------------------------------


def root(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """The symmetric square root of a covariance; rounding's negative eigenvalues count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def frechet_distance(x: Features, y: Features) -> float:
    """Squared Frechet distance of the Gaussians fitted to two sets of features [n d] (Heusel 2017, eq. 6).

    |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)). The last trace is the sum of the singular values of
    C_x^(1/2) C_y^(1/2): real, and stable where n < d leaves the covariances singular. In squared feature units.
    Over this project's own features it is the FCD; only over Inception's would it be the FID.
    """
    x, y = rows_of(x, y)
    cx, cy = (np.atleast_2d(np.cov(z, rowvar=False)) for z in (x, y))
    cross = np.linalg.svd(root(cx) @ root(cy), compute_uv=False).sum()
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(max(shift + np.trace(cx) + np.trace(cy) - 2 * cross, 0.0))


def frechet_infinity(x: Features, y: Features, rng: np.random.Generator) -> tuple[float, float]:
    """The Frechet distance that sets without end would have, and the standard error of extrapolating to it.

    With few pictures the distance is too large, by about a constant over their number (Chong & Forsyth 2020, sec. 3).
    It is measured on random subsets of several shares f of both sets, and the line a + b / f through them is read at
    1 / f = 0. Taking f of both sets, where the paper thins the samples alone, takes away the reference's part of the
    excess as well. The estimate of a distance near 0 may be below 0. Sets of fewer than about 4 d pictures are not
    large enough for the line to be straight: the estimate is then better than the plain distance, but still too large.
    """
    x, y = rows_of(x, y, least=4)
    over = np.repeat(np.linspace(1, 2, POINTS), DRAWS)  # 1 / f, spread evenly on the line's axis

    def thinned(z: np.ndarray, f: float) -> np.ndarray:
        return z[rng.choice(len(z), max(2, round(f * len(z))), replace=False)]

    found = [frechet_distance(thinned(x, 1 / inverse), thinned(y, 1 / inverse)) for inverse in over]
    (_, level), covariance = np.polyfit(over, found, 1, cov=True)
    return float(level), float(np.sqrt(covariance[1, 1]))


# --- kernel distance --------------------------------------------------------------------------------------------


def kernel_sums(x: np.ndarray, y: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column sums of KID's kernel (<x, y> / d + 1)^3."""
    rows, columns = np.zeros(len(x)), np.zeros(len(y))
    for part in blocks(len(x), len(y), block):
        inner = x[part] @ y.T / x.shape[1] + 1
        kernel = inner * inner * inner  # numpy's ** 3 is many times slower
        rows[part] = kernel.sum(1)
        columns += kernel.sum(0)
    return rows, columns


def inner_sums(x: np.ndarray, block: int) -> np.ndarray:
    """Row sums of the kernel of a set with itself, without its diagonal."""
    return kernel_sums(x, x, block)[0] - ((x * x).sum(1) / x.shape[1] + 1) ** 3


def kid(x: Features, y: Features, block: int = BLOCK) -> tuple[float, float]:
    """Kernel distance of two sets [n d], [m d], and its standard error (Binkowski 2018, eq. 4).

    The unbiased estimate of MMD^2 with the cubic kernel, over all pairs at once: it may be below 0. Averaging over
    random subsets, as is often done, estimates the same number with more noise. The error is the jackknife's,
    leaving out one picture at a time; it costs nothing beyond the row sums.
    """
    x, y = rows_of(x, y, least=3)
    n, m = len(x), len(y)
    xx, yy = inner_sums(x, block), inner_sums(y, block)
    xy, yx = kernel_sums(x, y, block)

    def value(xx: np.ndarray, yy: np.ndarray, xy: np.ndarray, n: int, m: int) -> np.ndarray:
        return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)

    full = value(xx.sum(), yy.sum(), xy.sum(), n, m)
    less_x = value(xx.sum() - 2 * xx, yy.sum(), xy.sum() - xy, n - 1, m)
    less_y = value(xx.sum(), yy.sum() - 2 * yy, xy.sum() - yx, n, m - 1)
    variance = (n - 1) * less_x.var() + (m - 1) * less_y.var()
    return float(full), float(np.sqrt(variance))


# --- neighborhoods ----------------------------------------------------------------------------------------------


def distances(x: np.ndarray, y: np.ndarray, block: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of x's rows to all of y's, a block at a time: (rows, [b m])."""
    center = y.mean(0)  # far from the origin the expansion below loses digits
    x, y = x - center, y - center
    norms = (y * y).sum(1)
    for part in blocks(len(x), len(y), block):
        table = x[part] @ y.T
        table *= -2
        table += norms
        table += (x[part] ** 2).sum(1)[:, None]
        yield part, np.maximum(table, 0, out=table)


def radii(x: np.ndarray, k: int, block: int) -> np.ndarray:
    """Squared distance of each row to its k-th nearest other row."""
    found = np.empty(len(x))
    for part, table in distances(x, x, block):
        np.fill_diagonal(table[:, part], np.inf)
        found[part] = np.partition(table, k - 1, axis=1)[:, k - 1]
    return found


def precision_recall(real: Features, fake: Features, k: int = 3, block: int = BLOCK) -> tuple[float, float]:
    """Precision: the share of fakes inside the real manifold. Recall: of reals inside the fakes' (Kynkaanniemi 2019).

    A manifold is the union of balls around a set's points, each reaching to its k-th nearest neighbor (eqs. 1, 2).
    Both in [0, 1]; a set of copies of one picture has recall about 0.
    """
    real, fake = rows_of(real, fake, least=k + 1)
    real_radii, fake_radii = radii(real, k, block), radii(fake, k, block)
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for part, table in distances(fake, real, block):
        precise[part] = (table <= real_radii).any(1)
        recalled |= (table <= fake_radii[part, None]).any(0)
    return float(precise.mean()), float(recalled.mean())


def density_coverage(real: Features, fake: Features, k: int = 5, block: int = BLOCK) -> tuple[float, float]:
    """Density: real balls around an average fake, over k; about 1 for real pictures, and may exceed it.
    Coverage: the share of real balls that hold a fake, in [0, 1] (Naeem 2020, eqs. 4, 5)."""
    real, fake = rows_of(real, fake, least=k + 1)
    real_radii = radii(real, k, block)
    inside, covered = 0, np.zeros(len(real), bool)
    for _, table in distances(fake, real, block):
        within: Bool[np.ndarray, "b n"] = table <= real_radii
        inside += int(within.sum())
        covered |= within.any(0)
    return inside / (k * len(fake)), float(covered.mean())


def nearest(x: Features, y: Features, block: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """For each row of x the nearest row of y, and its distance: (int [n], float64 [n])."""
    x, y = rows_of(x, y, least=1)
    index, found = np.empty(len(x), int), np.empty(len(x))
    for part, table in distances(x, y, block):
        index[part] = table.argmin(1)
        found[part] = np.sqrt(table.min(1))
    return index, found


def two_sample_test(
    x: Features, y: Features, rng: np.random.Generator, draws: int = 999, block: int = BLOCK
) -> tuple[float, float]:
    """Can a nearest neighbor tell the sets apart? (its leave-one-out accuracy, the p-value that it cannot).

    Accuracy is 0.5 for two halves of one set of equal size, 1 for sets that never mix (Lopez-Paz 2017). The p-value
    permutes the labels over the fixed neighbors: with 999 draws it is never below 0.001.
    """
    x, y = rows_of(x, y)
    both, label = np.concatenate([x, y]), np.arange(len(x) + len(y)) < len(x)
    neighbor = np.empty(len(both), int)
    for part, table in distances(both, both, block):
        np.fill_diagonal(table[:, part], np.inf)
        neighbor[part] = table.argmin(1)
    seen = np.mean(label == label[neighbor])
    chance = [np.mean(drawn == drawn[neighbor]) for drawn in (rng.permutation(label) for _ in range(draws))]
    return float(seen), (1 + int(np.sum(chance >= seen))) / (draws + 1)


def vendi(x: Features) -> float:
    """How many different pictures a set [n d] is worth: 1 for copies of one, n for orthogonal ones (Friedman 2023).

    The exponential of the entropy of the eigenvalues of the mean cosine kernel.
    """
    x, _ = rows_of(x, x, least=1)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    values = np.linalg.eigvalsh(x.T @ x / len(x)).clip(1e-300)  # as the n x n kernel's, which are 0 beyond d
    return float(np.exp(-np.sum(values * np.log(values))))
