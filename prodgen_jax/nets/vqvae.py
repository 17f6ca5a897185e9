"""The networks of a VQ-VAE: pictures to a small map of vectors and back, and a transformer over that map's codes."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.nets.blocks import GroupNorm, affine_silu
from prodgen_jax.nets.layers import ConvTranspose, conv, dense
from prodgen_jax.nets.text import FAR, CrossAttention
from prodgen_jax.nets.vae import LabelEmbedding

HALVINGS = 2  # a code stands for 4 x 4 pixels
Label = Mapping[str, Int[Array, "b"]]  # {attribute: index of the value, -1 where it is not said}


class Residual(nnx.Module):
    """x + conv1x1(silu(norm(conv3x3(silu(norm(x))))))."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm1, self.norm2 = GroupNorm(width, rngs=rngs), GroupNorm(width, rngs=rngs)
        self.conv1, self.conv2 = conv(width, width, rngs=rngs), conv(width, width, 1, rngs=rngs, zero=True)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        y = self.conv1(affine_silu(x, *self.norm1.affine(x)))
        return x + self.conv2(affine_silu(y, *self.norm2.affine(y)))


class MapEncoder(nnx.Module):
    """Picture -> a map of vectors, a quarter as large on a side."""

    def __init__(self, channels: int, width: int, code: int, *, rngs: nnx.Rngs):
        self.downs = nnx.List([conv(channels, width, 4, 2, rngs=rngs), conv(width, 2 * width, 4, 2, rngs=rngs)])
        self.norm = GroupNorm(width, rngs=rngs)
        self.rest = nnx.List([Residual(2 * width, rngs=rngs) for _ in range(2)])
        self.out = conv(2 * width, code, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h/4 w/4 d"]:
        x = self.downs[0](x)
        x = self.downs[1](affine_silu(x, *self.norm.affine(x)))
        for layer in self.rest:
            x = layer(x)
        return self.out(x)


class MapDecoder(nnx.Module):
    """A map of vectors -> the mean of every pixel in [-1, 1], and one log-scale per channel shared by all pixels."""

    def __init__(self, channels: int, width: int, code: int, *, rngs: nnx.Rngs):
        self.enter = conv(code, 2 * width, rngs=rngs)
        self.rest = nnx.List([Residual(2 * width, rngs=rngs) for _ in range(2)])
        self.norms = nnx.List([GroupNorm(2 * width, rngs=rngs), GroupNorm(width, rngs=rngs)])
        self.ups = nnx.List([ConvTranspose(2 * width, width, rngs=rngs), ConvTranspose(width, channels, rngs=rngs)])
        self.log_scale = nnx.Param(jnp.full(channels, -2.0))

    def __call__(self, z: Float[Array, "b h w d"]) -> tuple[Float[Array, "b 4h 4w c"], Float[Array, "c"]]:
        x = self.enter(z)
        for layer in self.rest:
            x = layer(x)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(affine_silu(x, *norm.affine(x)))
        return nnx.tanh(x), self.log_scale[...]


class CodePrior(nnx.Module):
    """Codes in reading order -> logits of each given those before it, and what is said (a causal transformer).

    codes: how many there are; places: length of a row of them.
    """

    def __init__(
        self, codes: int, places: int, width: int, depth: int, attributes: Mapping[str, int], *, rngs: nnx.Rngs
    ):
        self.table = nnx.Embed(codes + 1, width, rngs=rngs)  # row 0 stands before the first code
        self.place = nnx.Param(0.02 * jax.random.normal(rngs.params(), (places, width)))
        self.labels = LabelEmbedding(attributes, width, rngs=rngs) if attributes else None
        self.attends = nnx.List([CrossAttention(width, width, rngs=rngs) for _ in range(depth)])
        self.norms = nnx.List([nnx.LayerNorm(width, rngs=rngs) for _ in range(depth + 1)])
        self.wide = nnx.List([dense(width, 4 * width, rngs=rngs) for _ in range(depth)])
        self.narrow = nnx.List([dense(4 * width, width, rngs=rngs, zero=True) for _ in range(depth)])
        self.out = dense(width, codes, rngs=rngs, zero=True)

    def __call__(self, codes: Int[Array, "b n"], label: Label) -> Float[Array, "b n codes"]:
        n = codes.shape[1]
        before = jnp.pad(codes[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
        return self.score(before, self.place[...][:n], label, jnp.tril(jnp.ones((n, n), bool)), lambda _, pair: pair)

    def memory(self, b: int) -> Float[Array, "l b n 2*w"]:
        """Keys and values of every layer and place, of which none is known yet."""
        return jnp.zeros((len(self.attends), b, self.place.shape[0], 2 * self.place.shape[1]))

    def next(
        self, before: Int[Array, "b"], place: Int[Array, ""], memory: Float[Array, "l b n 2*w"], label: Label
    ) -> tuple[Float[Array, "b codes"], Float[Array, "l b n 2*w"]]:
        """(logits at one place after the code before it, -1 at the first; the memory with this place in it)."""
        layers = list(memory)

        def seen(i, pair):
            layers[i] = layers[i].at[:, place].set(pair[:, 0])
            return layers[i]

        here = jnp.arange(memory.shape[2]) <= place
        logits = self.score(before[:, None], self.place[...][place], label, here[None], seen)
        return logits[:, 0], jnp.stack(layers)

    def score(self, before: Int[Array, "b n"], place: Array, label: Label, sees: Array, seen: Callable) -> Array:
        """Logits after the codes `before`; seen: (layer, keys and values of these places) -> all that are looked at."""
        x = self.table(before + 1) + place
        if self.labels is not None:
            x = x + self.labels(label)[:, None]
        bias = jnp.where(sees, 0.0, FAR)[None, None]
        layers = zip(self.attends, self.norms[:-1], self.wide, self.narrow, strict=True)
        for i, (attend, norm, wide, narrow) in enumerate(layers):
            x = attend.look(x, seen(i, attend.pair(attend.norm(x))), bias)
            x = x + narrow(jax.nn.gelu(wide(norm(x))))
        return self.out(self.norms[-1](x))
