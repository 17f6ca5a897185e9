"""The critic of paired translation: it judges patches, and does so at several scales."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.blocks import GroupNorm
from prodgen_jax.nets.layers import conv

Judged = tuple[Float[Array, "b m"], Sequence[Array]]  # (one answer for each patch, what was seen on the way there)


class PatchCritic(nnx.Module):
    """A picture -> one number for each patch of 18 x 18 pixels, four pixels apart. PatchGAN (Isola 2017), section 3.2.

    channels: of what is judged; width: channels of the first map.
    """

    def __init__(self, channels: int, width: int, *, rngs: nnx.Rngs):
        self.entry = conv(channels, width, 4, 2, rngs=rngs)
        self.down, self.norm = conv(width, 2 * width, 4, 2, rngs=rngs), GroupNorm(2 * width, rngs=rngs)
        self.out = conv(2 * width, 1, 3, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Judged:
        first = nnx.leaky_relu(self.entry(x), 0.2)
        second = nnx.leaky_relu(self.norm(self.down(first)), 0.2)
        return self.out(second).reshape(len(x), -1), (first, second)


def halved(x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


class ScaledCritics(nnx.Module):
    """A critic for the picture, one for its half size, and so on. pix2pixHD (Wang 2018), section 3.2.

    ValueError where the pictures cannot be halved so often.
    """

    def __init__(self, size: int, channels: int, width: int, scales: int, *, rngs: nnx.Rngs):
        if scales < 1 or size % (4 * 2 ** (scales - 1)):
            raise ValueError(f"scales={scales}: 4 * 2^(scales - 1) must divide the pictures' {size} px")
        self.critics = nnx.List([PatchCritic(channels, width, rngs=rngs) for _ in range(scales)])

    def __call__(self, x: Float[Array, "b h w c"]) -> tuple[Judged, ...]:
        judged = []
        for critic in self.critics:
            judged.append(critic(x))
            x = halved(x)
        return tuple(judged)


def beside(source: Float[Array, "b h w c"], image: Float[Array, "b h w c"]) -> Float[Array, "b h w 2c"]:
    """What a conditional critic judges: whether this picture belongs to that source."""
    return jnp.concatenate([source, image], axis=-1)
