"""Worst pictures: closed forms, the ball that they never leave, and a game that is hardened by them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prodgen_jax.methods.adversarial import hardened, worst_within
from prodgen_jax.methods.core import AXIS, Method, Turn, init_state, train_step

SMALL = 64  # numbers of the toy that say little each, and are always right
RADIUS = 0.05


def rows(n, seed):
    """(x [n, 1 + SMALL], labels of -1 and 1): one large number that is right nine times in ten, and small ones that are
    right always and smaller than the radius. Tsipras 2019, section 2."""
    rng = np.random.default_rng(seed)
    label = rng.choice([-1, 1], n)
    large = 0.5 * label * rng.choice([-1, 1], n, p=[0.1, 0.9])
    small = 0.03 * label[:, None] + 0.005 * rng.standard_normal((n, SMALL))
    return jnp.asarray(np.c_[large, small], jnp.float32), jnp.asarray(label)


def loss(w, x, label):
    return jnp.logaddexp(0, -label * (x @ w)).mean()


def logistic():
    def turn(params, extra, batch, keys, step):
        value = loss(params["net"], batch["image"], batch["label"])
        return value, (extra, {"loss": value})

    return Method(
        lambda key: ({"net": jnp.zeros(1 + SMALL)}, ()), (Turn("net", turn),), {"net": optax.sgd(2.0)}, lambda *_: None
    )


def trained(method, steps=400):
    x, label = rows(500, seed=0)
    state = jax.tree.map(lambda leaf: leaf[None], init_state(method, jax.random.key(0)))
    step = jax.jit(jax.vmap(lambda state, batch: train_step(method, (True,), state, batch), axis_name=AXIS))
    for _ in range(steps):
        state, _ = step(state, {"image": x[None], "label": label[None]})
    return state.params["net"][0]


def right(w, x, label):
    return float((jnp.sign(x @ w) == label).mean())


def test_one_step_on_a_line_is_the_closed_form():
    rng = np.random.default_rng(0)
    x, w = jnp.asarray(rng.uniform(-1, 1, (5, 8)), jnp.float32), jnp.asarray(rng.standard_normal(8), jnp.float32)
    found = worst_within(lambda x: (x @ w).sum(), x, 0.1)
    np.testing.assert_allclose(found, np.clip(x + 0.1 * np.sign(w), -1, 1), atol=1e-6)


@pytest.mark.parametrize("steps, keys", [(1, None), (7, None), (7, jax.random.split(jax.random.key(0), 40))])
def test_nothing_leaves_the_ball_or_the_range_of_pictures(steps, keys):
    rng = np.random.default_rng(1)
    x, w = jnp.asarray(rng.uniform(-1, 1, (40, 12)), jnp.float32), jnp.asarray(rng.standard_normal(12), jnp.float32)
    found = worst_within(lambda x: jnp.sin(3 * x @ w).sum(), x, 0.2, steps, keys)
    assert float(jnp.abs(found - x).max()) <= 0.2 + 1e-6 and float(jnp.abs(found).max()) <= 1
    assert float(jnp.abs(found - x).max()) > 0.1


def test_several_steps_find_what_one_step_leaps_over():
    x = jnp.zeros((1, 3))
    peak = lambda x: -jnp.square(x - 0.04).sum()  # noqa: E731
    one, many = (peak(worst_within(peak, x, 0.1, steps)) for steps in (1, 40))
    assert float(one) == pytest.approx(-3 * 0.06**2) and float(many) > -3 * 0.01**2


def test_what_is_hardened_recovers_what_the_worst_pictures_took():
    plain, hard = trained(logistic()), trained(hardened(logistic(), RADIUS, steps=1))
    x, label = rows(1000, seed=1)
    worst = {name: worst_within(lambda x, w=w: loss(w, x, label), x, RADIUS) for name, w in (("p", plain), ("h", hard))}
    assert right(plain, x, label) > 0.98 and right(plain, worst["p"], label) < 0.3
    assert right(hard, x, label) > 0.87 and right(hard, worst["h"], label) > 0.87


def test_a_hardened_game_of_radius_0_is_the_game():
    np.testing.assert_allclose(trained(hardened(logistic(), 0.0), 20), trained(logistic(), 20), rtol=1e-5)
