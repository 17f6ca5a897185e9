"""DCGAN's networks that are told attributes, any of which may be missing (-1).

The generator hears them as gain and shift of its normalized maps (de Vries 2017, Miyato & Koyama 2018), the critic as a
projection: how well the picture's features point along each value's vector (Miyato & Koyama 2018, eq. 3).
"""

from collections.abc import Mapping

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.nets.dcgan import Discriminator, Generator
from prodgen_jax.nets.layers import Linear

Label = Mapping[str, Int[Array, "b"]]  # {attribute: index of the value, -1 where it is not said}


class Film(nnx.Module):
    """x * (1 + gain) + shift, both linear in a vector (Perez 2018). It starts as the identity."""

    def __init__(self, embedding: int, channels: int, *, rngs: nnx.Rngs):
        self.film = Linear(embedding, 2 * channels, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"], emb: Float[Array, "b e"]) -> Float[Array, "b h w c"]:
        gain, shift = jnp.split(self.film(emb)[:, None, None], 2, axis=-1)
        return x * (1 + gain) + shift


class ConditionalGenerator(nnx.Module):
    """`Generator` whose norms are conditional. Attributes are summed to one vector; 'not said' has a row of its own."""

    def __init__(self, net: Generator, attributes: Mapping[str, int], embedding: int, *, rngs: nnx.Rngs):
        self.net = net
        self.tables = nnx.Dict({name: nnx.Embed(n + 1, embedding, rngs=rngs) for name, n in attributes.items()})
        self.films = nnx.List([Film(embedding, norm.scale.shape[0], rngs=rngs) for norm in net.norms])

    def __call__(self, z: Float[Array, "b z"], label: Label) -> Float[Array, "b h w c"]:
        emb = sum(table(label[name] + 1) for name, table in self.tables.items())
        return self.net(z, [lambda x, film=film: film(x, emb) for film in self.films])


class ConditionalDiscriminator(nnx.Module):
    """D(x, y) = out(f(x)) + sum over the attributes that are said of <table_a[y_a], f(x)>."""

    def __init__(self, net: Discriminator, attributes: Mapping[str, int], *, rngs: nnx.Rngs):
        self.net = net
        features = net.out.in_features
        self.tables = nnx.Dict({name: nnx.Embed(n, features, rngs=rngs) for name, n in attributes.items()})

    def seen(self, x: Float[Array, "b h w c"]) -> Float[Array, "b f"]:
        """As the network's, which is told nothing."""
        return self.net.seen(x)

    def __call__(self, x: Float[Array, "b h w c"], label: Label) -> Float[Array, "b"]:
        features = self.net.features(x)
        answer = self.net.out(features)[:, 0]
        for name, table in self.tables.items():
            match = jnp.sum(table(jnp.maximum(label[name], 0)) * features, axis=-1)
            answer = answer + jnp.where(label[name] >= 0, match, 0.0)
        return answer
