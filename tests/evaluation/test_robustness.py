"""A classifier under attack, and one that was hardened: what is promised, and what is refused."""

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.robustness import hardened_network, worst_pictures


@pytest.fixture(scope="module")
def some(prepared):
    test = prepared.split("test")
    return test.images[:100], {name: column[:100] for name, column in test.labels.items()}


@pytest.fixture(scope="module")
def attribute(network):
    return max(network.settings.classes, key=lambda name: len(network.settings.classes[name]))


def test_a_worst_picture_looks_like_the_picture_and_is_read_worse(network, some, attribute):
    images, labels = some
    shares = []
    for radius in (0.0, 4.0, 24.0):
        found, right = worst_pictures(network, images, labels[attribute], attribute, radius, steps=4)
        assert np.abs(127.5 * (found + 1) - images).max() <= radius + 0.01
        shares.append(right.mean())
    known = np.isin(labels[attribute], network.settings.classes[attribute])
    assert shares[0] == np.mean((network.predict(images)[attribute] == labels[attribute]) & known)
    assert shares[0] >= shares[1] >= shares[2] and shares[2] < shares[0] - 0.2


def test_a_hardened_network_reads_worst_pictures_better(prepared, network, some, attribute):
    images, labels = some
    hard = hardened_network(prepared, 24.0, ascents=1, steps=120)
    shares = [worst_pictures(n, images, labels[attribute], attribute, 24.0, steps=4)[1].mean() for n in (network, hard)]
    assert shares[1] > shares[0] + 0.1 and hard.identity["radius"] == 24.0
    assert hard.weights_sha256 != network.weights_sha256


def test_what_cannot_be_is_named(prepared, network, some):
    with pytest.raises(InputError, match="height: the network tells apart"):
        worst_pictures(network, some[0], some[1]["type"] if "type" in some[1] else 0, "height", 4.0)
    with pytest.raises(InputError, match="radius=0"):
        hardened_network(prepared, 0)
