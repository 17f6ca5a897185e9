"""Mode collapse, found where the answer is known and where it is not: modes that are met, and the birthday test."""

import numpy as np
from jaxtyping import Array, Float

from prodgen_jax.evaluation.sets import BLOCK, distances, nearest, rows_of


def modes_met(x: Float[Array, "n d"], centers: Float[Array, "k d"], radius: float) -> tuple[int, float]:
    """(how many centers have a sample within `radius` and nearest to them, the share of samples so near to one).

    The measure of the 25 Gaussians on a grid (VEEGAN, Srivastava 2017, section 4), with radius 3 standard deviations.
    """
    index, distance = nearest(x, centers)
    near = distance <= radius
    return len(np.unique(index[near])), float(near.mean())


def collisions(x: Float[Array, "n d"], radius: float, block: int = BLOCK) -> float:
    """The share of pairs of samples that lie within `radius` of each other: chance that two draws are the same."""
    x, _ = rows_of(x, x)
    near = sum(int((table <= radius**2).sum()) for _, table in distances(x, x, block)) - len(x)
    return near / (len(x) * (len(x) - 1))


def birthday(x: Float[Array, "n d"], radius: float) -> tuple[float, float]:
    """(how many different pictures a set [n d] acts as if drawn from, the batch that holds a pair half of the time).

    Arora & Zhang 2018: in a batch of s draws from N equally likely pictures there is a pair with probability
    1 - exp(-s^2 / 2N), about. N is read here from all pairs at once, 1 over the chance that two are the same. Both
    are infinite where no pair is, and comparable between sets measured with the same radius alone.
    """
    chance = collisions(x, radius)
    distinct = 1 / chance if chance else np.inf
    return float(distinct), float(np.sqrt(2 * np.log(2) * distinct))
