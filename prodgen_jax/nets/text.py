"""Words beside a picture: an encoder that reads them, and attention by which places of a picture look at them."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.nets.attention import attention
from prodgen_jax.nets.blocks import fourier
from prodgen_jax.nets.layers import dense

HEAD = 32  # numbers that one head of attention compares
FAR = -1e9  # what a place without a word adds to its score


class Words(NamedTuple):
    """What was read: a state per word, behind one of where the line begins; bias: 0, or FAR where no word is."""

    states: Float[Array, "b n d"]
    bias: Float[Array, "b 1 1 n"]

    @property
    def line(self) -> Float[Array, "b d"]:
        """The whole line as one vector: the mean of its states."""
        here = (self.bias[:, 0, 0, :, None] == 0).astype(self.states.dtype)
        return (self.states * here).sum(1) / here.sum(1)


class CrossAttention(nnx.Module):
    """x + what each of its places takes from the words. Vaswani 2017, section 3.2.3; Rombach 2022, section 3.3.

    Where x and the words are the same it is self-attention.
    """

    def __init__(self, width: int, said: int, *, rngs: nnx.Rngs, zero: bool = True):
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.query, self.pair = dense(width, width, rngs=rngs), dense(said, 2 * width, rngs=rngs)
        self.out = dense(width, width, rngs=rngs, zero=zero)
        self.heads = max(width // HEAD, 1)

    def __call__(self, x: Float[Array, "b ... c"], words: Words) -> Float[Array, "b ... c"]:
        return self.look(x, self.pair(words.states), words.bias)

    def look(self, x: Float[Array, "b ... c"], pair: Float[Array, "b n 2*c"], bias: Array) -> Float[Array, "b ... c"]:
        """The same at words of which keys and values are known already."""
        b, c = x.shape[0], x.shape[-1]
        split = (b, -1, self.heads, c // self.heads)
        key, value = (part.reshape(split) for part in jnp.split(pair, 2, axis=-1))
        query = self.query(self.norm(x)).reshape(split)
        return x + self.out(attention(query, key, value, bias).reshape(x.shape))


class TextBlock(nnx.Module):
    """Self-attention over the words, then a dense layer on each (Vaswani 2017), norms first (Xiong 2020)."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.attend = CrossAttention(width, width, rngs=rngs, zero=False)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.wide, self.narrow = dense(width, 4 * width, rngs=rngs), dense(4 * width, width, rngs=rngs)

    def __call__(self, words: Words) -> Words:
        x = self.attend(words.states, words._replace(states=self.attend.norm(words.states)))
        return words._replace(states=x + self.narrow(jax.nn.gelu(self.wide(self.norm(x)))))


class VectorReader(nnx.Module):
    """A vector as a few states to look at, and their mean as the whole of it. Ramesh 2022, section 2.1.

    label: by which name it is told; length: numbers in the vector; width: numbers in a state.
    """

    def __init__(self, label: str, length: int, width: int, states: int = 4, *, rngs: nnx.Rngs):
        self.spread = dense(length, states * width, rngs=rngs)
        self.label, self.width = label, width

    def __call__(self, vector: Float[Array, "b d"]) -> Words:
        states = self.spread(vector).reshape(len(vector), -1, self.width)
        return Words(states, jnp.zeros((len(vector), 1, 1, states.shape[1])))


class TextEncoder(nnx.Module):
    """Word numbers (-1: no word) -> their states in their context, behind one of where the line begins.

    label: by which name it is told them; known: how many words there are; width: numbers that describe a word.
    """

    def __init__(self, label: str, known: int, width: int, depth: int, *, rngs: nnx.Rngs):
        self.table = nnx.Embed(known + 1, width, rngs=rngs)  # row 0 is where the line itself begins
        self.blocks = nnx.List([TextBlock(width, rngs=rngs) for _ in range(depth)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.label, self.width = label, width

    def __call__(self, text: Int[Array, "b n"]) -> Words:
        text = jnp.pad(text, ((0, 0), (1, 0)), constant_values=-1)
        here = (text >= 0).at[:, 0].set(True)  # an empty line still has its beginning
        x = self.table(text + 1) * math.sqrt(self.width)  # as large as the positions. Vaswani 2017, section 3.4
        x = x + fourier(jnp.arange(text.shape[1], dtype=jnp.float32), self.width).astype(x.dtype)
        words = Words(x, jnp.where(here, 0.0, FAR)[:, None, None])
        for block in self.blocks:
            words = block(words)
        return words._replace(states=self.norm(words.states))
