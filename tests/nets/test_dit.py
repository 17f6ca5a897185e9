"""The transformer's own parts against flax's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.nets.attention import attention
from prodgen_jax.nets.dit import modulate


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def plain(x, shift, scale):
    norm = nnx.LayerNorm(x.shape[-1], use_bias=False, use_scale=False, rngs=nnx.Rngs(0))
    return norm(x) * (1 + scale[:, None]) + shift[:, None]


def test_modulation_is_flax_s_normalization_with_its_gradients():
    inputs, seen = (3 * draw(0, 3, 5, 8) + 2, draw(1, 3, 8), draw(2, 3, 8)), draw(3, 3, 5, 8)
    (ours, pull), (theirs, their_pull) = (jax.vjp(f, *inputs) for f in (modulate, plain))
    for found, wanted in zip((ours, *pull(seen)), (theirs, *their_pull(seen)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_modulation_in_half_precision_takes_its_statistics_in_full():
    x, shift, scale = (v.astype(jnp.bfloat16) for v in (draw(4, 2, 64, 256) + 30, draw(5, 2, 256), draw(6, 2, 256)))
    out, pull = jax.vjp(modulate, x, shift, scale)
    assert out.dtype == jnp.bfloat16 and [g.dtype for g in pull(out)] == [jnp.bfloat16] * 3
    exact = plain(*(v.astype(jnp.float32) for v in (x, shift, scale)))
    np.testing.assert_allclose(out.astype(jnp.float32), exact, rtol=0.02, atol=0.03)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_that_of_jax_with_its_gradients(masked):
    """Also where scores are too large for their exponential, and where keys are masked out."""
    query, key, value, seen = 40 * draw(7, 2, 6, 3, 8), draw(8, 2, 10, 3, 8), draw(9, 2, 10, 3, 8), draw(10, 2, 6, 3, 8)
    bias = jnp.where(jnp.arange(10) < 7, 0, -1e9)[None, None, None].repeat(2, 0) if masked else None
    full = None if bias is None else jnp.broadcast_to(bias, (2, 3, 6, 10)).astype(query.dtype)

    def ours(*given):
        return attention(*given, bias)

    def theirs(*given):
        return jax.nn.dot_product_attention(*given, bias=full)

    (found, pull), (wanted, their_pull) = (jax.vjp(f, query, key, value) for f in (ours, theirs))
    for a, b in zip((found, *pull(seen)), (wanted, *their_pull(seen)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
