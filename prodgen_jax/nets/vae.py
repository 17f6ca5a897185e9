"""The convolutional encoder and decoder of a variational autoencoder."""

from collections.abc import Mapping

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.nets.blocks import GroupNorm, affine_silu
from prodgen_jax.nets.dcgan import SEED, doublings
from prodgen_jax.nets.layers import ConvTranspose, Linear, conv


class Encoder(nnx.Module):
    """Picture -> mean and log-variance of its latent vector. told: numbers that describe what is said of it."""

    def __init__(self, size: int, channels: int, latent: int, width: int, told: int = 0, *, rngs: nnx.Rngs):
        widths = [width * 2**i for i in range(doublings(size))]
        self.downs = nnx.List(
            [conv(a, b, 4, 2, rngs=rngs) for a, b in zip([channels, *widths[:-1]], widths, strict=True)]
        )
        self.norms = nnx.List([GroupNorm(w, rngs=rngs) for w in widths])
        self.out = Linear(SEED * SEED * widths[-1] + told, 2 * latent, rngs=rngs)

    def __call__(
        self, x: Float[Array, "b h w c"], *said: Float[Array, "b e"]
    ) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = down(x)
            x = affine_silu(x, *norm.affine(x))
        features = jnp.concatenate([x.reshape(x.shape[0], -1), *said], axis=-1)
        return tuple(jnp.split(self.out(features), 2, axis=-1))


class Decoder(nnx.Module):
    """Latent vector -> the mean of every pixel in [-1, 1], and one log-scale per channel shared by all pixels.

    Learning the scale balances reconstruction against KL without a weight set by hand (sigma-VAE, Rybkin 2021).
    told: numbers that describe what is said of the picture.
    """

    def __init__(self, size: int, channels: int, latent: int, width: int, told: int = 0, *, rngs: nnx.Rngs):
        widths = [width * 2**i for i in reversed(range(doublings(size)))]
        self.project = Linear(latent + told, SEED * SEED * widths[0], rngs=rngs)
        self.norms = nnx.List([GroupNorm(w, rngs=rngs) for w in widths])
        self.ups = nnx.List(
            [ConvTranspose(a, b, rngs=rngs) for a, b in zip(widths, [*widths[1:], channels], strict=True)]
        )
        self.log_scale = nnx.Param(jnp.full(channels, -2.0))
        self.seed_width = widths[0]

    def __call__(
        self, z: Float[Array, "b z"], *said: Float[Array, "b e"]
    ) -> tuple[Float[Array, "b h w c"], Float[Array, "c"]]:
        x = self.project(jnp.concatenate([z, *said], axis=-1)).reshape(-1, SEED, SEED, self.seed_width)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(affine_silu(x, *norm.affine(x)))
        return nnx.tanh(x), self.log_scale[...]


class LabelEmbedding(nnx.Module):
    """Attributes, any of which may be missing (-1), as one vector: the sum of a row of each one's table."""

    def __init__(self, attributes: Mapping[str, int], size: int, *, rngs: nnx.Rngs):
        self.tables = nnx.Dict({name: nnx.Embed(n + 1, size, rngs=rngs) for name, n in attributes.items()})

    def __call__(self, label: Mapping[str, Int[Array, "b"]]) -> Float[Array, "b e"]:
        return sum(table(label[name] + 1) for name, table in self.tables.items())
