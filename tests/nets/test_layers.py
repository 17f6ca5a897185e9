"""Layers with kernels against what they are defined by: flax's own layers, adjoints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.nets.layers import Conv, ConvTranspose, Linear, conv, conv_transpose, convolve, dense, settled
from prodgen_jax.training.compiler import jitted

SHAPES = [(4, 2), (3, 2), (5, 3), (3, 1)]  # kernel, stride


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def dilated(x, kernel, stride):
    """The same map as a convolution of the input spread out by `stride`, with XLA's own gradients."""
    k = kernel.shape[0]
    before = k - 1 - max(k - stride, 0) // 2
    pads = [(before, stride + k - 2 - before)] * 2
    return jax.lax.conv_general_dilated(
        x, kernel[::-1, ::-1], (1, 1), pads, (stride, stride), dimension_numbers=("NHWC", "HWOI", "NHWC")
    )


@pytest.mark.parametrize("k, stride", SHAPES)
def test_conv_transpose_is_the_adjoint_of_the_strided_convolution(k, stride):
    kernel, x, y = draw(0, k, k, 3, 5), draw(1, 2, 4, 6, 5), draw(2, 2, 4 * stride, 6 * stride, 3)
    down = jax.lax.conv_general_dilated(y, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    up = conv_transpose(x, kernel, stride)
    assert up.shape == y.shape
    assert float(jnp.vdot(up, y)) == pytest.approx(float(jnp.vdot(x, down)), rel=1e-4)


@pytest.mark.parametrize("k, stride", [*SHAPES, (2, 2), (6, 3), (3, 3)])
@pytest.mark.parametrize("rows, columns", [(12, 6), (9, 11)])
def test_convolutions_are_those_of_xla(k, stride, rows, columns):
    """Whichever way they are taken: a kernel and a map that the stride divides, or one that it does not."""
    x, kernel = draw(30, 2, rows, columns, 3), draw(31, k, k, 3, 5)
    theirs = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(convolve(x, kernel, stride), theirs, atol=2e-5)


@pytest.mark.parametrize("k, stride", SHAPES)
def test_conv_transpose_has_the_gradients_of_the_naive_form(k, stride):
    kernel, x, grad = draw(3, k, k, 3, 5), draw(4, 2, 4, 6, 5), draw(5, 2, 4 * stride, 6 * stride, 3)
    ours, pull = jax.vjp(lambda x, kernel: conv_transpose(x, kernel, stride), x, kernel)
    naive, naive_pull = jax.vjp(lambda x, kernel: dilated(x, kernel, stride), x, kernel)
    for found, wanted in zip((ours, *pull(grad)), (naive, *naive_pull(grad)), strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_a_fresh_layer_keeps_the_scale_of_its_input():
    """He's start for a ReLU to follow: twice the input's mean square."""
    layer = ConvTranspose(16, 32, rngs=nnx.Rngs(0))
    out = layer(draw(6, 4, 16, 16, 16))
    assert out.shape == (4, 32, 32, 32)
    assert float(jnp.mean(out[:, 2:-2, 2:-2] ** 2)) == pytest.approx(2, rel=0.1)
    layer.bias[...] += 1
    np.testing.assert_allclose(layer(jnp.zeros((1, 2, 2, 16))), 1)


def test_zero_convolutions_start_at_zero():
    assert not conv(3, 4, rngs=nnx.Rngs(0), zero=True)(draw(7, 1, 4, 4, 3)).any()
    assert conv(3, 4, 3, 2, rngs=nnx.Rngs(0))(draw(7, 1, 4, 4, 3)).shape == (1, 2, 2, 4)


PAIRS = {
    "conv": (lambda make: make(6, 4, (3, 3), (1, 1), padding="SAME", rngs=nnx.Rngs(0)), Conv, nnx.Conv),
    "strided": (lambda make: make(6, 8, (4, 4), (2, 2), padding="SAME", rngs=nnx.Rngs(0)), Conv, nnx.Conv),
    "pixel by pixel": (lambda make: make(6, 4, (1, 1), (1, 1), padding="SAME", rngs=nnx.Rngs(0)), Conv, nnx.Conv),
    "dense": (lambda make: make(6, 4, rngs=nnx.Rngs(0)), Linear, nnx.Linear),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_layer_is_that_of_flax_with_its_derivatives(name):
    """Forward, backward, and backward over forward, as R1 takes them; also where XLA heeds the barriers."""
    build, *kinds = PAIRS[name]
    x, along = draw(20, 2, 8, 8, 6), draw(21, 2, 8, 8, 6)
    found = []
    for kind in kinds:
        graph, params = nnx.split(build(kind))

        def answer(params, x, graph=graph):
            return jnp.sin(nnx.merge(graph, params)(x)).sum()

        def slope(params, x, answer=answer):
            return jax.jvp(lambda x: answer(params, x), (x,), (along,))[1]

        both = jitted(lambda params, x, a=answer, s=slope: [jax.value_and_grad(f, (0, 1))(params, x) for f in (a, s)])
        found.append(jax.tree.leaves(both(params, x)))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)


def test_a_layer_computes_in_the_precision_that_it_is_told():
    for layer in (conv(6, 4, rngs=nnx.Rngs(0)), conv(6, 4, 1, rngs=nnx.Rngs(0)), dense(6, 4, rngs=nnx.Rngs(0))):
        layer.dtype = jnp.bfloat16
        assert layer(draw(22, 1, 4, 4, 6)).dtype == jnp.bfloat16


def test_what_is_settled_is_computed_once_for_all_who_read_it():
    """Without it XLA on CPU computes it again for the product and for the turned-over copy."""

    def times(settle):
        def read(x, y):
            z = settle(jax.lax.reduce_precision(jax.nn.silu(x) * y, 8, 22))
            return z.sum((0, 1)), z.transpose(1, 2, 0), z @ jnp.ones((48, 8))

        x = jnp.ones((32, 64, 48))
        return jitted(read).lower(x, x).compile().as_text().count(" reduce-precision(")

    assert times(settled) == 1 < times(lambda x: x)
