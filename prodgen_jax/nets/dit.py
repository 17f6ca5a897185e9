"""The diffusion transformer (Peebles & Xie 2023, "DiT"): a denoiser of patches that all look at each other.

No map is ever halved: every block sees all patches at full width, so its work is large matrix products alone. What
time and attributes say scales, shifts and gates each block (adaLN-Zero), which therefore starts as the identity.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Int, Key

from prodgen_jax.nets.attention import attention
from prodgen_jax.nets.blocks import fourier, pixel_sum
from prodgen_jax.nets.dropout import dropout, streams
from prodgen_jax.nets.embedding import Embedding
from prodgen_jax.nets.layers import dense, settled
from prodgen_jax.nets.patches import depth_to_space, space_to_depth
from prodgen_jax.nets.remat import rematerialized
from prodgen_jax.nets.text import CrossAttention, TextEncoder, Words

WIDEN = 4  # how many times as wide a block's hidden layer is


def channel_mean(x: Float[Array, "b n c"], weight: Float[Array, "b c"]) -> Float[Array, "b n 1"]:
    """The mean of weight x over channels; on CPU as a product with one column."""
    if jax.default_backend() == "cpu":
        return x @ weight[:, :, None] / x.shape[-1]
    return (x * weight[:, None]).mean(-1, keepdims=True)


@jax.custom_vjp
def modulate(x: Float[Array, "b n c"], shift: Float[Array, "b c"], scale: Float[Array, "b c"]) -> Float[Array, "b n c"]:
    """norm(x) (1 + scale) + shift, of a layer normalization (Ba 2016) without a gain and shift of its own.

    Its gradient is written out, so that each of its sums reads a map that is there already.
    """
    return _modulate_forward(x, shift, scale)[0]


def _modulate_forward(x: Array, shift: Array, scale: Array) -> tuple[Array, tuple[Array, ...]]:
    wide, ones = jnp.float32(x), jnp.ones((len(x), x.shape[-1]))
    mean, square = channel_mean(wide, ones), channel_mean(settled(wide**2), ones)
    mean, rate = settled((mean, jax.lax.rsqrt(jnp.maximum(square - mean**2, 0) + 1e-6)))
    y = (wide - mean) * rate * (1 + scale[:, None]) + shift[:, None]
    return settled(y.astype(x.dtype)), (x, mean, rate, scale)


def _modulate_backward(saved: tuple[Array, ...], grad: Array) -> tuple[Array, Array, Array]:
    x, mean, rate, scale = saved
    normed, wide, gain = (x - mean) * rate, jnp.float32(grad), 1 + jnp.float32(scale)
    to_gain = settled(wide * normed)
    back = wide * gain[:, None] - channel_mean(wide, gain) - normed * channel_mean(to_gain, gain)
    to_shift, to_scale = (pixel_sum(v[:, :, None]).astype(scale.dtype) for v in (wide, to_gain))
    return settled((rate * back).astype(x.dtype)), to_shift, to_scale


modulate.defvjp(_modulate_forward, _modulate_backward)


def positions(rows: int, columns: int, width: int) -> Float[Array, "rows columns width"]:
    """Sines and cosines of each place's row, then of its column. MAE (He 2022), appendix A; width: a multiple of 4."""
    row, column = (fourier(jnp.arange(n, dtype=jnp.float32), width // 2) for n in (rows, columns))
    shape = (rows, columns, width // 2)
    return jnp.concatenate([jnp.broadcast_to(row[:, None], shape), jnp.broadcast_to(column[None], shape)], axis=-1)


class Block(nnx.Module):
    """Self-attention over all patches, then a dense layer on each, both gated. Peebles & Xie 2023, figure 3.

    said: numbers that describe a word, where patches look at words in between (Chen 2023, "PixArt-alpha", section
    2.2); 0 where there are none.
    """

    def __init__(self, width: int, heads: int, said: int = 0, rate: float = 0.0, *, rngs: nnx.Rngs):
        self.film = dense(width, 6 * width, rngs=rngs, zero=True)
        self.qkv, self.out = dense(width, 3 * width, rngs=rngs), dense(width, width, rngs=rngs)
        self.wide = dense(width, WIDEN * width, rngs=rngs)
        self.narrow = dense(WIDEN * width, width, rngs=rngs)
        self.heads, self.rate = heads, rate
        self.cross = CrossAttention(width, said, rngs=rngs) if said else None

    def __call__(
        self,
        x: Float[Array, "b n c"],
        emb: Float[Array, "b c"],
        words: Words | None = None,
        keys: Key[Array, "b"] | None = None,
    ) -> Float[Array, "b n c"]:
        shift1, scale1, gate1, shift2, scale2, gate2 = jnp.split(self.film(emb), 6, axis=-1)
        x = x + gate1[:, None] * self.attend(modulate(x, shift1, scale1))
        if self.cross is not None:
            x = self.cross(x, words)
        hidden = jax.nn.gelu(self.wide(modulate(x, shift2, scale2)))
        return x + gate2[:, None] * self.narrow(dropout(hidden, keys, self.rate))

    def attend(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads)
        return self.out(attention(*jnp.moveaxis(qkv, 2, 0)).reshape(b, n, c))


class DiT(nnx.Module):
    """Maps a noisy picture, a time in [0, 1] and what is said of it to a prediction of the picture's shape.

    width: numbers that describe a patch, a multiple of `heads` and of 4; depth: blocks; patch: pixels on a side, a
    divisor of the picture's; dropout: share of a block's hidden numbers that are dropped where keys are given.
    remat: keep for the backward pass only what blocks hand on, and compute the rest again.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        depth: int,
        heads: int,
        patch: int,
        attributes: Mapping[str, int],
        text: TextEncoder | None = None,
        *,
        dropout: float = 0.0,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        self.patch, self.remat = patch, remat
        self.embedding = Embedding(width, width, attributes, text, rngs=rngs)
        self.entry = dense(channels * patch**2, width, rngs=rngs)
        said = 0 if text is None else text.width
        self.blocks = nnx.List([Block(width, heads, said, dropout, rngs=rngs) for _ in range(depth)])
        self.film = dense(width, 2 * width, rngs=rngs, zero=True)
        self.exit = dense(width, channels * patch**2, rngs=rngs, zero=True)

    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: Float[Array, "b"],
        label: Mapping[str, Int[Array, "b ..."]],
        keys: Key[Array, "b"] | None = None,
    ) -> Float[Array, "b h w c"]:
        emb, words = self.embedding(t, label)
        y, (h, w) = self.blended(x, emb, words, keys, len(self.blocks))
        y = modulate(y, *jnp.split(self.film(emb), 2, axis=-1))
        return depth_to_space(self.exit(y).reshape(len(x), h, w, -1), self.patch)

    def blended(
        self, x: Float[Array, "b h w c"], emb: Float[Array, "b e"], words: Words | None, keys, depth: int
    ) -> tuple[Float[Array, "b n c"], tuple[int, int]]:
        """(the patches after the first `depth` blocks, how many rows and columns of them there are)."""
        y = self.entry(space_to_depth(x, self.patch))
        b, h, w, c = y.shape
        y = (y + positions(h, w, c).astype(y.dtype)).reshape(b, h * w, c)
        apply = rematerialized(Block.__call__) if self.remat else Block.__call__
        for block, own in zip(self.blocks[:depth], streams(keys), strict=False):
            y = apply(block, y, emb, words, own)
        return y, (h, w)

    def seen(
        self, x: Float[Array, "b h w c"], t: Float[Array, "b"], label: Mapping[str, Int[Array, "b ..."]]
    ) -> Float[Array, "b c"]:
        """The mean patch half way."""
        return self.blended(x, *self.embedding(t, label), None, (len(self.blocks) + 1) // 2)[0].mean(1)
