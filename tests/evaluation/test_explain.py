"""Explanations: exact where the answer is known, complete on a network, and better than chance by their own test."""

import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.data.images import to_signed
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.explain import WHITE, deletion_curve, integrated_gradients, reader

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)


def test_of_a_linear_score_each_pixel_has_its_own_term():
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(4, 4, 3)), jnp.float32)
    found = integrated_gradients(lambda x: (x * weights).sum((1, 2, 3)), PICTURES, steps=1)
    np.testing.assert_allclose(found, ((to_signed(PICTURES) - WHITE) * weights).sum(-1), rtol=1e-5, atol=1e-5)


def test_of_a_square_the_shares_are_exact_as_well():
    """Of sum x^2 the integral is x^2 - x0^2, pixel by pixel, and midpoints are exact for a gradient that is linear."""
    found = integrated_gradients(lambda x: (x**2).sum((1, 2, 3)), PICTURES, steps=2)
    np.testing.assert_allclose(found, (to_signed(PICTURES) ** 2 - WHITE**2).sum(-1), rtol=1e-4, atol=1e-4)


def test_pixels_are_whitened_in_their_order():
    ranking = np.arange(16.0).reshape(1, 4, 4).repeat(3, 0)
    curve = deletion_curve(lambda x: (x != WHITE).any(-1).sum((1, 2)), np.minimum(PICTURES, 250), ranking, parts=4)
    np.testing.assert_array_equal(curve, np.repeat([[16], [12], [8], [4], [0]], 3, axis=1))
    last = deletion_curve(lambda x: x[:, 0, 0, 0], np.zeros_like(PICTURES), ranking, parts=16)
    np.testing.assert_array_equal(last[:, 0], [-1.0] * 16 + [1.0])  # the first pixel is ranked last


def test_an_attribute_that_is_not_read_is_named(network):
    with pytest.raises(InputError, match="serial: the network reads shape, colour"):
        reader(network, "serial")


@pytest.mark.slow
def test_on_a_network_shares_add_up_and_beat_chance(network, prepared):
    split = prepared.split("test")
    rows = np.flatnonzero(split.labels["colour"] >= 0)[:64]
    images, wanted = split.images[rows], split.labels["colour"][rows]
    places = np.searchsorted(network.settings.classes["colour"], wanted)
    read = reader(network, "colour")

    def score(x):
        return read(x)[jnp.arange(len(places)), places]

    assert (np.asarray(read(to_signed(jnp.asarray(images)))).argmax(1) == places).mean() > 0.9
    shares = integrated_gradients(score, images, steps=64)
    difference = score(to_signed(jnp.asarray(images))) - score(jnp.full(images.shape, WHITE))
    far = np.abs(shares.sum((1, 2)) - difference)
    assert np.median(far) < 0.05 * np.median(np.abs(difference)) + 0.02
    chance = np.random.default_rng(0).random(shares.shape)
    named, random = (np.exp(deletion_curve(score, images, r)).mean() for r in (shares, chance))
    assert named < 0.8 * random
