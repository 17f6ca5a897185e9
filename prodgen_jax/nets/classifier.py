"""A small ConvNet with one head per attribute: its penultimate layer is the feature space of the metrics, and its first
stages are what perceptual losses look through."""

from collections.abc import Mapping

import jax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.blocks import GroupNorm
from prodgen_jax.nets.layers import Linear, conv

COARSEST = 4  # pixels: strided stages are added until a picture is this small
TRUNK = 3  # stages of the trunk, or as many as there are


class Stage(nnx.Module):
    """Half the side, then one convolution at that size; each normalized and passed through SiLU."""

    def __init__(self, cin: int, cout: int, *, rngs: nnx.Rngs):
        self.down, self.same = conv(cin, cout, 3, 2, rngs=rngs), conv(cout, cout, 3, rngs=rngs)
        self.norms = nnx.List([GroupNorm(cout, rngs=rngs), GroupNorm(cout, rngs=rngs)])

    def maps(self, x: Float[Array, "b h w i"]) -> tuple[Float[Array, "b h/2 w/2 o"], Float[Array, "b h/2 w/2 o"]]:
        """What each of the two convolutions sees."""
        first = jax.nn.silu(self.norms[0](self.down(x)))
        return first, jax.nn.silu(self.norms[1](self.same(first)))

    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h/2 w/2 o"]:
        return self.maps(x)[1]


def stage_widths(size: int, width: int) -> list[int]:
    """The channels of every stage."""
    n = 0
    while size > COARSEST:
        n, size = n + 1, size // 2
    return [width * 2 ** min(i, 2) for i in range(n)]


def stages(widths: list[int], channels: int = 3, *, rngs: nnx.Rngs) -> nnx.List:
    return nnx.List([Stage(*pair, rngs=rngs) for pair in zip([channels, *widths], widths, strict=False)])


class Trunk(nnx.Module):
    """The first stages of a `Classifier` with their parameters' names: pictures of any size to what each layer sees."""

    def __init__(self, size: int, width: int, *, rngs: nnx.Rngs):
        self.stages = stages(stage_widths(size, width)[:TRUNK], rngs=rngs)

    def __call__(self, x: Float[Array, "b h w 3"]) -> list[Float[Array, "b _ _ _"]]:
        """The picture, then two maps of 1/2, two of 1/4 and two of 1/8 of its side."""
        found = [x]
        for stage in self.stages:
            found.extend(stage.maps(found[-1]))
        return found


class Classifier(nnx.Module):
    """`size` pixels -> 4 x 4 cells of up to `width * 4` channels -> features -> logits of every head.

    heads: {attribute: number of values}; width: channels of the first stage, doubled by each of the next two;
    features: length of the penultimate layer. `size` must be a multiple of 8.
    """

    def __init__(self, size: int, heads: Mapping[str, int], width: int, features: int, *, rngs: nnx.Rngs):
        widths = stage_widths(size, width)
        side = size // 2 ** len(widths)
        self.stages = stages(widths, rngs=rngs)
        self.to_features = Linear([3, *widths][-1] * side * side, features, rngs=rngs)
        self.heads = nnx.Dict({name: Linear(features, n, rngs=rngs) for name, n in heads.items()})

    def features(self, x: Float[Array, "b h w 3"]) -> Float[Array, "b features"]:
        """Of pictures in [-1, 1]."""
        for stage in self.stages:
            x = stage(x)
        return jax.nn.silu(self.to_features(x.reshape(len(x), -1)))

    def read(self, features: Float[Array, "b features"]) -> dict[str, Float[Array, "b values"]]:
        """The logits of each head, from features."""
        return {name: head(features) for name, head in self.heads.items()}

    def __call__(self, x: Float[Array, "b h w 3"]) -> dict[str, Float[Array, "b values"]]:
        """The logits of each head, from pictures in [-1, 1]."""
        return self.read(self.features(x))
