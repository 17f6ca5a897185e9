"""StyleGAN's generator (Karras 2019, 2020): a vector is mapped to styles, and styles scale every map of a picture.

All that is drawn for a picture is one long vector: two latent vectors, a number that says whether and where the second
takes over (style mixing), and the noise of every map. So the generator is a function of its input alone, as any other.
"""

from collections import abc

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.cgan import Label
from prodgen_jax.nets.dcgan import SEED, doublings
from prodgen_jax.nets.layers import Linear, conv_transpose, convolve, settled
from prodgen_jax.nets.vae import LabelEmbedding

MEAN_OF = 1024  # latent vectors whose mean style truncation pulls towards


class Modulated(nnx.Module):
    """A convolution whose input channels are scaled by a style and whose output is scaled back to unit variance.

    Karras 2020, section 2.2: the kernel's own scale times the style's, and its inverse norm per output channel. Here on
    the maps and not on the kernel, which is the same and needs no kernel per picture. up: twice the size.
    """

    def __init__(self, cin: int, cout: int, style: int, up: bool = False, demodulate: bool = True, *, rngs: nnx.Rngs):
        kernel = 4 if up else 3
        shape = (kernel, kernel, cout, cin) if up else (kernel, kernel, cin, cout)
        fan_in = cin * (kernel // 2) ** 2 if up else cin * kernel**2
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape) / jnp.sqrt(fan_in))
        self.bias = nnx.Param(jnp.zeros(cout))
        self.style = Linear(style, cin, bias_init=nnx.initializers.ones, rngs=rngs)
        self.up, self.demodulate = up, demodulate

    def __call__(self, x: Float[Array, "b h w i"], w: Float[Array, "b s"]) -> Float[Array, "b H W o"]:
        style, kernel = self.style(w), self.kernel[...].astype(x.dtype)
        x = settled(x * style[:, None, None])
        if self.up:
            y = conv_transpose(x, kernel, 2)
            square = jnp.square(kernel).sum((0, 1)).T / 4  # each output pixel sees a quarter of the taps
        else:
            y = convolve(x, kernel)
            square = jnp.square(kernel).sum((0, 1))
        if self.demodulate:
            y = y * jax.lax.rsqrt(jnp.square(style) @ square + 1e-8)[:, None, None]
        return settled(y + self.bias[...].astype(y.dtype))


class StyledLayer(nnx.Module):
    """A modulated convolution, noise of a learned strength, and a leaky ReLU that keeps the variance."""

    def __init__(self, cin: int, cout: int, style: int, up: bool = False, *, rngs: nnx.Rngs):
        self.conv = Modulated(cin, cout, style, up, rngs=rngs)
        self.strength = nnx.Param(jnp.zeros(()))

    def __call__(self, x: Array, w: Float[Array, "b s"], noise: Float[Array, "b n"]) -> Float[Array, "b H W o"]:
        y = self.conv(x, w)
        y = y + self.strength[...].astype(y.dtype) * noise.reshape(*y.shape[:3], 1)
        return nnx.leaky_relu(y, 0.2) * jnp.sqrt(2).astype(y.dtype)


def unit(x: Float[Array, "b z"]) -> Float[Array, "b z"]:
    """Each vector brought to unit length per number."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-8)


class Mapping(nnx.Module):
    """Latent vector -> style. Where pictures are told attributes, {name: number of values}, a vector that stands for
    them goes in beside it, as large as it is (Karras 2020, ADA, appendix)."""

    def __init__(
        self, latent: int, style: int, depth: int, attributes: abc.Mapping[str, int] | None = None, *, rngs: nnx.Rngs
    ):
        sizes = [latent * (2 if attributes else 1)] + [style] * depth
        self.layers = nnx.List([Linear(a, b, rngs=rngs) for a, b in zip(sizes[:-1], sizes[1:], strict=True)])
        if attributes:
            self.labels = LabelEmbedding(attributes, latent, rngs=rngs)

    def __call__(self, z: Float[Array, "b z"], label: Label | None = None) -> Float[Array, "b s"]:
        x = unit(z)
        if label is not None:
            x = jnp.concatenate([x, unit(self.labels(label)).astype(x.dtype)], axis=-1)
        for layer in self.layers:
            x = nnx.leaky_relu(layer(x), 0.2) * jnp.sqrt(2).astype(x.dtype)
        return x


class StyleGenerator(nnx.Module):
    """All that was drawn -> picture. Colors are added up from every size (Karras 2020, figure 7b).

    latent: numbers in a latent vector; depth: layers of the mapping; width: channels of the last hidden map, twice as
    many for each halving; mix: share of pictures whose finer maps have a second latent vector's style; attributes: that
    pictures are told, {name: number of values}.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        latent: int,
        width: int,
        depth: int,
        mix: float,
        attributes: abc.Mapping[str, int] | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        n = doublings(size)
        finer = [SEED * 2**i for i in range(1, n)]
        widths = [width * 2**i for i in reversed(range(n))]
        self.latent, self.mix = latent, mix
        self.maps = (SEED, *(side for side in finer for _ in range(2)))  # pixels on a side, for each styled layer
        self.mapping = Mapping(latent, latent, depth, attributes, rngs=rngs)
        self.seed = nnx.Param(jax.random.normal(rngs.params(), (SEED, SEED, widths[0])))
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.first = StyledLayer(widths[0], widths[0], latent, rngs=rngs)
        self.ups = nnx.List([StyledLayer(a, b, latent, up=True, rngs=rngs) for a, b in pairs])
        self.rest = nnx.List([StyledLayer(b, b, latent, rngs=rngs) for _, b in pairs])
        self.colors = nnx.List([Modulated(w, channels, latent, True, False, rngs=rngs) for w in widths])

    @property
    def drawn(self) -> int:
        """Length of the vector of all that is drawn."""
        return 2 * self.latent + 1 + sum(size**2 for size in self.maps)

    def styles(
        self, z: Float[Array, "b d"], label: Label | None, truncation: Array | None
    ) -> Float[Array, "layers b s"]:
        """The style of each styled layer. The last one's also makes the colors."""
        k, place = self.latent, z[:, 2 * self.latent].astype(jnp.float32)
        first, second = self.mapping(z[:, :k], label), self.mapping(z[:, k : 2 * k], label)
        share = jax.scipy.stats.norm.cdf(place)  # evenly in 0 to 1
        layers = len(self.maps)
        # of the pictures that are mixed, the second style takes over after layer 1 .. layers - 1, each as often
        after = jnp.where(share < self.mix, 1 + jnp.floor(share / max(self.mix, 1e-6) * (layers - 1)), layers)
        second_there = jnp.arange(layers)[:, None] >= after
        w = jnp.where(second_there[..., None], second, first)
        if truncation is None:
            return w
        nothing = label and {name: jnp.full(MEAN_OF, -1) for name in label}  # the mean of all, whatever is said
        center = self.mapping(jax.random.normal(jax.random.key(0), (MEAN_OF, k), z.dtype), nothing).mean(0)
        return center + truncation.astype(w.dtype) * (w - center)  # Karras 2019, appendix B

    def __call__(
        self, z: Float[Array, "b d"], label: Label | None = None, truncation: Float[Array, ""] | None = None
    ) -> Float[Array, "b h w c"]:
        """truncation: how far styles may be from their mean, as a share of what they are; None: as they are."""
        w, noise = self.styles(z, label, truncation), jnp.split(z[:, 2 * self.latent + 1 :], self.cuts, axis=-1)
        x = self.first(jnp.broadcast_to(self.seed[...].astype(z.dtype), (len(z), *self.seed.shape)), w[0], noise[0])
        color = self.colors[0](x, w[0])
        for i, (up, rest, paint) in enumerate(zip(self.ups, self.rest, self.colors[1:], strict=True)):
            x = up(x, w[2 * i + 1], noise[2 * i + 1])
            x = rest(x, w[2 * i + 2], noise[2 * i + 2])
            color = color.repeat(2, axis=1).repeat(2, axis=2) + paint(x, w[2 * i + 2])
        return nnx.tanh(color)

    @property
    def cuts(self) -> list[int]:
        """Where the noise of one map ends and the next one's begins."""
        ends = [size**2 for size in self.maps]
        return [sum(ends[: i + 1]) for i in range(len(ends) - 1)]
