"""The projection critic against its equation in NumPy, and conditional norms against gain and shift."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.nets.cgan import ConditionalDiscriminator, Film
from prodgen_jax.nets.dcgan import Discriminator

ATTRIBUTES = {"type": 3, "colour": 2}


@pytest.fixture(scope="module")
def critic():
    rngs = nnx.Rngs(0)
    return ConditionalDiscriminator(Discriminator(8, 3, 8, rngs=rngs), ATTRIBUTES, rngs=rngs)


def test_the_projection_is_summed_over_what_is_said(critic):
    """D(x, y) = out(f) + sum_a <v_a[y_a], f>, and a missing attribute adds nothing. Miyato & Koyama 2018, eq. 3."""
    x = jax.random.normal(jax.random.key(0), (6, 8, 8, 3))
    label = {"type": np.array([0, 1, 2, -1, 2, -1]), "colour": np.array([0, 1, -1, 1, -1, -1])}
    features = np.float64(critic.net.features(x))
    wanted = features @ np.float64(critic.net.out.kernel[...])[:, 0] + float(critic.net.out.bias[0])
    for name, values in label.items():
        table = np.float64(critic.tables[name].embedding[...])
        wanted += np.array([table[v] @ f if v >= 0 else 0 for v, f in zip(values, features, strict=True)])
    found = critic(x, {name: jnp.asarray(values) for name, values in label.items()})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert float(found[5]) == pytest.approx(float(critic.net(x)[5]), rel=1e-5)


def test_film_is_gain_and_shift_of_each_channel():
    film = Film(4, 2, rngs=nnx.Rngs(0))
    x, emb = jax.random.normal(jax.random.key(0), (3, 5, 5, 2)), jax.random.normal(jax.random.key(1), (3, 4))
    np.testing.assert_array_equal(film(x, emb), x)
    kernel = np.random.default_rng(0).normal(size=(4, 4)).astype("f")
    film.film.kernel[...] = kernel
    gain, shift = np.split(np.asarray(emb) @ kernel, 2, axis=-1)
    np.testing.assert_allclose(film(x, emb)[1, 2, 3], x[1, 2, 3] * (1 + gain[1]) + shift[1], rtol=1e-4, atol=1e-5)
