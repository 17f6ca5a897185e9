"""What a denoiser is told beside the picture: the time, the attributes and a line of words."""

from collections.abc import Mapping

from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.nets.blocks import fourier
from prodgen_jax.nets.layers import Linear
from prodgen_jax.nets.text import TextEncoder, Words


class Embedding(nnx.Module):
    """All of it as one vector, and the words by themselves where there is an encoder for them.

    Each attribute has one row more than values, for 'not said' (-1). features: sines and cosines of the time; size:
    length of the vector.
    """

    def __init__(
        self,
        features: int,
        size: int,
        attributes: Mapping[str, int],
        text: TextEncoder | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        self.time1 = Linear(features, size, rngs=rngs)
        self.time2 = Linear(size, size, rngs=rngs)
        self.tables = nnx.Dict({a: nnx.Embed(n + 1, size, rngs=rngs) for a, n in attributes.items()})
        self.features = features
        self.text = text
        self.line = None if text is None else Linear(text.width, size, rngs=rngs)

    def __call__(
        self, t: Float[Array, "b"], label: Mapping[str, Int[Array, "b ..."]]
    ) -> tuple[Float[Array, "b e"], Words | None]:
        emb = self.time2(nnx.silu(self.time1(fourier(1000 * t, self.features))))
        for attribute, table in self.tables.items():
            emb = emb + table(label[attribute] + 1)
        words = None if self.text is None else self.text(label[self.text.label])
        if words is not None:
            emb = emb + self.line(words.line)
        return nnx.silu(emb), words
