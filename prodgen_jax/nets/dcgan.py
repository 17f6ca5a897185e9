"""The networks of DCGAN (Radford 2016): a vector is projected, reshaped and upsampled; a picture ends in one logit.

GroupNorm stands where the paper has BatchNorm: an image's output then depends on no other image of the batch, so
one device equals eight and averaged weights need no statistics of their own.
"""

import math
from collections.abc import Callable, Sequence

from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.blocks import GroupNorm, minibatch_deviation
from prodgen_jax.nets.layers import ConvTranspose, Linear, conv

SEED = 4  # pixels on a side of the map that the vector is projected to


def doublings(size: int) -> int:
    """How many times the 4 x 4 map doubles until it is `size` wide; ValueError where it never is."""
    steps = math.log2(size / SEED)
    if steps < 1 or steps != int(steps):
        raise ValueError(f"the size must be 8, 16, 32, 64, ... pixels, not {size}")
    return int(steps)


class Generator(nnx.Module):
    """Latent vector -> picture in [-1, 1]. Channels halve as the map doubles; the last hidden map has `width`.

    The last upsampling makes the picture itself, as in the paper: on CPU nothing wide is worth its time at full size.
    """

    def __init__(self, size: int, channels: int, latent: int, width: int, *, rngs: nnx.Rngs):
        n = doublings(size)
        widths = [width * 2**i for i in reversed(range(n))]
        self.project = Linear(latent, SEED * SEED * widths[0], rngs=rngs)
        self.norms = nnx.List([GroupNorm(w, rngs=rngs) for w in widths])
        self.ups = nnx.List(
            [ConvTranspose(a, b, rngs=rngs) for a, b in zip(widths, [*widths[1:], channels], strict=True)]
        )
        self.seed_shape = (SEED, SEED, widths[0])

    def __call__(self, z: Float[Array, "b z"], after: Sequence[Callable] = ()) -> Float[Array, "b h w c"]:
        """after: for each map, what is done to it when it has been normalized; nothing if left out."""
        x = self.project(z).reshape(-1, *self.seed_shape)
        for norm, up, change in zip(self.norms, self.ups, after or [lambda x: x] * len(self.ups), strict=True):
            x = up(nnx.relu(change(norm(x))))
        return nnx.tanh(x)


class Discriminator(nnx.Module):
    """Picture -> one number. Strided convolutions with leaky ReLU, channels doubling as the map halves.

    group: pictures that are judged for their variety too (`minibatch_deviation`); 0: each is judged alone.
    """

    def __init__(self, size: int, channels: int, width: int, group: int = 0, *, rngs: nnx.Rngs):
        widths = [width * 2**i for i in range(doublings(size))]
        self.downs = nnx.List(
            [conv(a, b, 4, 2, rngs=rngs) for a, b in zip([channels, *widths[:-1]], widths, strict=True)]
        )
        self.out = Linear(SEED * SEED * (widths[-1] + bool(group)), 1, rngs=rngs)
        self.group = group

    def maps(self, x: Float[Array, "b h w c"]) -> list[Float[Array, "b _ _ _"]]:
        """The picture, then what each convolution sees."""
        found = [x]
        for down in self.downs:
            found.append(nnx.leaky_relu(down(found[-1]), 0.2))
        return found

    def seen(self, x: Float[Array, "b h w c"]) -> Float[Array, "b f"]:
        """What it sees in each picture alone: its last map (Radford 2016, section 5.1)."""
        return self.maps(x)[-1].reshape(len(x), -1)

    def features(self, x: Float[Array, "b h w c"]) -> Float[Array, "b f"]:
        """What the last layer sees."""
        return self.flat(self.maps(x)[-1])

    def flat(self, x: Float[Array, "b s s c"]) -> Float[Array, "b f"]:
        """The last map as one vector; with the channel that says how much pictures vary, where that is judged too."""
        if self.group:
            x = minibatch_deviation(x, self.group)
        return x.reshape(x.shape[0], -1)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b"]:
        return self.out(self.features(x))[:, 0]


class Watched(Discriminator):
    """A discriminator that also says what it sees in one of its maps, flat; layer 0 is the picture itself."""

    def __init__(self, size: int, channels: int, width: int, *, layer: int, rngs: nnx.Rngs):
        super().__init__(size, channels, width, rngs=rngs)
        self.layer = layer

    def __call__(self, x: Float[Array, "b h w c"]) -> tuple[Float[Array, "b"], Float[Array, "b f"]]:
        maps = self.maps(x)
        return self.out(maps[-1].reshape(len(x), -1))[:, 0], maps[self.layer].reshape(len(x), -1)
