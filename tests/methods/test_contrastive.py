"""Two towers: the loss against NumPy and over devices, alike captions, and photos that are found by words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.retrieval import nearest, recall_at
from prodgen_jax.methods.contrastive import info_nce
from prodgen_jax.methods.core import AXIS


def drawn(n=8, d=5, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(2, n, d))
    text = rng.integers(0, 50, (n, 3))
    return (points / np.linalg.norm(points, axis=-1, keepdims=True)).astype("f"), text.astype(np.int32)


def over(devices, pictures, lines, text, scale=7.0):
    """(loss, right) and gradients to both, the examples shared by so many devices."""

    def share(x):
        return x.reshape(devices, -1, *x.shape[1:])

    def one(pictures, lines, text):
        def loss(pair):
            return info_nce(*pair, text, jnp.float32(scale))

        seen, grads = jax.value_and_grad(loss, has_aux=True)((pictures, lines))
        return jax.lax.pmean(seen, AXIS), grads

    (value, right), grads = jax.vmap(one, axis_name=AXIS)(share(pictures), share(lines), share(text))
    # what pmean makes of a gradient is its sum over devices by their number
    return value[0], right[0], [g.reshape(pictures.shape) / devices for g in grads]


def test_the_loss_is_cross_entropy_both_ways():
    (pictures, lines), text = drawn()
    scores = 7.0 * pictures @ lines.T
    own = np.diagonal(scores)
    wanted = np.mean([np.log(np.exp(scores).sum(axis)) - own for axis in (0, 1)])
    value, right, _ = over(1, pictures, lines, text)
    assert float(value) == pytest.approx(wanted, rel=1e-5)
    assert float(right) == np.mean(scores.argmax(1) == np.arange(8))


def test_every_example_of_all_devices_is_a_wrong_answer():
    """Value and gradient of one device and of four."""
    (pictures, lines), text = drawn()
    one, four = (over(n, pictures, lines, text) for n in (1, 4))
    assert float(one[0]) == pytest.approx(float(four[0]), rel=1e-5) and float(one[1]) == float(four[1])
    for a, b in zip(one[2], four[2], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_caption_that_is_the_same_is_no_wrong_answer():
    """With a caption twice, each of its photos is scored as if the other were not there."""
    (pictures, lines), text = drawn()
    text[1] = text[0]
    scores = 7.0 * pictures @ lines.T
    scores[0, 1] = scores[1, 0] = -np.inf
    own = np.diagonal(scores)
    wanted = np.mean([np.log(np.exp(scores).sum(axis)) - own for axis in (0, 1)])
    assert float(over(1, pictures, lines, text)[0]) == pytest.approx(wanted, rel=1e-5)


def test_recall_counts_what_stands_before():
    among = np.eye(4, dtype="f")
    queries = among[[0, 1, 2, 0]] + 0.1 * among[3]  # the last one's own is second
    assert recall_at(queries, among, (1, 2)) == {1: 0.75, 2: 1.0}
    assert recall_at(np.ones((4, 4), "f"), among, (1, 2, 4)) == {1: 0.0, 2: 1.0, 4: 1.0}  # all alike: 1.5 stand before
    places, cosines = nearest(queries[3:], among, 2)
    assert places.tolist() == [[0, 3]] and cosines[0, 0] == 1.0
    with pytest.raises(ValueError):
        recall_at(queries[:2], among[:, :2], (1,))


def test_what_has_no_towers(run):
    from prodgen_jax.evaluation.retrieval import embed

    with pytest.raises(InputError, match="a vae has no towers to find by; train an unclip"):
        embed(run, np.zeros((1, 8, 8, 3), np.uint8))
