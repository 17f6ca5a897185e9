"""Layers against what they are defined by: adjoints, flax's own norm, inverses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.nets.blocks import (
    ConvTranspose,
    GroupNorm,
    affine,
    affine_silu,
    conv,
    conv_transpose,
    depth_to_space,
    fourier,
    minibatch_deviation,
    pixel_sum,
)
from prodgen_jax.nets.blocks import space_to_depth as to_depth

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


@pytest.mark.parametrize("channels, groups", [(16, 8), (8, 8), (12, 4)])
def test_group_norm_equals_that_of_flax(channels, groups):
    x = 3 * draw(8, 2, 5, 7, channels) + 2
    ours = GroupNorm(channels, groups, rngs=nnx.Rngs(0))
    theirs = nnx.GroupNorm(channels, num_groups=groups, epsilon=1e-5, rngs=nnx.Rngs(0))
    for net in (ours, theirs):
        net.scale[...], net.bias[...] = draw(9, channels), draw(10, channels)
    np.testing.assert_allclose(ours(x), theirs(x), atol=2e-5)
    half = ours(x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), theirs(x), atol=0.2)


def test_gradients_of_the_fused_activation_are_those_of_its_parts():
    """First and second ones, in all three arguments."""
    x, gain, shift, seen = draw(15, 2, 3, 5, 4), draw(16, 2, 4), draw(17, 2, 4), draw(18, 2, 3, 5, 4)

    def first(act):
        return jax.grad(lambda *inputs: (seen * act(*inputs)).sum(), argnums=(0, 1, 2))

    def second(act):
        return jax.grad(lambda *inputs: sum((g**2).sum() for g in first(act)(*inputs)), argnums=(0, 1, 2))

    def parts(*inputs):
        return jax.nn.silu(affine(*inputs))

    for order in (first, second):
        for ours, plain in zip(order(affine_silu)(x, gain, shift), order(parts)(x, gain, shift), strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-4)


def test_group_norm_refuses_channels_that_do_not_divide():
    with pytest.raises(ValueError, match="12.*8"):
        GroupNorm(12, 8, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 2, 12)))


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_space_to_depth_and_back(patch):
    x = draw(11, 2, 8, 16, 3)
    deep = to_depth(x, patch)
    assert deep.shape == (2, 8 // patch, 16 // patch, 3 * patch**2)
    np.testing.assert_array_equal(deep[1, 1, 0], x[1, patch : 2 * patch, :patch].reshape(-1))
    np.testing.assert_array_equal(depth_to_space(deep, patch), x)


def test_fourier_features_have_their_periods():
    t = jnp.array([0.0, 1.0, 250.0])
    rates = 1e4 ** -(np.arange(4) / 4)
    angles = np.asarray(t)[:, None] * rates
    np.testing.assert_allclose(fourier(t, 8), np.concatenate([np.cos(angles), np.sin(angles)], 1), atol=1e-4)


def test_minibatch_deviation_equals_its_definition():
    x = draw(12, 6, 2, 3, 4)
    found = minibatch_deviation(x, 3)
    np.testing.assert_array_equal(found[..., :4], x)
    for group in (slice(0, 3), slice(3, 6)):
        wanted = np.std(np.float64(x[group]), axis=0).mean()
        np.testing.assert_allclose(found[group, ..., 4], np.full((3, 2, 3), wanted), rtol=1e-5)


def test_minibatch_deviation_tells_copies_and_knows_no_devices():
    """Copies deviate by nothing, with a finite slope; a batch in halves gives what the whole gives."""
    copies = jnp.ones((4, 2, 2, 3))
    assert float(minibatch_deviation(copies, 2)[..., 3].max()) < 2e-4
    assert np.isfinite(jax.grad(lambda x: minibatch_deviation(x, 2).sum())(copies)).all()
    x = draw(13, 8, 2, 2, 3)
    halves = jnp.concatenate([minibatch_deviation(half, 2) for half in jnp.split(x, 2)])
    np.testing.assert_array_equal(halves, minibatch_deviation(x, 2))


def test_minibatch_deviation_refuses_groups_that_do_not_fit():
    with pytest.raises(InputError, match="stddev_group=4.* 6 here"):
        minibatch_deviation(draw(14, 6, 2, 2, 3), 4)


def test_a_sum_over_pixels_and_its_gradients_are_the_plain_one():
    x, weight = draw(11, 2, 4, 6, 3), draw(12, 2, 3)
    np.testing.assert_allclose(pixel_sum(x), x.sum((1, 2)), rtol=1e-5, atol=1e-5)
    grad = jax.grad(lambda x: (weight * pixel_sum(x)).sum())(x)
    np.testing.assert_array_equal(grad, jnp.broadcast_to(weight[:, None, None], x.shape))
    _, forward = jax.jvp(pixel_sum, (x,), (x,))
    np.testing.assert_allclose(forward, x.sum((1, 2)), rtol=1e-5, atol=1e-5)
    assert pixel_sum(x.astype(jnp.bfloat16)).dtype == jnp.float32
