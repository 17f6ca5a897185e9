"""Which parameters Muon steps, how far, and that it stands in a denoiser's stead of Adam."""

import jax
import numpy as np
import optax
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.adapt import named
from prodgen_jax.methods.optimizers import ADAM_LIKE, OPTIMIZERS

RATE = 0.01


@pytest.fixture(scope="module", params=["unet", "dit"])
def group(request, tiny_recipe):
    """The parameters of a small network that is told two attributes and words."""
    small = {"dit_width": 8, "dit_depth": 1, "dit_heads": 2, "dit_patch": 4, "text_width": 8, "text_depth": 1}
    made = tiny_recipe("flow", network=request.param, condition=("type", "text"), **small)
    method = made.build(Spec(8, 3, {"type": 3}, words=5))
    rng, shapes = np.random.default_rng(0), jax.eval_shape(method.init, jax.random.key(0))[0]
    return jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("f"), shapes[request.param])


def first_update(optimizer, group, gradient):
    return named(optimizer.update(gradient, optimizer.init(group), group)[0])


def test_muon_makes_singular_values_alike_of_every_kernel_between_the_first_layer_and_the_last(group):
    rng = np.random.default_rng(1)
    gradient = jax.tree.map(lambda leaf: rng.normal(0, 1, leaf.shape).astype("f"), group)
    by_muon = first_update(OPTIMIZERS["muon"](optax.constant_schedule(RATE), 0.0), group, gradient)
    by_adam = first_update(optax.nadam(RATE, b2=0.99), group, gradient)
    matrices = 0
    for name, update in by_muon.items():
        rows = update.reshape(-1, update.shape[-1])
        if name.endswith("kernel") and not name.startswith(("entry", "exit")) and min(rows.shape) > 1:
            values = np.linalg.svd(rows, compute_uv=False) / (RATE * ADAM_LIKE * max(rows.shape) ** 0.5)
            assert 0.3 < np.median(values) and values.max() < 1.4, name
            matrices += 1
        else:
            np.testing.assert_allclose(update, by_adam[name], rtol=1e-5)
    assert matrices >= 8


def test_an_optimizer_that_is_not_known_is_named(tiny_recipe):
    with pytest.raises(InputError, match="optimizer=sgd.*adam, muon"):
        tiny_recipe("flow", optimizer="sgd").build(Spec(8))
