"""Style transfer without a decoder: the picture itself is what is trained (Gatys 2016).

Slow, and the yardstick of what one pass can do. It is played by the same step as every other method: a game of one
whose only group is the pictures, and which asks its batch for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float

from prodgen_jax.methods.core import Method, Turn
from prodgen_jax.methods.perception import Eye, content_distance, gram, roughness, style_distance

PICTURE = "picture"


@dataclass(frozen=True)
class GatysSettings:
    """Weights of the three distances, and the step."""

    style: float = 7.0  # weight of how far the Gram matrices are from the style's, times the strength
    content: float = 1.0  # weight of how far the maps are from the content's
    smooth: float = 0.6  # weight of the total variation, times the strength
    lr: float = 0.05  # Adam's step size, in units of [-1, 1]


def within(low: float, high: float) -> optax.GradientTransformation:
    """Updates that do not lead out of a range."""

    def inside(update: Array, param: Array) -> Array:
        return jnp.clip(param + update, low, high) - param

    return optax.stateless(lambda updates, params: jax.tree.map(inside, updates, params))


def mixed_grams(eye: Eye, params, styles: Float[Array, "n k i j 3"], shares: Float[Array, "n k"]) -> Sequence[Array]:
    """The Gram matrices of each map of a mix of styles."""
    each = [[gram(x) for x in eye.maps(params, styles[:, i])] for i in range(styles.shape[1])]
    return [sum(shares[:, i, None, None] * one for i, one in enumerate(grams)) for grams in zip(*each, strict=True)]


def gatys(
    s: GatysSettings,
    eye: Eye,
    params,
    begin: Float[Array, "n h w 3"],
    content: Float[Array, "n h w 3"],
    wanted: Sequence[Float[Array, "n c c"]],
    strength: float,
) -> Method:
    """Pictures that begin as `begin` and come to look like `content` with the Gram matrices `wanted`.

    params: with the eye's group. At strength 0 nothing pulls at the content but itself. Gatys 2016, eq. 7.
    """
    kept = eye.maps(params, content)

    def loss(own, extra, batch, keys, step):
        del batch, keys, step
        picture = own[PICTURE]
        seen = eye.maps(params, picture)
        apart = style_distance([gram(x) for x in seen], wanted)
        far = content_distance(seen, kept)
        total = s.content * far + strength * (s.style * apart + s.smooth * roughness(picture))
        return total, (extra, {"loss": total, "loss/style": apart, "loss/content": far})

    return Method(
        init=lambda key: ({PICTURE: begin}, {}),
        turns=(Turn(PICTURE, loss),),
        optim={PICTURE: optax.chain(optax.adam(s.lr, b2=0.99), within(-1, 1))},
        sample=lambda params, keys, cond: params[PICTURE],
    )
