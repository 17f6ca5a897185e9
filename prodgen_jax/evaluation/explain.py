"""Which pixels make a network say what it says, and whether they really do (D10).

Integrated gradients (Sundararajan 2017) share out the difference between a picture's score and that of an empty one
among its pixels. A deletion curve (Petsiuk 2018) puts an explanation to the test: whiten the pixels it names first,
and the score must fall sooner than if they are whitened at random.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, UInt8

from prodgen_jax.data.images import to_signed
from prodgen_jax.errors import InputError
from prodgen_jax.methods import classifier
from prodgen_jax.methods.precision import opened
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.features import FeatureNetwork

WHITE = 1.0  # an empty picture: a shop's ground
STEPS, PARTS = 32, 16  # points of a path; pieces in which pixels are whitened

Score = Callable[[Float[Array, "b h w c"]], Float[Array, "b"]]  # of pictures in [-1, 1]


def reader(network: FeatureNetwork, attribute: str) -> Callable[[Float[Array, "b h w 3"]], Float[Array, "b values"]]:
    """The log-probabilities that a network gives an attribute's values, in the order of `settings.classes`, as a
    function of pictures in [-1, 1]. InputError where it does not read the attribute."""
    known = network.settings.classes
    if attribute not in known:
        raise InputError(f"{attribute}: the network reads {', '.join(known)}")
    shape = nnx.eval_shape(lambda: classifier.network(network.settings, network.spec, jax.random.key(0)))
    net = opened(shape)(network.params)
    return lambda images: jax.nn.log_softmax(net(images)[attribute])


def integrated_gradients(score: Score, images: UInt8[Array, "b h w c"], steps: int = STEPS) -> Float[Array, "b h w"]:
    """Each pixel's share of score(picture) - score(white picture); shares add up to it, but for the `steps` of the sum.

    (x - x0) times the mean of the score's gradient along the straight path from white x0 to x: Sundararajan 2017, eq. 1
    and 3, by midpoints.
    """
    x = to_signed(jnp.asarray(images))
    gradient = jitted(jax.grad(lambda x: score(x).sum()))
    along = sum(gradient(WHITE + (i + 0.5) / steps * (x - WHITE)) for i in range(steps))  # a loop in XLA is slow on CPU
    return ((x - WHITE) * along / steps).sum(-1)


def deletion_curve(
    score: Score, images: UInt8[Array, "b h w c"], ranking: Float[Array, "b h w"], parts: int = PARTS
) -> Float[np.ndarray, "parts+1 b"]:
    """The score as the pixels are whitened in `parts` equal pieces, those with the largest ranking first."""
    x, score = to_signed(jnp.asarray(images)), jitted(score)
    b, h, w, _ = x.shape
    places = np.argsort(np.argsort(-np.asarray(ranking).reshape(b, -1), axis=1, kind="stable"), axis=1).reshape(b, h, w)
    found = []
    for part in range(parts + 1):
        gone = places < part * h * w // parts
        found.append(np.asarray(score(jnp.where(gone[..., None], WHITE, x))))
    return np.stack(found)
