"""Parts of a batch hold less than the whole; that they add up to it is shown with the loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.evaluation.compare import compiled_step
from prodgen_jax.methods import Spec
from prodgen_jax.training.accumulate import accumulated, after


@pytest.mark.slow
def test_a_compiled_step_in_parts_holds_less(tiny_recipe):
    """As XLA lays out the step's memory. Unrolled, as on CPU, where nothing but data keeps parts apart."""
    made = tiny_recipe("flow", network="dit", dit_width=16, dit_depth=2, dit_heads=2, dit_patch=2)

    def megabytes(parts):
        method = accumulated(made.build(Spec(32)), parts, unroll=True)
        return compiled_step(method, Spec(32), 32, (True,)).memory_analysis().temp_size_in_bytes / 1e6

    assert megabytes(4) < 0.5 * megabytes(1)


def test_waiting_changes_nothing():
    done = {"value": jnp.float32(3), "grad": jnp.array([-2.0, 5.0])}
    own = {"image": jnp.array([[0.5, -1.0]]), "label": jnp.array([3])}, jax.random.split(jax.random.key(0), 1)
    same = jax.jit(after)(done, own)
    np.testing.assert_array_equal(same[0]["image"], own[0]["image"])
    assert same[0]["label"].dtype == own[0]["label"].dtype and same[1] == own[1]
