"""Spectral normalization against the singular values of NumPy, and its gradient against that of W / sigma(W)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.nets.dcgan import Discriminator
from prodgen_jax.nets.spectral import matrix, normalize, start_vectors, weights


@pytest.fixture(scope="module")
def params():
    return jax.jit(lambda: nnx.state(Discriminator(16, 3, 8, rngs=nnx.Rngs(0)), nnx.Param))()


def iterate(params, steps):
    vectors, step = start_vectors(params, jax.random.key(1)), jax.jit(normalize)
    for _ in range(steps):
        normal, vectors = step(params, vectors)
    return normal, vectors


def test_after_enough_steps_the_largest_singular_value_is_one(params):
    normal, vectors = iterate(params, 200)
    assert list(weights(params)) == list(vectors) and len(vectors) == 3
    for name, weight in weights(normal).items():
        assert np.linalg.svd(matrix(np.asarray(weight)), compute_uv=False)[0] == pytest.approx(1, abs=2e-3)
        assert float(jnp.linalg.norm(vectors[name])) == pytest.approx(1, rel=1e-5)


def test_biases_stay_and_weights_keep_their_direction(params):
    shifted = jax.tree.map(lambda p: p + 1 if p.ndim == 1 else p, params)
    normal, _ = iterate(shifted, 3)
    for before, after in zip(jax.tree.leaves(shifted), jax.tree.leaves(normal), strict=True):
        if before.ndim == 1:
            np.testing.assert_array_equal(before, after)
        else:
            ratio = np.asarray(before / after)
            np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-4)
            assert ratio.flat[0] > 0


def test_one_step_goes_on_where_the_last_one_stopped(params):
    """The vectors carry: twenty single steps find what one call with their end would."""
    _, early = iterate(params, 1)
    _, late = iterate(params, 20)
    true = {name: np.linalg.svd(matrix(np.asarray(w)))[2][0] for name, w in weights(params).items()}
    for name in late:
        assert (
            abs(true[name] @ late[name]) > abs(true[name] @ early[name]) - 1e-6 and abs(true[name] @ late[name]) > 0.9
        )


def test_gradient_is_that_of_the_weight_over_its_singular_value():
    tree = {"w": jnp.diag(jnp.array([3.0, 1.0, 0.5])) + 0.1 * jax.random.normal(jax.random.key(0), (3, 3))}
    toward, (_, vectors) = jax.random.normal(jax.random.key(2), (3, 3)), iterate(tree, 100)
    ours = jax.grad(lambda t: jnp.sum(normalize(t, vectors)[0]["w"] * toward))(tree)["w"]
    true = jax.grad(lambda t: jnp.sum(t["w"] / jnp.linalg.norm(t["w"], 2) * toward))(tree)["w"]
    np.testing.assert_allclose(ours, true, atol=1e-4)
