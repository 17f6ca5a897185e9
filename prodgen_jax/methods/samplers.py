"""From noise to pictures: every sampler is one rule for a step, and one compiled loop plays them all.

Going down a path, x_t obeys dx = x_0(x, t) dalpha + eps(x, t) dsigma, with the denoiser's estimates in the place of
x_0 and eps (the probability flow of Song 2021, written without a derivative). DDIM takes that over a step with both
estimates held, Heun with their averages, DPM-Solver++ with a line through two; ancestral sampling draws instead.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from prodgen_jax.methods.gan import normal
from prodgen_jax.methods.gaussian import Point, mix


class Here(NamedTuple):
    """What a rule knows as it goes from the point `now` to the point `then`; `before` is the one that was left last.

    x0: the estimate from x at `now`; last: the estimate at `before`; noise: a fresh draw. In the first step `before`
    is `now`; in the last one `then` has sigma 0.
    """

    x: Float[Array, "b ..."]
    x0: Float[Array, "b ..."]
    last: Float[Array, "b ..."]
    noise: Float[Array, "b ..."]
    before: Point
    now: Point
    then: Point

    @property
    def eps(self) -> Float[Array, "b ..."]:
        """The noise that agrees with x and x0."""
        return (self.x - self.now.alpha * self.x0) / self.now.sigma


Rule = Callable[[Here, Callable], Array]  # (here, denoise: (x, point) -> x0) -> x at `then`


def ddim(here: Here, denoise: Callable | None = None) -> Float[Array, "b ..."]:
    """x' = alpha' x0 + sigma' eps. DDIM (Song 2021), eq. 12 with sigma = 0. First order."""
    return mix(here.x0, here.eps, here.then)


def ancestral(here: Here, denoise: Callable | None = None) -> Float[Array, "b ..."]:
    """A draw from q(x' | x, x0), for any two times of any path. Ho 2020, eq. 6 and 7."""
    now, then = here.now, here.then
    ratio = now.alpha / then.alpha
    added = now.sigma**2 - (ratio * then.sigma) ** 2  # variance of the noise between the two; Ho's beta
    mean = (then.alpha * added * here.x0 + ratio * then.sigma**2 * here.x) / now.sigma**2
    return mean + jnp.sqrt(added) * then.sigma / now.sigma * here.noise


def euler(here: Here, denoise: Callable | None = None) -> Float[Array, "b ..."]:
    """x' = x + (t' - t) dx/dt. On paths that are straight in t this is DDIM. Liu 2022, section 2.1. First order."""
    velocity = here.now.dalpha * here.x0 + here.now.dsigma * here.eps
    return here.x + (here.then.t - here.now.t) * velocity


def heun(here: Here, denoise: Callable) -> Float[Array, "b ..."]:
    """The trapezoid rule: a DDIM step, then again with the averages of both ends' estimates. Second order.

    On a straight path it is algorithm 1 of Karras 2022. A second evaluation in each step but the last.
    """
    guess, now, then = ddim(here), here.now, here.then

    def correct() -> Array:
        x0 = denoise(guess, then)
        eps = (guess - then.alpha * x0) / then.sigma
        x0, eps = (here.x0 + x0) / 2, (here.eps + eps) / 2
        return here.x + (then.alpha - now.alpha) * x0 + (then.sigma - now.sigma) * eps

    return jax.lax.cond(then.sigma > 0, correct, lambda: guess)


def dpmpp2m(here: Here, denoise: Callable | None = None) -> Float[Array, "b ..."]:
    """DPM-Solver++(2M) (Lu 2022b), algorithm 2: x0 on a line in log(alpha / sigma). Second order, one evaluation.

    First and last step hold x0: there is no estimate before the one, and no finite logarithm at the end of the other.
    """
    before, now, then = (-jnp.log(p.level) for p in (here.before, here.now, here.then))
    ahead = (then - now) / (2 * (now - before))
    x0 = here.x0 + jnp.where((now > before) & (here.then.sigma > 0), ahead, 0.0) * (here.x0 - here.last)
    return here.then.alpha * x0 + here.then.sigma * (here.x - here.now.alpha * x0) / here.now.sigma


def renoise(here: Here, denoise: Callable | None = None) -> Float[Array, "b ..."]:
    """x' = alpha' x0 + sigma' noise, a fresh draw: for estimates that are pictures already. Song 2023, algorithm 1."""
    return mix(here.x0, here.noise, here.then)


SAMPLERS: dict[str, Rule] = {"ancestral": ancestral, "ddim": ddim, "heun": heun, "dpmpp2m": dpmpp2m, "euler": euler}


class Kept(NamedTuple):
    """Pictures to begin from, and what of them stays: `where` is 1 at places that are kept and 0 at others."""

    x0: Float[Array, "b ..."]
    where: Float[Array, "b ..."]


def sample_loop(
    denoise: Callable, rule: Rule, points: Point, keys, shape: tuple[int, ...], kept: Kept | None = None
) -> Float[Array, "b ..."]:
    """From noise at the first of `points` (fields [steps+1]) to pictures at the last, as one compiled loop.

    denoise: (x, point) -> estimate of x_0. keys: one per picture, which decides all that is drawn for it.
    kept: begin from these pictures, with the noise of the first point (SDEdit, Meng 2022), and after each step put what
    is kept back, with the noise of that point (Song 2021, appendix I.2); at the last point it is the picture's own.
    """
    first, later = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key))(keys), 1, 0)
    steps = len(points.t) - 1

    def body(carry, inputs):
        (x, last), (i, before, now, then) = carry, inputs
        x0 = denoise(x, now)
        noise = normal(jax.vmap(lambda key: jax.random.fold_in(key, i))(later), shape)
        x = rule(Here(x, x0, last, noise, before, now, then), denoise)
        return (x if kept is None else jnp.where(kept.where > 0, mix(kept.x0, start, then), x), x0), None

    i = np.arange(steps)
    rows = [Point(*(field[places] for field in points)) for places in (np.maximum(i - 1, 0), i, i + 1)]
    start = normal(first, shape)
    x = points.sigma[0] * start if kept is None else mix(kept.x0, start, Point(*(field[0] for field in points)))
    (x, _), _ = jax.lax.scan(body, (x, jnp.zeros_like(x)), (i, *rows))
    return x
