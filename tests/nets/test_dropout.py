"""Dropout: the share, the mean, and whose draw it is."""

from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np

from prodgen_jax.nets.dropout import dropout, streams


def test_a_share_is_dropped_and_the_mean_stays():
    x, keys = jnp.ones((4, 50, 50)), jax.random.split(jax.random.key(0), 4)
    out = np.asarray(dropout(x, keys, 0.2))
    assert set(np.unique(out)) == {0, np.float32(1.25)} and abs((out == 0).mean() - 0.2) < 0.02
    assert not any(np.array_equal(out[0], other) for other in out[1:])
    np.testing.assert_array_equal(dropout(x[1:2], keys[1:2], 0.2)[0], out[1])


def test_without_keys_or_rate_nothing_is_dropped():
    x, keys = jnp.ones((2, 9)), jax.random.split(jax.random.key(0), 2)
    assert dropout(x, None, 0.5) is x and dropout(x, keys, 0.0) is x


def test_every_block_draws_its_own():
    keys = jax.random.split(jax.random.key(0), 2)
    drawn = [np.asarray(dropout(jnp.ones((2, 99)), own, 0.5)) for own in islice(streams(keys), 3)]
    assert not any(np.array_equal(a, b) for a, b in zip(drawn, drawn[1:], strict=False))
    assert list(islice(streams(None), 3)) == [None] * 3
