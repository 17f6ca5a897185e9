"""Conditioning that may be left out, and guidance by it while sampling.

While training, attributes are hidden (-1, 'not said') at random, so that one network learns every subset of them.
While sampling, the estimate is moved away from the one that was told nothing (classifier-free guidance, Ho & Salimans
2022), only between two noise levels (Kynkaanniemi 2024), and its contrast may be taken back (Lin 2024).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.errors import InputError
from prodgen_jax.methods.gaussian import Point

Labels = Mapping[str, Int[Array, "b ..."]]  # {attribute: [b], text: [b words]}


@dataclass(frozen=True)
class Guidance:
    """How the estimate of x_0 is guided; level: sigma / alpha, noise in units of the picture."""

    scale: float = 1.0  # 1 is off, above 1 exaggerates what the attributes change
    least: float = 0.0  # level under which nothing is guided
    most: float = float("inf")  # level over which nothing is guided
    rescale: float = 0.0  # share of the lost standard deviation that is given back, 0 to 1

    @property
    def always(self) -> bool:
        return self.least <= 0 and self.most == float("inf")


def check_guidance(g: Guidance, attributes: Mapping[str, int]) -> None:
    """InputError where the numbers cannot be, or where there is nothing to guide by."""
    if not 0 <= g.scale < float("inf"):
        raise InputError(f"guidance={g.scale}: must be a number from 0 on; 1 is off")
    if g.scale != 1 and not attributes:
        raise InputError(f"guidance={g.scale}: this model is not conditional, train it with condition=ATTRIBUTE")
    if not g.least < g.most:
        raise InputError(f"guidance_from={g.least}: must lie below guidance_to={g.most} (noise levels)")
    if not 0 <= g.rescale <= 1:
        raise InputError(f"guidance_rescale={g.rescale}: must lie in 0 to 1")


def hide(keys, label: Labels, together: float, each: float) -> dict[str, Int[Array, "b ..."]]:
    """Labels with -1 where hidden: all of an example's with probability `together`, and each with `each` by itself.

    A caption is hidden in all its words. One attribute alone needs no second draw: `each` counts from two on.
    """
    hidden = jax.vmap(lambda key: jax.random.bernoulli(key, together))(keys)
    share = each if len(label) > 1 else 0.0
    alone = jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, 1), share, (len(label),)))(keys)
    gone = (hidden[:, None] | alone).T
    rows = {name: row.reshape(-1, *(1,) * (label[name].ndim - 1)) for name, row in zip(label, gone, strict=True)}
    return {name: jnp.where(row, -1, label[name]) for name, row in rows.items()}


def blend(
    said: Float[Array, "b ..."], blank: Float[Array, "b ..."], scale: float, rescale: float
) -> Float[Array, "b ..."]:
    """blank + scale (said - blank), then its deviation a share of the way back to that of `said`.

    Ho & Salimans 2022, eq. 6 (their w is scale - 1); Lin 2024, eq. 15 and 16, here on the estimate of x_0.
    """
    guided = blank + scale * (said - blank)
    axes = tuple(range(1, said.ndim))
    ratio = said.std(axes, keepdims=True) / jnp.maximum(guided.std(axes, keepdims=True), 1e-6)
    return guided * (1 - rescale + rescale * ratio) if rescale else guided


def guided(denoise: Callable, label: Labels, g: Guidance) -> Callable:
    """(x, point, labels) -> x_0 becomes (x, point) -> x_0. One evaluation where nothing is guided, else two in one.

    point: one for all pictures, as a sampler has it, or one for each, as training has it.
    """

    def one(x: Array, p: Point) -> Array:
        return denoise(x, p, label)

    def both(x: Array, p: Point) -> Array:
        twice = {name: jnp.concatenate([value, jnp.full_like(value, -1)]) for name, value in label.items()}
        points = Point(*(jnp.concatenate([field, field]) if jnp.ndim(field) else field for field in p))
        said, blank = jnp.split(denoise(jnp.concatenate([x, x]), points, twice), 2)
        return blend(said, blank, g.scale, g.rescale)

    def within(x: Array, p: Point) -> Array:
        here = (g.least <= p.level) & (p.level <= g.most)
        if jnp.ndim(here):
            return jnp.where(here.reshape(-1, *(1,) * (x.ndim - 1)), both(x, p), one(x, p))
        return jax.lax.cond(here, both, one, x, p)

    if g.scale == 1:
        return one
    return both if g.always else within
