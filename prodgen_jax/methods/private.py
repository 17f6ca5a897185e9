"""Training that tells little of any one photo: DP-SGD (Abadi 2016, algorithm 1), as a change of the method.

Each example's gradient is clipped, the clipped ones are summed, and noise as large as any one of them is added to the
sum. A turn's loss is replaced by one with the same value and that gradient, as `training.accumulate` does it, so that
the step knows nothing of it. What it is worth is counted by `training.privacy`.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Key, PyTree

from prodgen_jax.methods.core import AXIS, Batch, Method, Turn

DRAWN = "drawn"  # in a batch: bool [b], whether a row is an example that was drawn for this step, and not empty
STREAM = 13  # what the first example's key is folded with for the noise
LEAST_NORM = 1e-12


def clipped_sum(grads: PyTree, clip: float, drawn: Bool[Array, "b"]) -> PyTree:
    """The sum over examples (axis 0) of gradients of norm `clip` at most; of rows that were not drawn, nothing.

    As products of matrices: XLA on CPU takes more than twice as long for sums.
    """
    rows = jax.tree.map(lambda g: g.reshape(len(drawn), -1), grads)
    squares = sum(jnp.square(g) @ jnp.ones(g.shape[1], g.dtype) for g in jax.tree.leaves(rows))
    factor = jnp.where(drawn, jnp.minimum(1, clip / jnp.maximum(jnp.sqrt(squares), LEAST_NORM)), 0)
    return jax.tree.map(lambda g, like: (factor @ g).reshape(like.shape[1:]), rows, grads)


def noise_like(key: Key[Array, ""], tree: PyTree, deviation: float) -> PyTree:
    """Independent Gaussian numbers in the tree's shapes."""
    leaves, form = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    return form.unflatten(
        [deviation * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    )


def same_on_all(keys: Key[Array, "b"]) -> Key[Array, ""]:
    """The key of the step's first example, on every device: all add the same noise."""
    first = jax.lax.all_gather(jax.random.key_data(keys[0]), AXIS)[0]
    return jax.random.wrap_key_data(first, impl=jax.random.key_impl(keys))


def without_traces(turn: Turn, noise: float, clip: float, expected: float) -> Turn:
    """The turn whose gradient is (sum of clipped gradients + noise) / expected, over all devices."""

    def loss(params, extra, batch: Batch, keys: Key[Array, "b"], step) -> tuple[Float[Array, ""], tuple]:
        held, batch = jax.lax.stop_gradient(params), dict(batch)
        drawn, shares = batch.pop(DRAWN), jax.lax.axis_size(AXIS)

        def of_one(own: Batch, key: Key[Array, ""]) -> tuple:
            alone = jax.tree.map(lambda x: x[None], (own, key))

            def of(group: PyTree) -> tuple:
                return turn.loss({**held, turn.trains: group}, extra, *alone, step)

            (value, (_, metrics)), grad = jax.value_and_grad(of, has_aux=True)(held[turn.trains])
            return (value, metrics), grad

        seen, grads = jax.vmap(of_one)(batch, keys)
        total = clipped_sum(grads, clip, drawn)
        hiding = noise_like(jax.random.fold_in(same_on_all(keys), STREAM), total, noise * clip)
        grad = jax.tree.map(lambda t, z: (shares * t + z) / expected, total, hiding)  # devices are averaged after this
        value, metrics = jax.tree.map(lambda x: jnp.where(drawn, x, 0).sum() * shares / expected, seen)
        along = jax.tree.map(lambda g, p, q: jnp.sum(g * (p - q)), grad, params[turn.trains], held[turn.trains])
        return value + sum(jax.tree.leaves(along)), (extra, metrics)

    return replace(turn, loss=loss)


def private(method: Method, noise: float, clip: float, expected: float) -> Method:
    """`method`, of one turn whose loss is a mean over examples, and which carries nothing beside its parameters.

    noise: its deviation, in clips. clip: the largest norm of an example's gradient. expected: examples a step, on
    average. Its batches say which of their rows were drawn (`DRAWN`).
    """
    return replace(method, turns=tuple(without_traces(turn, noise, clip, expected) for turn in method.turns))
