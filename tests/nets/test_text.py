"""Words beside a picture: attention equals a reference, words that are not there do not count, order does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.nets.text import CrossAttention, TextEncoder, Words


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def words():
    bias = np.where(np.arange(5) < [[3], [5]], 0.0, -1e9)
    return Words(jax.random.normal(jax.random.key(1), (2, 5, 6)), jnp.asarray(bias, jnp.float32)[:, None, None])


def test_cross_attention_is_the_textbooks(words):
    """Two heads of 32 over a 3 x 2 map, written out in NumPy (Vaswani 2017, eq. 1)."""
    layer = CrossAttention(64, 6, rngs=nnx.Rngs(0), zero=False)
    x = jax.random.normal(jax.random.key(2), (2, 3, 2, 64))
    flat = np.asarray(x, np.float64).reshape(2, 6, 64)
    normed = (flat - flat.mean(-1, keepdims=True)) / np.sqrt(flat.var(-1, keepdims=True) + 1e-6)
    q = normed @ np.asarray(layer.query.kernel[...], np.float64)
    k, v = np.split(np.asarray(words.states, np.float64) @ np.asarray(layer.pair.kernel[...], np.float64), 2, -1)
    heads = [slice(0, 32), slice(32, 64)]
    bias = np.asarray(words.bias, np.float64)[:, 0]
    mixed = [softmax(q[..., h] @ k[..., h].transpose(0, 2, 1) / np.sqrt(32) + bias) @ v[..., h] for h in heads]
    expected = flat + np.concatenate(mixed, -1) @ np.asarray(layer.out.kernel[...], np.float64)
    np.testing.assert_allclose(np.asarray(layer(x, words)).reshape(2, 6, 64), expected, atol=2e-5)


def test_it_begins_as_the_identity(words):
    x = jnp.ones((2, 4, 64))
    np.testing.assert_array_equal(CrossAttention(64, 6, rngs=nnx.Rngs(0))(x, words), x)


@pytest.fixture(scope="module")
def read():
    return TextEncoder("text", 9, 32, 2, rngs=nnx.Rngs(0))


def test_what_is_not_there_does_not_count(read):
    short, long = read(jnp.array([[3, 4]])), read(jnp.array([[3, 4, -1, -1]]))
    np.testing.assert_allclose(short.states, long.states[:, :3], atol=1e-5)
    assert (np.asarray(long.bias)[0, 0, 0] < 0).tolist() == [False] * 3 + [True] * 2


def test_an_empty_line_is_finite_and_has_a_beginning(read):
    words = read(jnp.full((1, 4), -1))
    assert np.isfinite(words.states).all() and np.asarray(words.bias)[0, 0, 0, 0] == 0


def test_words_and_their_order_are_heard(read):
    lines = [np.asarray(read(jnp.array([row])).line[0]) for row in ([3, 4], [4, 3], [3, 5])]
    for i, j in ((0, 1), (0, 2)):
        assert np.abs(lines[i] - lines[j]).max() > 1e-3
