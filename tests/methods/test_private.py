"""DP-SGD: clipped gradients by hand, noise of the size that is promised, and rows that were not drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prodgen_jax.methods.core import AXIS, Method, Turn, init_state, train_step
from prodgen_jax.methods.private import DRAWN, private

NUMBERS, CLIP = 5000, 2.0


def linear(scale):
    """One player w; an example's loss is scale * <w, x>, so that its gradient is scale * x."""

    def turn(params, extra, batch, keys, step):
        value = scale * (batch["image"] @ params["net"]).mean()
        return value, (extra, {"loss": value})

    return Method(
        lambda key: ({"net": jnp.ones(NUMBERS)}, ()), (Turn("net", turn),), {"net": optax.sgd(1.0)}, lambda *_: None
    )


def moved(method, x, drawn):
    """How far one step of size 1 moves w."""
    state = jax.tree.map(lambda leaf: leaf[None], init_state(method, jax.random.key(7)))
    step = jax.vmap(lambda state, batch: train_step(method, (True,), state, batch), axis_name=AXIS)
    after, metrics = step(state, {"image": jnp.asarray(x)[None], DRAWN: jnp.asarray(drawn)[None]})
    return np.asarray(state.params["net"] - after.params["net"])[0], metrics


def examples(n, seed=0):
    """Of norms about 1, 4 and 16 in turns."""
    x = np.random.default_rng(seed).standard_normal((n, NUMBERS)) / np.sqrt(NUMBERS)
    return (x * 4.0 ** (np.arange(n) % 3)[:, None]).astype(np.float32)


def test_each_gradient_is_clipped_and_rows_that_were_not_drawn_count_for_nothing():
    x, drawn = examples(9), np.arange(9) % 4 != 3
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    wanted = (x * np.minimum(1, CLIP / norms))[drawn].sum(0) / 6.0
    found, metrics = moved(private(linear(1.0), 1e-9, CLIP, 6.0), x, drawn)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    assert metrics["loss"][0] == pytest.approx(x[drawn].sum() / 6.0, rel=1e-4)


def test_one_photo_moves_the_sum_by_a_clip_at_most():
    x, method = examples(6), private(linear(100.0), 1e-9, CLIP, 1.0)
    with_it, without = (moved(method, x, np.arange(6) < n)[0] for n in (6, 5))
    assert np.linalg.norm(with_it - without) == pytest.approx(CLIP, rel=1e-4)


def test_the_noise_has_the_promised_deviation():
    found, _ = moved(private(linear(0.0), 1.5, CLIP, 4.0), examples(4), np.ones(4, bool))
    assert found.std() == pytest.approx(1.5 * CLIP / 4.0, rel=0.05) and abs(found.mean()) < 0.05
    again, _ = moved(private(linear(0.0), 1.5, CLIP, 4.0), examples(4, seed=1), np.ones(4, bool))
    np.testing.assert_array_equal(found, again)  # of the run's key alone
