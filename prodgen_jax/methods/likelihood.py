"""Likelihoods of 8-bit pictures in bits for each of their numbers, so that models of any kind stand in one table.

A VAE's bound is in `vae`; a denoiser's is here. It is that of the chain which ancestral sampling walks: a code for the
noisiest picture, one for each less noisy picture given the one before, and one for the levels given the last.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key, Shaped

from prodgen_jax.methods.gan import normal
from prodgen_jax.methods.gaussian import Path, Point, mix

HALF_STEP = 1 / 255  # half the distance of two 8-bit levels on [-1, 1]
LOG_SCALES = np.linspace(-7.0, -2.0, 16, dtype=np.float32)  # of the logistic that a chain ends with
MOST, LEAST = 100.0, 2 / 255  # noise levels (sigma / alpha) that a chain visits, down to a step of 8 bits


def log_likelihood(
    x: Float[Array, "b h w c"], mean: Float[Array, "b h w c"], log_scale: Float[Array, "c"]
) -> Float[Array, "b"]:
    """log P of the 8-bit levels under a logistic cut into 256 bins, in nats. PixelCNN++ (Salimans 2017), eq. 2.

    x lies on the 256 levels in [-1, 1]; the outermost bins reach to infinity, so the bins sum to one.
    """
    rate = jnp.exp(-log_scale)
    upper, lower = (x - mean + HALF_STEP) * rate, (x - mean - HALF_STEP) * rate
    inside = upper - lower  # log(sigmoid(a) - sigmoid(b)) = a + log(1 - e^(b-a)) - softplus(a) - softplus(b) with a > b
    middle = upper + jnp.log(-jnp.expm1(-inside)) - nnx.softplus(upper) - nnx.softplus(lower)
    log_p = jnp.where(x < -0.999, -nnx.softplus(-upper), jnp.where(x > 0.999, -nnx.softplus(lower), middle))
    return log_p.sum((1, 2, 3))


def bits_per_dim(nats: Float[Array, "b"], dims: int) -> Float[Array, "b"]:
    """A log-likelihood (or bound) of a picture in nats as bits for each of its numbers."""
    return -nats / (jnp.log(2.0) * dims)


def even_levels(path: Path, times: Shaped[Array, "n"], steps: int) -> Shaped[np.ndarray, "m"]:
    """At most steps + 1 times from the first of `times` down, whose noise levels lie evenly in the logarithm, then 0.

    Where times are whole numbers, there are only so many. A chain of few steps costs least so: what a step costs above
    an endless chain grows with the square of what it does to that logarithm.
    """
    first = float(np.asarray(times)[0])
    if jnp.issubdtype(times.dtype, jnp.integer):
        fine = np.arange(1, int(first) + 1, dtype=np.int32)
    else:
        ends = np.geomspace(1e-5, 0.5, 20_000)
        fine = np.unique(first * np.concatenate([ends, 1 - ends])).astype(np.float32)
    with jax.ensure_compile_time_eval():
        levels = np.log(np.asarray(path(jnp.asarray(fine)).level, np.float64))
    places = np.searchsorted(levels, np.linspace(np.log(MOST), np.log(LEAST), steps - 1))
    chosen = fine[np.unique(np.clip(places, 0, len(fine) - 1))[::-1]]
    return np.concatenate([[first], chosen[chosen < first], [0]]).astype(fine.dtype)


def chain_bound(
    denoise: Callable, points: Point, x: Float[Array, "b h w c"], keys: Key[Array, "b"]
) -> Float[Array, "b"]:
    """A lower bound of log P of 8-bit pictures, in nats: Ho 2020, eq. 5, with Kingma 2021, eq. 13 for its terms.

    denoise: (x_t, point) -> estimate of x_0. points: from noise to the picture (fields [steps+1]; the last has sigma
    0), with signal over noise rising. A step costs |x - estimate|^2 times half of what that ratio gains. The last one
    tells the levels, by a logistic around its estimate; of which scale is what is best for the whole batch, and the
    four bits that say so are not counted.
    """
    axes, steps = tuple(range(1, x.ndim)), len(points.t) - 1

    def at(places) -> Point:
        return Point(*(field[places] for field in points))

    def shown(i, p: Point) -> Float[Array, "b h w c"]:
        noise = normal(jax.vmap(lambda key: jax.random.fold_in(key, i))(keys), x.shape[1:])
        return denoise(mix(x, noise, p), p)

    def step(spent, inputs):
        i, now, then = inputs
        more = ((then.alpha / then.sigma) ** 2 - (now.alpha / now.sigma) ** 2) / 2
        return spent + more * jnp.sum((x - shown(i, now)) ** 2, axes), None

    i, first = np.arange(steps - 1), at(0)
    begun = jnp.sum((first.alpha * x / first.sigma) ** 2, axes) / 2  # the noisiest picture, against noise alone
    spent, _ = jax.lax.scan(step, begun, (i, at(i), at(i + 1)))
    last = shown(steps - 1, at(steps - 1))
    told = jax.vmap(lambda scale: log_likelihood(x, last, jnp.full(x.shape[-1:], scale)))(LOG_SCALES)
    return told[jnp.argmax(told.sum(1))] - spent
