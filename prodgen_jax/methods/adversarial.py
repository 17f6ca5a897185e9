"""The worst pictures within a small ball around given ones, and training on those (S6).

This is no augmentation. A turned photo is another photo of the same goods; an adversarial example is the one picture
that a network judges worst among all that look alike, found by following the network's own gradient.
"""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Key

from prodgen_jax.methods.core import Method
from prodgen_jax.methods.gan import fold

STREAM = 12  # what an example's key is folded with for the place in the ball where the search begins
REACH = 2.5  # radii that all ascents could go together, so that a search gets from any place in the ball to any other


def worst_within(
    loss: Callable[[Array], Float[Array, ""]],
    x: Float[Array, "b ..."],
    radius: float | Float[Array, ""],
    steps: int = 1,
    keys: Key[Array, "b"] | None = None,
) -> Float[Array, "b ..."]:
    """Pictures in [-1, 1] whose numbers are within `radius` of those of x, of the largest loss that is found.

    steps: of ascent along the gradient's signs. One without keys is the fast gradient sign method (Goodfellow 2015,
    section 4); several, each followed by a projection onto the ball, are projected gradient descent (Madry 2018,
    section 2.1), which begins at a random place in it where there are keys. loss: a sum or mean over examples.
    """
    low, high = jnp.maximum(x - radius, -1), jnp.minimum(x + radius, 1)
    reach = radius if steps == 1 else REACH * radius / steps
    at = x
    if keys is not None:
        start = jax.vmap(lambda key: jax.random.uniform(key, x.shape[1:], minval=-radius, maxval=radius))(keys)
        at = jnp.clip(x + start, low, high)
    for _ in range(steps):  # not as a loop of XLA, in which convolutions on CPU are several times as slow
        at = jnp.clip(at + reach * jnp.sign(jax.grad(loss)(at)), low, high)
    return jax.lax.stop_gradient(at)


def hardened(method: Method, radius: float, steps: int = 4) -> Method:
    """`method` whose turns see the worst pictures near those of the batch. Madry 2018, eq. 2.1.

    A step costs about as much as 1 + `steps` of the method's own.
    """

    def on_worst(own: Callable) -> Callable:
        def loss(params, extra, batch, keys, step):
            still = jax.lax.stop_gradient(params)

            def harm(x: Array) -> Array:
                return own(still, extra, {**batch, "image": x}, keys, step)[0]

            worst = worst_within(harm, batch["image"], radius, steps, fold(keys, STREAM))
            return own(params, extra, {**batch, "image": worst}, keys, step)

        return loss

    return replace(method, turns=tuple(replace(turn, loss=on_worst(turn.loss)) for turn in method.turns))
