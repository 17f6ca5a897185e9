"""A pool of pictures made before, that critics are shown in the place of some new ones, so that they do not forget.

Shrivastava 2017, section 2.3; CycleGAN (Zhu 2017), section 4. It is carried in `extra`, which is averaged over devices
and over parts of a batch; pictures must never be. So each of a step's examples has a place of its own in the pool, and
what it changes there is weighed such that the average of all parts' pools is the pool with every change made once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Key


class Pool(NamedTuple):
    """pictures [p h w c], and which places hold one, [p]: 1.0 or 0.0."""

    pictures: Float[Array, "p h w c"]
    filled: Float[Array, "p"]


def empty(size: int, shape: tuple[int, ...]) -> Pool:
    return Pool(jnp.zeros((size, *shape)), jnp.zeros(size))


def exchange(
    pool: Pool, made: Float[Array, "b h w c"], keys: Key[Array, "b"], place: Int[Array, "b 2"], step: Int[Array, ""]
) -> tuple[Float[Array, "b h w c"], Pool]:
    """(pictures to show, the pool afterwards). An example is shown as it is, or by an even chance as what its place
    holds, which it then takes; a place that holds none takes it and shows it.

    place: `core.PLACE`. The examples of a step go to places that follow those of the step before, round and round;
    where a step has more of them than the pool has places, the rest is shown as it is. The returned pool is this
    part's: the mean over all parts of a step is right.
    """
    size = len(pool.filled)
    number, of = place[:, 0], place[0, 1]
    own = ((step % size) * (of % size) + number) % size
    held, within = pool.filled[own] > 0.5, number < size
    chance = jax.vmap(jax.random.bernoulli)(keys)

    def where(yes: Array) -> Float[Array, "b 1 1 1"]:
        return yes.astype(made.dtype)[:, None, None, None]

    old, swap, take = pool.pictures[own], held & within & chance, within & (chance | ~held)
    shown = jnp.where(where(swap) > 0, old, made)
    parts = of / len(made)  # of which each counts for so much less in the mean
    return shown, Pool(
        pool.pictures.at[own].add(parts * where(take) * (made - old)),
        pool.filled.at[own].add(parts * (take & ~held)),
    )
