"""How alike two pictures are to a trained eye: distances in the maps of the feature network's first stages.

The eye is a group of parameters of its own that nobody trains; `training.start` fills it in. It is never the network
that measures: a model that pleased its judge would prove nothing.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.methods import classifier
from prodgen_jax.methods.precision import opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.classifier import TRUNK, Trunk, stage_widths

EYE = "eye"  # the group of its parameters
WIDTH = classifier.Settings().width

Maps = Sequence[Float[Array, "b _ _ _"]]


class Eye:
    """The trunk of a feature network as pure functions of its parameters."""

    def __init__(self, spec: Spec, precision: str = "fp32"):
        self.spec = spec
        self.net = opened(nnx.eval_shape(lambda: self.build(jax.random.key(0))), precision)
        self.widths = stage_widths(spec.size, WIDTH)[:TRUNK]

    def build(self, key) -> Trunk:
        return Trunk(self.spec.size, WIDTH, rngs=nnx.Rngs(params=key))

    def init(self, key):
        return nnx.state(self.build(key), nnx.Param)

    def maps(self, params, x: Float[Array, "b h w 3"]) -> Maps:
        """What it sees of pictures in [-1, 1], the pictures themselves first."""
        return self.net(params[EYE])(x)


def moments(x: Float[Array, "b h w c"]) -> tuple[Float[Array, "b 1 1 c"], Float[Array, "b 1 1 c"]]:
    """Mean and standard deviation of each channel over the picture. Huang & Belongie 2017, eq. 5 and 6."""
    return x.mean((1, 2), keepdims=True), jnp.sqrt(x.var((1, 2), keepdims=True) + 1e-5)


def gram(x: Float[Array, "b h w c"]) -> Float[Array, "b c c"]:
    """Which channels are seen together: their products, averaged over the picture. Gatys 2016, eq. 3."""
    flat = x.reshape(len(x), -1, x.shape[-1])
    return jnp.einsum("bnc,bnd->bcd", flat, flat) / flat.shape[1]


def style_distance(grams: Sequence[Float[Array, "b c c"]], wanted: Sequence[Float[Array, "b c c"]]) -> Float[Array, ""]:
    """How far the Gram matrices of all maps are from those that are wanted, each as a share of its own size.

    Gatys 2016, eq. 4 and 5, with that share in the place of their weights.
    """

    def one(a, b):
        return jnp.mean(jnp.mean((a - b) ** 2, (1, 2)) / jnp.mean(b**2, (1, 2)))

    return sum(one(a, b) for a, b in zip(grams, wanted, strict=True)) / len(wanted)


def content_distance(maps: Maps, wanted: Maps) -> Float[Array, ""]:
    """How far the last map of each stage but the first is from what is wanted, in shares. Gatys 2016, eq. 1."""
    places = range(4, len(wanted), 2) if len(wanted) > 4 else [len(wanted) - 1]
    shares = [jnp.mean((maps[i] - wanted[i]) ** 2) / (jnp.mean(wanted[i] ** 2) + 1e-3) for i in places]
    return sum(shares) / len(shares)


def roughness(x: Float[Array, "b h w c"]) -> Float[Array, ""]:
    """Mean absolute difference of neighboring pixels (total variation)."""
    return jnp.abs(jnp.diff(x, axis=1)).mean() + jnp.abs(jnp.diff(x, axis=2)).mean()
