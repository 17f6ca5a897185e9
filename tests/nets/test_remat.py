"""Rematerialization changes what a step holds, and nothing that it computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.nets.dit import DiT
from prodgen_jax.nets.unet import UNet

DENOISERS = {
    "unet": lambda remat, rngs: UNet(3, 8, (1, 2), 2, (1,), 2, {"type": 2}, dropout=0.2, remat=remat, rngs=rngs),
    "dit": lambda remat, rngs: DiT(3, 16, 3, 2, 2, {"type": 2}, dropout=0.2, remat=remat, rngs=rngs),
}


def gradient(name, remat):
    """(loss and gradient as a function of (params, x, t, label, keys), compiled when it is called; params' shapes)."""
    graph, params = nnx.split(nnx.eval_shape(lambda: DENOISERS[name](remat, nnx.Rngs(0))), nnx.Param)

    def loss(params, *inputs):
        return jnp.mean(jnp.square(nnx.merge(graph, params, copy=True)(*inputs) - 1))

    return jax.jit(jax.value_and_grad(loss)), params


@pytest.mark.slow
@pytest.mark.parametrize("name", DENOISERS)
def test_loss_and_gradient_are_the_same(name):
    rng, (plain, shapes), (again, _) = np.random.default_rng(0), gradient(name, False), gradient(name, True)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("f"), shapes)
    inputs = (rng.normal(size=(3, 8, 8, 3)).astype("f"), np.float32([0.1, 0.5, 0.9]), {"type": np.array([0, 1, -1])})
    one, two = (step(params, *inputs, jax.random.split(jax.random.key(0), 3)) for step in (plain, again))
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), one, two)


@pytest.mark.slow
@pytest.mark.parametrize("name", DENOISERS)
def test_a_compiled_step_holds_less(name):
    """As XLA lays out the step's memory; on CPU `jax.checkpoint` leaves it as it is."""
    of = jax.ShapeDtypeStruct
    inputs = of((32, 32, 32, 3), jnp.float32), of((32,), jnp.float32), {"type": of((32,), jnp.int32)}

    def megabytes(remat):
        step, params = gradient(name, remat)
        return step.lower(params, *inputs).compile().memory_analysis().temp_size_in_bytes / 1e6

    assert megabytes(True) < 0.7 * megabytes(False)
