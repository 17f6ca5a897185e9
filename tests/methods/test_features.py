"""What networks make of photos on their way to an answer: one vector for each photo, whatever stands beside it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.methods.core import init_state

SIZE, N = 8, 4
NONE = {
    "progressive",
    "adagan",
    "pix2pix",
    "pix2pixhd",
    "srgan",
    "cyclegan",
    "adain",
}  # critics of several sizes or many
DIT = {"network": "dit", "dit_width": 16, "dit_depth": 2, "dit_heads": 2}
CASES = [
    *((name, {}) for name in METHODS if name not in NONE),
    ("dcgan", {"spectral": True}),
    ("cvae", {"condition": "type"}),
    ("ddpm", {"condition": "type,text", "adapt": "lora", "rank": 2}),
    ("flow", DIT),
]


@pytest.fixture(scope="module")
def build(tiny_recipe):
    return lambda name, **settings: tiny_recipe(name, **settings).build(
        Spec(SIZE, 3, {"type": 3, "colour": 2}, words=9)
    )


@pytest.mark.parametrize(
    "name, settings", CASES, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_a_photo_s_features_are_its_own(build, name, settings):
    method = build(name, **settings)
    look = jax.jit(method.features)
    params = init_state(method, jax.random.key(0)).averaged
    images = jax.random.uniform(jax.random.key(1), (N, SIZE, SIZE, 3), minval=-1, maxval=1)
    keys = jax.random.split(jax.random.key(2), N)
    found = np.asarray(look(params, images, keys))
    assert found.ndim == 2 and len(found) == N and np.isfinite(found).all()
    others = look(params, jnp.concatenate([images[:1], 1 - images[1:]]), keys)
    np.testing.assert_allclose(found[0], others[0], atol=1e-4)
    assert not np.allclose(found[1:], others[1:], atol=1e-3)


@pytest.mark.parametrize("name", sorted(NONE))
def test_what_looks_at_no_photo_alone_says_so(build, name):
    assert build(name).features is None


def test_a_task_leaves_a_denoiser_none(build):
    assert build("ddpm", task="grey").features is None
