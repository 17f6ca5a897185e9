"""Bits of 8-bit pictures: a denoiser's bound against the entropy of data whose best denoiser is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.bits import bits_report
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import init_state
from prodgen_jax.methods.gaussian import cosine, curved, even, exploding, straight, strided, table_path
from prodgen_jax.methods.likelihood import HALF_STEP, bits_per_dim, chain_bound, even_levels
from prodgen_jax.training.fit import fit

SPREAD, SHAPE = 0.3, (64, 4, 4, 3)
PATHS = {  # each with times that sampling visits
    "cosine": (table_path(cosine(1000)), strided(1000, 5)),
    "straight": (straight, even(5)),
    "exploding": (exploding, curved(5, 0.002, 80.0, 7.0)),
}


@pytest.fixture(scope="module")
def levels():
    """Numbers of N(0, SPREAD^2) on the 256 levels, and the bits that their own distribution gives each."""
    drawn = np.clip(np.random.default_rng(0).normal(0, SPREAD, SHAPE), -1, 1)
    x = np.round((drawn + 1) * 127.5) / 127.5 - 1
    inner = norm.cdf(x + HALF_STEP, scale=SPREAD) - norm.cdf(x - HALF_STEP, scale=SPREAD)
    return jnp.asarray(x, jnp.float32), float(-np.log2(inner).mean())


def best(x, p):
    """E[x_0 | x_t] for such numbers."""
    return p.alpha * SPREAD**2 * x / (p.alpha**2 * SPREAD**2 + p.sigma**2)


def bits(denoise, name, x, steps):
    path, times = PATHS[name]
    points = path(jnp.asarray(even_levels(path, times, steps)))
    keys = jax.random.split(jax.random.key(0), len(x))
    return float(bits_per_dim(chain_bound(denoise, points, x, keys), x[0].size).mean())


@pytest.mark.parametrize("name", PATHS)
def test_the_best_denoiser_needs_hardly_more_than_the_entropy(levels, name):
    x, entropy = levels
    few, many = bits(best, name, x, 60), bits(best, name, x, 400)
    assert entropy < many < entropy + (0.42 if name == "cosine" else 0.25)  # whose times are whole, and few at the end
    assert many + 0.1 < few < entropy + 1  # what short chains cost


@pytest.mark.parametrize("name", PATHS)
def test_levels_are_even(name):
    path, times = PATHS[name]
    found = even_levels(path, times, 50)
    np.testing.assert_array_equal(jax.jit(lambda: even_levels(path, times, 50) + 0)(), found)
    assert found[0] == times[0] and found[-1] == 0 and (np.diff(found) < 0).all() and len(found) <= 51
    steps = np.diff(np.log(np.asarray(path(jnp.asarray(found[2:-1])).level, float)))
    assert (steps < 0).all() and (name == "cosine" or np.ptp(steps) < 0.01)


def test_a_worse_denoiser_costs_more(levels):
    x, entropy = levels
    assert bits(lambda x, p: 0.7 * best(x, p), "straight", x, 60) > bits(best, "straight", x, 60) + 0.2


def test_a_gan_gives_photos_no_probability(two_colors, tiny_recipe, tmp_path):
    run = fit(tiny_recipe("dcgan"), two_colors, tmp_path / "run", steps=1)
    with pytest.raises(InputError, match="a dcgan gives pictures no probability"):
        bits_report(run, two_colors)


def test_who_has_a_likelihood(tiny_recipe):
    """Each photo's own bits, the same however many are asked for at once; and none where there is no probability."""
    images = jax.random.randint(jax.random.key(1), (4, 8, 8, 3), 0, 256) / 127.5 - 1
    keys = jax.random.split(jax.random.key(2), 4)
    for name in ("ddpm", "edm", "flow", "vae"):
        method = tiny_recipe(name).build(Spec(8))
        params = init_state(method, jax.random.key(0)).averaged
        found = jax.jit(method.bits)(params, {"image": images, "label": {}}, keys)
        assert found.shape == (4,) and bool((found > 0).all())
        alone = jax.jit(method.bits)(params, {"image": images[1:2], "label": {}}, keys[1:2])
        if name == "vae":  # a denoiser's last scale is the batch's
            np.testing.assert_allclose(found[1], alone[0], rtol=1e-5)
            told = method.validate(params, {"image": images, "label": {}}, keys)["bits_per_dim"]
            np.testing.assert_allclose(found.mean(), told, rtol=1e-5)
    for name, more in (("dcgan", {}), ("latent", {}), ("ae", {}), ("ddpm", {"task": "grey"})):
        assert tiny_recipe(name, **more).build(Spec(8)).bits is None, name
