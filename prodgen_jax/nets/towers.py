"""Two towers that meet: a picture and a line of words as points of one space, and what guesses one from the other."""

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.nets.blocks import fourier
from prodgen_jax.nets.classifier import stage_widths, stages
from prodgen_jax.nets.layers import dense
from prodgen_jax.nets.text import TextEncoder


class PictureTower(nnx.Module):
    """Picture -> `length` numbers. width: channels of the first stage, doubled by each of the next two."""

    def __init__(self, size: int, channels: int, width: int, length: int, *, rngs: nnx.Rngs):
        widths = stage_widths(size, width)
        self.stages = stages(widths, channels, rngs=rngs)
        side = size // 2 ** len(widths)
        self.out = dense(side * side * [channels, *widths][-1], length, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
        for stage in self.stages:
            x = stage(x)
        return self.out(x.reshape(len(x), -1))


class LineTower(nnx.Module):
    """Word numbers (-1: no word) -> `length` numbers: the mean of the words' states in their context."""

    def __init__(self, label: str, known: int, width: int, depth: int, length: int, *, rngs: nnx.Rngs):
        self.text = TextEncoder(label, known, width, depth, rngs=rngs)
        self.out = dense(width, length, rngs=rngs)

    def __call__(self, text: Int[Array, "b n"]) -> Float[Array, "b d"]:
        return self.out(self.text(text).line)


class PriorBlock(nnx.Module):
    """x + dense(silu(film(dense(norm(x))))); what is said scales and shifts the middle."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm, self.wide = nnx.LayerNorm(width, rngs=rngs), dense(width, 2 * width, rngs=rngs)
        self.film = dense(width, 4 * width, rngs=rngs, zero=True)
        self.narrow = dense(2 * width, width, rngs=rngs, zero=True)

    def __call__(self, x: Float[Array, "b w"], said: Float[Array, "b w"]) -> Float[Array, "b w"]:
        gain, shift = jnp.split(self.film(said), 2, axis=-1)
        return x + self.narrow(nnx.silu(self.wide(self.norm(x)) * (1 + gain) + shift))


class PriorNet(nnx.Module):
    """A noisy point of the space, a time in [0, 1] and a line's point -> a prediction of the first one's shape."""

    def __init__(self, length: int, width: int, depth: int, *, rngs: nnx.Rngs):
        self.entry, self.line = dense(length, width, rngs=rngs), dense(length, width, rngs=rngs)
        self.time = dense(width, width, rngs=rngs)
        self.blocks = nnx.List([PriorBlock(width, rngs=rngs) for _ in range(depth)])
        self.norm, self.exit = nnx.LayerNorm(width, rngs=rngs), dense(width, length, rngs=rngs, zero=True)
        self.width = width

    def __call__(self, x: Float[Array, "b d"], t: Float[Array, "b"], line: Float[Array, "b d"]) -> Float[Array, "b d"]:
        x, said = self.entry(x), nnx.silu(self.time(fourier(1000 * t, self.width)) + self.line(line))
        for block in self.blocks:
            x = block(x, said)
        return self.exit(self.norm(x))
