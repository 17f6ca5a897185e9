"""Perceptual distances: closed forms, and that the eye is the feature network's own beginning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.methods import Spec, classifier
from prodgen_jax.methods.perception import EYE, Eye, content_distance, gram, moments, roughness, style_distance


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(1, 2, (2, side, side, 3)), jnp.float32) for side in (8, 4, 4)]


def test_moments_and_gram(maps):
    x = np.asarray(maps[0], np.float64)
    mean, deviation = moments(maps[0])
    assert np.asarray(mean[:, 0, 0]) == pytest.approx(x.mean((1, 2)), rel=1e-5)
    assert np.asarray(deviation[:, 0, 0]) == pytest.approx(x.std((1, 2)), rel=1e-4)
    flat = x.reshape(2, 64, 3)
    assert np.asarray(gram(maps[0])) == pytest.approx(np.stack([f.T @ f / 64 for f in flat]), rel=1e-4)


def test_a_style_does_not_know_where_things_are(maps):
    """Shuffled pixels have the same Gram matrix and other content."""
    shuffled = [x.reshape(2, -1, 3)[:, ::-1].reshape(x.shape) for x in maps]
    wanted = [gram(x) for x in maps]
    assert style_distance([gram(x) for x in shuffled], wanted) == pytest.approx(0, abs=1e-10)
    assert content_distance(shuffled, maps) > 0.5 and content_distance(maps, maps) == 0
    assert style_distance([2 * g for g in wanted], wanted) == pytest.approx(1)
    larger = [x * jnp.array([1.0, 9.0])[:, None, None, None] for x in maps]  # the second picture counts no more for it
    assert content_distance([x * 1.5 for x in larger], larger) == pytest.approx(0.25, rel=1e-3)
    apart = [float(content_distance([x[i:][:1] for x in shuffled], [x[i:][:1] for x in maps])) for i in range(2)]
    assert content_distance(shuffled, maps) == pytest.approx(np.mean(apart), rel=1e-5)


def test_roughness():
    assert roughness(jnp.ones((1, 4, 4, 1))) == 0
    assert roughness(jnp.tile(jnp.array([0.0, 1.0]), (1, 4, 2))[..., None]) == 1  # along rows alone


@pytest.mark.parametrize("size", [8, 16, 32])
def test_the_eye_is_the_beginning_of_a_feature_network(size):
    spec = Spec(size, 3, {"colour": 3})
    network = classifier.network(classifier.Settings(), spec, jax.random.key(1))
    whole = nnx.state(network, nnx.Param)
    eye = Eye(spec)
    fresh = eye.init(jax.random.key(0))
    own = jax.tree.unflatten(jax.tree.structure(fresh), jax.tree.leaves({"stages": whole["stages"]}))
    x = jax.random.uniform(jax.random.key(2), (2, size, size, 3), minval=-1)
    seen = eye.maps({EYE: own}, x)
    y = x
    for stage in network.stages[:3]:
        y = stage(y)
    assert len(seen) == 1 + 2 * len(eye.levels) == len(eye.widths) and (seen[0] == x).all()
    assert np.asarray(seen[-1]) == pytest.approx(np.asarray(y), abs=1e-5)
    assert eye.maps({EYE: own}, jnp.zeros((1, 64, 64, 3)))[-1].shape[1] == 64 >> len(eye.levels)  # any size
