"""The U-Net of diffusion models (Ho 2020, after Ronneberger 2015), here over patches of pixels.

Patches of 2 x 2 halve the resolution that the widest maps have: fewer and fatter matrix products for the same
number of parameters, four times as fast a step at 32 px.
"""

from collections.abc import Callable, Iterator, Mapping

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Int, Key

from prodgen_jax.nets.attention import attention
from prodgen_jax.nets.blocks import GROUPS, GroupNorm, affine_silu
from prodgen_jax.nets.dropout import dropout, streams
from prodgen_jax.nets.embedding import Embedding
from prodgen_jax.nets.layers import Linear, conv
from prodgen_jax.nets.patches import depth_to_space, space_to_depth
from prodgen_jax.nets.remat import rematerialized
from prodgen_jax.nets.text import CrossAttention, TextEncoder, Words


def of_each_group(channels: int, share: float) -> int:
    """How many channels of each group of a normalization are left of a block's middle; one at least."""
    return max(1, round(share * (channels // GROUPS)))


class ResBlock(nnx.Module):
    """x + conv(silu(film(norm(conv(silu(norm(x))))))); the embedding scales and shifts the middle.

    inner: the share of `cout` channels that the middle has.
    """

    def __init__(self, cin: int, cout: int, embedding: int, rate: float = 0.0, inner: float = 1.0, *, rngs: nnx.Rngs):
        middle = GROUPS * of_each_group(cout, inner)
        self.norm1, self.conv1 = GroupNorm(cin, rngs=rngs), conv(cin, middle, rngs=rngs)
        self.film = Linear(embedding, 2 * middle, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.norm2, self.conv2 = GroupNorm(middle, rngs=rngs), conv(middle, cout, rngs=rngs, zero=True)
        self.skip = conv(cin, cout, 1, rngs=rngs) if cin != cout else None
        self.rate = rate

    def __call__(
        self, x: Float[Array, "b h w i"], emb: Float[Array, "b e"], keys: Key[Array, "b"] | None = None
    ) -> Float[Array, "b h w o"]:
        y = self.conv1(affine_silu(x, *self.norm1.affine(x)))
        (gain, shift), (film_gain, film_shift) = self.norm2.affine(y), jnp.split(self.film(emb), 2, axis=-1)
        y = affine_silu(y, gain * (1 + film_gain), shift * (1 + film_gain) + film_shift)
        y = self.conv2(dropout(y, keys, self.rate))
        return y + (x if self.skip is None else self.skip(x))


class Attention(nnx.Module):
    """Multi-head self-attention over the pixels of a small map, with a residual path (Vaswani 2017).

    said: numbers that describe a word, where the pixels look at words after that; 0 where there are none.
    """

    def __init__(self, channels: int, said: int = 0, head: int = 32, *, rngs: nnx.Rngs):
        self.norm = GroupNorm(channels, rngs=rngs)
        self.qkv = Linear(channels, 3 * channels, rngs=rngs)
        self.out = Linear(channels, channels, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.heads = max(channels // head, 1)
        self.cross = CrossAttention(channels, said, rngs=rngs) if said else None

    def __call__(self, x: Float[Array, "b h w c"], words: Words | None = None) -> Float[Array, "b h w c"]:
        b, h, w, c = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, h * w, 3, self.heads, c // self.heads)
        x = x + self.out(attention(*jnp.moveaxis(qkv, 2, 0)).reshape(b, h, w, c))
        return x if self.cross is None else self.cross(x, words)


class UNet(nnx.Module):
    """Maps a noisy picture, a time in [0, 1] and what is said of it to a prediction of the picture's shape.

    width:   channels of the first level; multipliers: channels of each level, relative to it.
    blocks:  residual blocks per level on the way down; one more on the way up.
    attend:  levels (0 is the finest) with self-attention, and attention to the words where there is an encoder.
    inner:   share of a residual block's channels that its middle has.
    dropout: share of a residual block's numbers that are dropped where keys are given (Ho 2020, appendix B).
    remat:   keep for the backward pass only what blocks hand on, and compute the rest again.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        multipliers: tuple[int, ...],
        blocks: int,
        attend: tuple[int, ...],
        patch: int,
        attributes: Mapping[str, int],
        text: TextEncoder | None = None,
        *,
        dropout: float = 0.0,
        inner: float = 1.0,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        self.patch, self.levels, self.remat = patch, len(multipliers), remat
        self.embedding = Embedding(width, 4 * width, attributes, text, rngs=rngs)
        self.entry = conv(channels * patch**2, width, rngs=rngs)
        emb, widths, c, skips = 4 * width, [width * m for m in multipliers], width, [width]
        said = 0 if text is None else text.width

        def level(cins: list[int], cout: int, i: int) -> nnx.List:
            rows = [nnx.List([ResBlock(cin, cout, emb, dropout, inner, rngs=rngs)]) for cin in cins]
            for row in rows if i in attend else []:
                row.append(Attention(cout, said, rngs=rngs))
            return nnx.List(rows)

        down, up = [], []
        for i, cout in enumerate(widths):
            down.append(level([c] + [cout] * (blocks - 1), cout, i))
            c, skips = cout, skips + [cout] * blocks + ([cout] if i + 1 < len(widths) else [])
        self.shrink = nnx.List([conv(cout, cout, 3, 2, rngs=rngs) for cout in widths[:-1]])
        self.middle = ResBlock(c, c, emb, dropout, inner, rngs=rngs)
        for i, cout in reversed(list(enumerate(widths))):
            up.append(level([(c if j == 0 else cout) + skips.pop() for j in range(blocks + 1)], cout, i))
            c = cout
        self.down, self.up = nnx.List(down), nnx.List(up)
        self.norm = GroupNorm(c, rngs=rngs)
        self.exit = conv(c, channels * patch**2, rngs=rngs, zero=True)

    @property
    def row(self) -> Callable:
        return rematerialized(run_row) if self.remat else run_row

    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: Float[Array, "b"],
        label: Mapping[str, Int[Array, "b ..."]],
        keys: Key[Array, "b"] | None = None,
    ) -> Float[Array, "b h w c"]:
        (emb, words), own = self.embedding(t, label), streams(keys)
        *skips, y = self.descend(x, emb, words, own)
        for i, rows in enumerate(self.up):
            y = self.ascend(rows, y, skips, emb, words, own)
            if i + 1 < self.levels:
                y = y.repeat(2, axis=1).repeat(2, axis=2)
        return depth_to_space(self.exit(affine_silu(y, *self.norm.affine(y))), self.patch)

    def descend(
        self, x: Float[Array, "b h w c"], emb: Float[Array, "b e"], words: Words | None, own: Iterator
    ) -> list[Float[Array, "b _ _ _"]]:
        """The maps on the way down, which the way up takes from last to first, then the middle. own: blocks' keys."""
        y = self.entry(space_to_depth(x, self.patch))
        maps = [y]
        for i, rows in enumerate(self.down):
            for row in rows:
                y = self.row(row, y, emb, words, next(own))
                maps.append(y)
            if i + 1 < self.levels:
                y = self.shrink[i](y)
                maps.append(y)
        return [*maps, self.middle(y, emb, next(own))]

    def ascend(
        self,
        rows: nnx.List,
        y: Float[Array, "b h w i"],
        skips: list[Array],
        emb: Array,
        words: Words | None,
        own: Iterator,
    ) -> Float[Array, "b h w o"]:
        """One level on the way up; takes its maps from `skips`."""
        for row in rows:
            y = self.row(row, jnp.concatenate([y, skips.pop()], axis=-1), emb, words, next(own))
        return y

    def seen(
        self, x: Float[Array, "b h w c"], t: Float[Array, "b"], label: Mapping[str, Int[Array, "b ..."]]
    ) -> Float[Array, "b f"]:
        """The map of the coarsest level on the way up, flat."""
        (emb, words), own = self.embedding(t, label), streams(None)
        *skips, y = self.descend(x, emb, words, own)
        return self.ascend(self.up[0], y, skips, emb, words, own).reshape(len(x), -1)


def run_row(
    row: nnx.List,
    x: Float[Array, "b h w i"],
    emb: Float[Array, "b e"],
    words: Words | None,
    keys: Key[Array, "b"] | None,
) -> Float[Array, "b h w o"]:
    """A residual block, then attention where the level has it."""
    block, *attention = row
    x = block(x, emb, keys)
    for layer in attention:
        x = layer(x, words)
    return x
