"""The step: each turn moves its own group, in its place, and shares of a batch add up to the whole."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prodgen_jax.methods.core import AXIS, Method, State, Turn, due, example_keys, init_state, power_ema, train_step

RATE = 0.1


def turn_a(params, extra, batch, keys, step):
    """Least squares with one draw of noise per example."""
    noise = jax.vmap(lambda key: jax.random.normal(key))(keys)
    miss = batch["x"] @ params["a"] - batch["y"] + batch["noisy"] * noise
    loss = jnp.mean(miss**2)
    return loss, ({"mean": jnp.mean(batch["y"])}, {"loss/a": loss, "noise/a": noise.mean()})


def turn_b(params, extra, batch, keys, step):
    """b follows a as it is by now; the loss leans on the frozen c, too."""
    noise = jax.vmap(lambda key: jax.random.normal(key))(keys)
    loss = jnp.sum((params["b"] - params["a"]) ** 2) + jnp.sum(params["c"] * params["b"])
    return loss, (extra, {"loss/b": loss, "noise/b": noise.mean()})


def init(key):
    drawn = {name: jax.random.normal(jax.random.fold_in(key, i), (3,)) for i, name in enumerate("abc")}
    return drawn, {"mean": jnp.zeros(())}


METHOD = Method(
    init=init,
    turns=(Turn("a", turn_a), Turn("b", turn_b, every=3)),
    optim={"a": optax.sgd(RATE), "b": optax.adam(RATE)},
    sample=None,
    ema={"a": power_ema(), "b": lambda step: 0.9},
)


@pytest.fixture
def state():
    return init_state(METHOD, jax.random.key(0))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(16, 3)).astype("f"), "y": rng.normal(size=16).astype("f"), "noisy": np.zeros(16, "f")}


def step(state, batch, dues=(True, True), shares=1):
    """One step on `shares` equal shares of the batch, as if each lay on a device of its own."""
    split = jax.tree.map(lambda x: x.reshape(shares, -1, *x.shape[1:]), batch)
    out = jax.vmap(partial(train_step, METHOD, dues), (None, 0), axis_name=AXIS)(state, split)
    return jax.tree.map(lambda x: x[0], out)


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True))


def test_a_turn_leaves_other_groups_as_they_are(state, batch):
    after, metrics = step(state, batch, (True, False))
    assert same((after.params["b"], after.opt["b"]), (state.params["b"], state.opt["b"]))
    assert not same(after.params["a"], state.params["a"]) and "loss/b" not in metrics
    after, metrics = step(state, batch, (False, True))
    assert same((after.params["a"], after.opt["a"]), (state.params["a"], state.opt["a"]))
    assert not same(after.params["b"], state.params["b"]) and "loss/a" not in metrics


def test_a_group_without_turns_is_frozen(state, batch):
    after = state
    for _ in range(3):
        after, _ = step(after, batch)
    assert same(after.params["c"], state.params["c"]) and set(after.opt) == {"a", "b"} == set(after.ema)


def test_a_step_by_hand(state, batch):
    """Turn a is a step of gradient descent; turn b then sees the new a, with Adam's first step of its rate."""
    x, y = (np.float64(batch[name]) for name in "xy")
    a, b, c = (np.float64(state.params[name]) for name in "abc")
    miss = x @ a - y
    grad_a = 2 * x.T @ miss / len(x)
    new_a = a - RATE * grad_a
    grad_b = 2 * (b - new_a) + c
    after, metrics = step(state, batch)
    np.testing.assert_allclose(after.params["a"], new_a, rtol=1e-5)
    np.testing.assert_allclose(after.params["b"], b - RATE * np.sign(grad_b), rtol=1e-5)
    wanted = {
        "loss/a": np.mean(miss**2),
        "loss/b": np.sum((b - new_a) ** 2) + c @ b,
        "grad/a": np.linalg.norm(grad_a),
        "grad/b": np.linalg.norm(grad_b),
    }
    assert {name: float(metrics[name]) for name in wanted} == pytest.approx(wanted, rel=1e-5)
    assert int(after.step) == 1 and float(after.extra["mean"]) == pytest.approx(y.mean(), rel=1e-5)


@pytest.mark.parametrize("shares", [2, 8])
def test_shares_of_a_batch_add_up_to_the_whole(state, batch, shares):
    batch["noisy"] += 1
    whole = part = state
    for _ in range(4):
        whole, metrics = step(whole, batch)
        part, metrics_of_parts = step(part, batch, shares=shares)
    for one, two in ((whole._replace(key=0), part._replace(key=0)), (metrics, metrics_of_parts)):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), one, two)


def test_keys_of_examples_do_not_depend_on_devices():
    def of(devices):
        drawn = jax.vmap(lambda _: example_keys(jax.random.key(3), 8 // devices), axis_name=AXIS)(jnp.arange(devices))
        return jax.random.key_data(drawn).reshape(8, -1)

    np.testing.assert_array_equal(of(1), of(8))
    np.testing.assert_array_equal(of(1), of(2))
    assert len(np.unique(of(1), axis=0)) == 8


def test_every_turn_of_every_step_draws_its_own(state, batch):
    one, first = step(state, batch)
    _, second = step(one, batch)
    seen = [float(metrics[name]) for metrics in (first, second) for name in ("noise/a", "noise/b")]
    assert len(set(seen)) == 4
    assert same(step(state, batch)[1], first)


def test_due():
    assert [due(METHOD, i) for i in range(4)] == [(True, True), (True, False), (True, False), (True, True)]


def test_averages_equal_their_recursion(state, batch):
    a, b = (np.float64(state.params[name]) for name in "ab")
    for t in range(5):
        state, _ = step(state, batch, due(METHOD, t))
        decay = (1 - 1 / (t + 1)) ** 7.94
        a = decay * a + (1 - decay) * np.float64(state.params["a"])
        b = 0.9 * b + 0.1 * np.float64(state.params["b"])
    np.testing.assert_allclose(state.ema["a"], a, rtol=1e-5)
    np.testing.assert_allclose(state.ema["b"], b, rtol=1e-5)
    assert state.averaged["a"] is state.ema["a"] and state.averaged["c"] is state.params["c"]


def test_power_ema_remembers_the_last_tenth():
    """EDM2 (Karras 2024), eq. 3: gamma 6.94 is a relative width of 0.10, at any length of the run."""
    for steps in (500, 3000):
        weights = np.zeros(steps)
        for t in range(steps):
            decay = float(power_ema()(t))
            weights *= decay
            weights[t] = 1 - decay
        places = np.arange(steps) / steps
        width = np.sqrt(weights @ places**2 - (weights @ places) ** 2)
        assert weights.sum() == pytest.approx(1) and width == pytest.approx(0.1, rel=0.02)


def test_a_fresh_state(state):
    assert isinstance(state, State) and int(state.step) == 0 and set(state.ema) == {"a", "b"}
    assert same(state.ema["a"], state.params["a"])
    assert state.ema["a"].unsafe_buffer_pointer() != state.params["a"].unsafe_buffer_pointer()
    other = init_state(METHOD, jax.random.key(1))
    assert not same(other.params, state.params)
