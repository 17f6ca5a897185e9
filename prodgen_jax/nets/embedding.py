"""What a denoiser is told beside the picture: the time and the attributes, as one vector."""

from collections.abc import Mapping

from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.nets.blocks import fourier


class Embedding(nnx.Module):
    """Time and attributes as one vector. Each attribute has one row more than values, for 'not said' (-1).

    features: sines and cosines of the time; size: length of the vector.
    """

    def __init__(self, features: int, size: int, attributes: Mapping[str, int], *, rngs: nnx.Rngs):
        self.time1 = nnx.Linear(features, size, rngs=rngs)
        self.time2 = nnx.Linear(size, size, rngs=rngs)
        self.tables = nnx.Dict({a: nnx.Embed(n + 1, size, rngs=rngs) for a, n in attributes.items()})
        self.features = features

    def __call__(self, t: Float[Array, "b"], label: Mapping[str, Int[Array, "b"]]) -> Float[Array, "b e"]:
        emb = self.time2(nnx.silu(self.time1(fourier(1000 * t, self.features))))
        for attribute, table in self.tables.items():
            emb = emb + table(label[attribute] + 1)
        return nnx.silu(emb)
