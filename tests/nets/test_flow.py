"""The flow by what a density must keep: there and back, the Jacobian's determinant, and N(0, 1) at birth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.nets.flow import Flow


@pytest.fixture(scope="module")
def bent():
    """A flow over 6 numbers with noise for parameters, compiled: (forward, inverse)."""
    flow = Flow(6, 5, 16, rngs=nnx.Rngs(0))
    graph, params = nnx.split(flow)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype("f"), params)
    merged = nnx.merge(graph, params)
    return jax.jit(merged.forward), jax.jit(merged.inverse)


def test_there_and_back(bent):
    forward, inverse = bent
    z = jax.random.normal(jax.random.key(1), (32, 6))
    assert float(abs(forward(z)[0] - z).max()) > 0.5
    np.testing.assert_allclose(inverse(forward(z)[0]), z, atol=1e-4)


def test_log_determinant_is_that_of_the_jacobian(bent):
    forward, _ = bent
    z = jax.random.normal(jax.random.key(2), (4, 6))
    jacobian = jax.vmap(jax.jacobian(lambda v: forward(v[None])[0][0]))(z)
    np.testing.assert_allclose(forward(z)[1], np.linalg.slogdet(jacobian)[1], atol=1e-4)


def test_at_birth_it_only_swaps_places():
    z = jax.random.normal(jax.random.key(3), (4, 6))
    for couplings in (0, 1, 2):
        u, log_det = Flow(6, couplings, 16, rngs=nnx.Rngs(0)).forward(z)
        expected = jnp.roll(z, 3, axis=1) if couplings % 2 else z
        np.testing.assert_array_equal(u, expected)
        assert not log_det.any()


def test_an_odd_size_is_refused():
    with pytest.raises(ValueError, match="even, not 5"):
        Flow(5, 2, rngs=nnx.Rngs(0))
    assert not Flow(5, 0, rngs=nnx.Rngs(0)).couplings
