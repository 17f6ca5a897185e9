"""Attention: each place of `query` takes a weighted mean of `value`, by how well its query meets their keys."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.layers import settled


def attention(
    query: Float[Array, "b n h d"],
    key: Float[Array, "b m h d"],
    value: Float[Array, "b m h d"],
    bias: Float[Array, "b 1 1 m"] | None = None,
) -> Float[Array, "b n h d"]:
    """softmax(query key / sqrt(d) + bias) value, for each of h heads. Vaswani 2017, equation 1; weights in float32.

    On CPU, in float32, what has n x m numbers is read and written as seldom as XLA allows there.
    """
    if jax.default_backend() == "cpu" and query.dtype == jnp.float32:
        return few_passes(query, key, value, bias)
    if bias is not None:
        bias = jnp.broadcast_to(bias, (len(query), query.shape[2], query.shape[1], key.shape[1])).astype(query.dtype)
    return jax.nn.dot_product_attention(query, key, value, bias=bias)


def few_passes(query: Array, key: Array, value: Array, bias: Array | None) -> Array:
    """The same. A column of ones beside the values sums the weights within the one product, and the quotient is taken
    of its result; the gradient of such a softmax has no sum over m of its own either."""
    query, summed = query * query.shape[-1] ** -0.5, jnp.concatenate([value, jnp.ones_like(value[..., :1])], axis=-1)
    scores = jnp.einsum("bnhd,bmhd->bhnm", settled(query), settled(key))
    scores = settled(scores if bias is None else scores + bias)
    weights = settled(jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True))))
    taken = settled(jnp.einsum("bhnm,bmhd->bhnd", weights, settled(summed)))
    return settled((taken[..., :-1] / taken[..., -1:]).transpose(0, 2, 1, 3))
