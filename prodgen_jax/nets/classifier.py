"""A small ConvNet with one head per attribute; its penultimate layer is the feature space of the metrics."""

from collections.abc import Mapping

import jax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.blocks import GroupNorm, conv

COARSEST = 4  # pixels: strided stages are added until a picture is this small


class Stage(nnx.Module):
    """Half the side, then one convolution at that size; each normalized and passed through SiLU."""

    def __init__(self, cin: int, cout: int, *, rngs: nnx.Rngs):
        self.down, self.same = conv(cin, cout, 3, 2, rngs=rngs), conv(cout, cout, 3, rngs=rngs)
        self.norms = nnx.List([GroupNorm(cout, rngs=rngs), GroupNorm(cout, rngs=rngs)])

    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h/2 w/2 o"]:
        x = jax.nn.silu(self.norms[0](self.down(x)))
        return jax.nn.silu(self.norms[1](self.same(x)))


class Classifier(nnx.Module):
    """`size` pixels -> 4 x 4 cells of up to `width * 4` channels -> features -> logits of every head.

    heads: {attribute: number of values}; width: channels of the first stage, doubled by each of the next two;
    features: length of the penultimate layer. `size` must be a multiple of 8.
    """

    def __init__(self, size: int, heads: Mapping[str, int], width: int, features: int, *, rngs: nnx.Rngs):
        stages, channels = [], 3
        while size > COARSEST:
            stages.append(Stage(channels, width * 2 ** min(len(stages), 2), rngs=rngs))
            channels, size = width * 2 ** min(len(stages) - 1, 2), size // 2
        self.stages = nnx.List(stages)
        self.to_features = nnx.Linear(channels * size * size, features, rngs=rngs)
        self.heads = nnx.Dict({name: nnx.Linear(features, n, rngs=rngs) for name, n in heads.items()})

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
