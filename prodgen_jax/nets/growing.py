"""DCGAN's networks that begin small and grow (Progressive GAN, Karras 2018, section 2).

At `level` d pictures are SEED * 2^d pixels wide, and only the layers nearest to the vector play. The next level is
faded in: what it draws, or sees, is mixed with what the level before it does, by a share that rises from 0 to 1. At 1
on the last level both networks are a DCGAN's and nothing else.
"""

from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.dcgan import Discriminator, Generator, doublings
from prodgen_jax.nets.layers import ConvTranspose, conv


def enlarge(x: Float[Array, "b h w c"]) -> Float[Array, "b 2h 2w c"]:
    """Every pixel as four."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def halve(x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
    """The mean of every four pixels; `enlarge` undone."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def mix(share: Float[Array, ""], new: Array, old: Array) -> Array:
    """share * new + (1 - share) * old, in their precision."""
    share = share.astype(new.dtype)
    return share * new + (1 - share) * old


class GrowingGenerator(nnx.Module):
    """`Generator` with a way to color at every level before its last, whose own last upsampling makes the picture."""

    def __init__(self, size: int, channels: int, latent: int, width: int, *, rngs: nnx.Rngs):
        n = doublings(size)
        self.net = Generator(size, channels, latent, width, rngs=rngs)
        self.colors = nnx.List([ConvTranspose(width * 2**i, channels, rngs=rngs) for i in reversed(range(1, n))])

    def __call__(self, z: Float[Array, "b z"], level: int, share: Float[Array, ""]) -> Float[Array, "b s s c"]:
        """level: from 1; share: how much of it there is yet, 0 to 1. The first has none before it to be mixed with."""
        net, colors = self.net, [*self.colors, self.net.ups[-1]]
        x = net.project(z).reshape(-1, *net.seed_shape)
        picture = None
        for i in range(level):
            x = nnx.relu(net.norms[i](x))
            if i >= level - 2:  # only the level and the one before it are seen
                last, picture = picture, nnx.tanh(colors[i](x))
            if i < level - 1:
                x = net.ups[i](x)
        return picture if level == 1 else mix(share, picture, enlarge(last))


class GrowingDiscriminator(nnx.Module):
    """`Discriminator` with a way in at every level before its last, whose own first convolution takes the picture."""

    def __init__(self, size: int, channels: int, width: int, group: int = 0, *, rngs: nnx.Rngs):
        n = doublings(size)
        self.net = Discriminator(size, channels, width, group, rngs=rngs)
        self.enters = nnx.List([conv(channels, width * 2**i, 4, 2, rngs=rngs) for i in reversed(range(1, n))])

    def __call__(self, x: Float[Array, "b s s c"], level: int, share: Float[Array, ""]) -> Float[Array, "b"]:
        """level, share: as of the generator; the picture must be as wide as its level says."""
        net, enters = self.net, [*self.enters, self.net.downs[0]]
        rest = net.downs[len(net.downs) - level + 1 :]
        y = nnx.leaky_relu(enters[level - 1](x), 0.2)
        for i, down in enumerate(rest):
            y = nnx.leaky_relu(down(y), 0.2)
            if i == 0:
                y = mix(share, y, nnx.leaky_relu(enters[level - 2](halve(x)), 0.2))
        return net.out(net.flat(y))[:, 0]


def seen_at(photos: Float[Array, "b h w c"], size: int, level: int, share: Float[Array, ""]) -> Float[Array, "b s s c"]:
    """Photos of `size` px as the critic is to see them at a level: as small, and as coarse where it is faded in."""
    for _ in range(doublings(size) - level):
        photos = halve(photos)
    return photos if level == 1 else mix(share, photos, enlarge(halve(photos)))


def shown(picture: Float[Array, "b s s c"], size: int) -> Float[Array, "b h w c"]:
    """A picture of any level at full size."""
    while picture.shape[1] < size:
        picture = enlarge(picture)
    return picture
