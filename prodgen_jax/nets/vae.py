"""The convolutional encoder and decoder of a variational autoencoder."""

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.blocks import ConvTranspose, GroupNorm, affine_silu, conv
from prodgen_jax.nets.dcgan import SEED, doublings


class Encoder(nnx.Module):
    """Picture -> mean and log-variance of its latent vector."""

    def __init__(self, size: int, channels: int, latent: int, width: int, *, rngs: nnx.Rngs):
        widths = [width * 2**i for i in range(doublings(size))]
        self.downs = nnx.List(
            [conv(a, b, 4, 2, rngs=rngs) for a, b in zip([channels, *widths[:-1]], widths, strict=True)]
        )
        self.norms = nnx.List([GroupNorm(w, rngs=rngs) for w in widths])
        self.out = nnx.Linear(SEED * SEED * widths[-1], 2 * latent, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = down(x)
            x = affine_silu(x, *norm.affine(x))
        return tuple(jnp.split(self.out(x.reshape(x.shape[0], -1)), 2, axis=-1))


class Decoder(nnx.Module):
    """Latent vector -> the mean of every pixel in [-1, 1], and one log-scale per channel shared by all pixels.

    Learning the scale balances reconstruction against KL without a weight set by hand (sigma-VAE, Rybkin 2021).
    """

    def __init__(self, size: int, channels: int, latent: int, width: int, *, rngs: nnx.Rngs):
        widths = [width * 2**i for i in reversed(range(doublings(size)))]
        self.project = nnx.Linear(latent, SEED * SEED * widths[0], rngs=rngs)
        self.norms = nnx.List([GroupNorm(w, rngs=rngs) for w in widths])
        self.ups = nnx.List(
            [ConvTranspose(a, b, rngs=rngs) for a, b in zip(widths, [*widths[1:], channels], strict=True)]
        )
        self.log_scale = nnx.Param(jnp.full(channels, -2.0))
        self.seed_width = widths[0]

    def __call__(self, z: Float[Array, "b z"]) -> tuple[Float[Array, "b h w c"], Float[Array, "c"]]:
        x = self.project(z).reshape(-1, SEED, SEED, self.seed_width)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(affine_silu(x, *norm.affine(x)))
        return nnx.tanh(x), self.log_scale[...]
