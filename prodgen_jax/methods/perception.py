"""How alike two pictures are to a trained eye: distances in the maps of the feature network's first stages (or
of VGG-19's).

The eye is a group of parameters of its own that nobody trains; `training.start` fills it in. It is never the network
that measures: a model that pleased its judge would prove nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.methods import classifier
from prodgen_jax.methods.precision import opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets import vgg
from prodgen_jax.nets.classifier import TRUNK, Trunk, stage_widths

EYE = "eye"  # the group of its parameters
WIDTH = classifier.Settings().width

Maps = Sequence[Float[Array, "b _ _ _"]]


@dataclass(frozen=True)
class EyeSettings:
    """What `--set` reaches of what a method looks through."""

    eye: str = ""  # a file of VGG-19's weights (safetensors, torchvision's names); empty: the set's own feature network


class Level(NamedTuple):
    """A map that says much of its stage: its place among the maps, how many times smaller it is, its channels."""

    place: int
    smaller: int
    width: int


class Eye:
    """What is looked through, as pure functions of its parameters.

    levels: the last map of each stage, finest first. widths: the channels of all maps, the picture's 3 first.
    """

    def __init__(self, spec: Spec, precision: str = "fp32", file: str = ""):
        self.spec, self.file = spec, file
        self.net = opened(nnx.eval_shape(lambda: self.build(jax.random.key(0))), precision)
        own = stage_widths(spec.size, WIDTH)[:TRUNK]
        self.widths = [3, *(width for width in own for _ in range(2))]
        self.levels = [Level(2 * i, 2**i, width) for i, width in enumerate(own, 1)]
        if file:
            self.widths = [3, *(vgg.WIDTHS[i] for i in vgg.SEEN)]
            self.levels = [Level(i + 1, 2**i, self.widths[i + 1]) for i in range(1, len(vgg.SEEN))]

    def build(self, key) -> nnx.Module:
        rngs = nnx.Rngs(params=key)
        return vgg.VGG19(rngs=rngs) if self.file else Trunk(self.spec.size, WIDTH, rngs=rngs)

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
    """How far the last map of each stage but the first is from what is wanted, as a share for each picture, so that
    none depends on the others of its batch. Gatys 2016, eq. 1."""
    places = range(4, len(wanted), 2) if len(wanted) > 4 else [len(wanted) - 1]

    def one(a, b):
        return jnp.mean(jnp.mean((a - b) ** 2, (1, 2, 3)) / (jnp.mean(b**2, (1, 2, 3)) + 1e-3))

    return sum(one(maps[i], wanted[i]) for i in places) / len(places)


def roughness(x: Float[Array, "b h w c"]) -> Float[Array, ""]:
    """Mean absolute difference of neighboring pixels (total variation)."""
    return jnp.abs(jnp.diff(x, axis=1)).mean() + jnp.abs(jnp.diff(x, axis=2)).mean()
