"""Dropout (Srivastava 2014) from keys of the examples: what is dropped does not depend on who shares the batch."""

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Key


def streams(keys: Key[Array, "b"] | None) -> Iterator[Key[Array, "b"] | None]:
    """Keys for one block of a network after another; None for each where there are none."""
    for place in itertools.count():
        yield None if keys is None else jax.vmap(lambda key, place=place: jax.random.fold_in(key, place))(keys)


def dropout(x: Float[Array, "b ..."], keys: Key[Array, "b"] | None, rate: float) -> Float[Array, "b ..."]:
    """x with a share `rate` of its numbers at 0 and the rest scaled up to the same mean; without keys x itself."""
    if keys is None or not rate:
        return x
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, x.shape[1:]))(keys)
    return jnp.where(kept, x / (1 - rate), 0)
