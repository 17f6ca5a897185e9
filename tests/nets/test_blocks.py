"""Layers against what they are defined by: adjoints, flax's own norm, inverses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.nets.blocks import (
    GroupNorm,
    affine,
    affine_silu,
    fourier,
    minibatch_deviation,
    pixel_sum,
)
from prodgen_jax.nets.patches import depth_to_space
from prodgen_jax.nets.patches import space_to_depth as to_depth


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


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
