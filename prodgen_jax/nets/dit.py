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

from prodgen_jax.nets.blocks import depth_to_space, fourier, space_to_depth
from prodgen_jax.nets.dropout import dropout, streams
from prodgen_jax.nets.embedding import Embedding
from prodgen_jax.nets.layers import dense
from prodgen_jax.nets.remat import rematerialized
from prodgen_jax.nets.text import CrossAttention, TextEncoder, Words

WIDEN = 4  # how many times as wide a block's hidden layer is


def plain_norm(width: int, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Layer normalization without gain and shift of its own: the embedding has them."""
    return nnx.LayerNorm(width, use_bias=False, use_scale=False, rngs=rngs)


def modulate(x: Float[Array, "b n c"], shift: Float[Array, "b 1 c"], scale: Float[Array, "b 1 c"]) -> Array:
    return x * (1 + scale) + shift


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
        self.norm1, self.norm2 = plain_norm(width, rngs=rngs), plain_norm(width, rngs=rngs)
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
        shift1, scale1, gate1, shift2, scale2, gate2 = jnp.split(self.film(emb)[:, None], 6, axis=-1)
        x = x + gate1 * self.attend(modulate(self.norm1(x), shift1, scale1))
        if self.cross is not None:
            x = self.cross(x, words)
        hidden = nnx.gelu(self.wide(modulate(self.norm2(x), shift2, scale2)))
        return x + gate2 * self.narrow(dropout(hidden, keys, self.rate))

    def attend(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads)
        return self.out(jax.nn.dot_product_attention(*jnp.moveaxis(qkv, 2, 0)).reshape(b, n, c))


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
        self.norm = plain_norm(width, rngs=rngs)
        self.exit = dense(width, channels * patch**2, rngs=rngs, zero=True)

    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: Float[Array, "b"],
        label: Mapping[str, Int[Array, "b ..."]],
        keys: Key[Array, "b"] | None = None,
    ) -> Float[Array, "b h w c"]:
        emb, words = self.embedding(t, label)
        y = self.entry(space_to_depth(x, self.patch))
        b, h, w, c = y.shape
        y = (y + positions(h, w, c).astype(y.dtype)).reshape(b, h * w, c)
        apply = rematerialized(Block.__call__) if self.remat else Block.__call__
        for block, own in zip(self.blocks, streams(keys), strict=False):
            y = apply(block, y, emb, words, own)
        y = modulate(self.norm(y), *jnp.split(self.film(emb)[:, None], 2, axis=-1))
        return depth_to_space(self.exit(y).reshape(b, h, w, -1), self.patch)
