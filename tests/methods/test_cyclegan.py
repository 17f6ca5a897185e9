"""CycleGAN: its losses, its pool on one device and on many, and that black becomes white without pairs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.data.domains import in_domains
from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import PLACE, SOURCE
from prodgen_jax.methods.pool import Pool, empty, exchange
from prodgen_jax.training.loop import loop

SPEC, SIZE = Spec(8, 3, {"colour": 2}), 6


def pictures(numbers):
    """A picture of 1 px for each number, which it shows."""
    return jnp.asarray(numbers, jnp.float32).reshape(-1, 1, 1, 1)


def in_parts(pool, made, keys, step, parts):
    """(what is shown, the pool) where a step's examples are dealt with in parts whose pools are averaged."""
    n = len(made)
    place = jnp.stack([jnp.arange(n), jnp.full(n, n)], -1)
    pieces = jax.tree.map(lambda x: x.reshape(parts, n // parts, *x.shape[1:]), (made, keys, place))
    shown, pools = jax.vmap(lambda made, keys, place: exchange(pool, made, keys, place, step))(*pieces)
    return shown.reshape(made.shape), jax.tree.map(lambda x: x.mean(0), pools)


def played(parts, steps=40, n=4):
    """All that is shown, and the pool after each step, of pictures numbered 1, 2, ..."""
    pool, seen = empty(SIZE, (1, 1, 1)), []
    step_of = jax.jit(partial(in_parts, parts=parts))
    for step in range(steps):
        made = pictures(1 + step * n + np.arange(n))
        shown, pool = step_of(pool, made, jax.random.split(jax.random.key(step), n), step)
        seen.append((np.ravel(made), np.ravel(shown), np.ravel(pool.pictures)))
    return seen


def test_a_pool_shows_each_picture_as_it_is_or_an_older_one():
    held = np.zeros(SIZE)
    older = 0
    for made, shown, after in played(1):
        for new, seen in zip(made, shown, strict=True):
            place = int(new - 1) % SIZE
            if held[place] == 0:
                assert seen == new
            assert seen in (new, held[place])
            older += seen != new
            swapped = seen != new or held[place] == 0
            held[place] = new if swapped else held[place]
        assert after == pytest.approx(held, abs=1e-4)  # whole pictures: no mean of two
    assert 0.3 < older / (40 * 4) < 0.7


@pytest.mark.parametrize("parts", [2, 4])
def test_a_pool_is_the_same_on_any_number_of_devices(parts):
    for (_, shown, pool), (_, one, alone) in zip(played(parts), played(1), strict=True):
        assert shown == pytest.approx(one, rel=1e-5) and pool == pytest.approx(alone, rel=1e-5)


def test_more_examples_than_places():
    """Those beyond the pool's places are shown as they are, and none takes another's place."""
    full = Pool(pictures(-np.arange(1.0, 4)), jnp.ones(3))
    made, place = pictures(np.arange(1.0, 9)), jnp.stack([jnp.arange(8), jnp.full(8, 8)], -1)
    shown, after = exchange(full, made, jax.random.split(jax.random.key(0), 8), place, 1)
    assert np.ravel(shown)[3:].tolist() == [4, 5, 6, 7, 8]
    assert set(np.ravel(after.pictures).tolist()) <= {-1, -2, -3, 1, 2, 3}


@pytest.fixture(scope="module")
def method(tiny_recipe):
    return tiny_recipe("cyclegan").build(SPEC)


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(-1, 1, (4, 2, 8, 8, 3)).astype("f")
    return {"image": images, PLACE: np.stack([np.arange(4), np.full(4, 4)], -1)}


def test_untrained_it_is_the_identity_and_its_cycle_is_whole(method, batch):
    params, extra = method.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 4)
    photos = batch["image"][:, 0]
    assert method.sample(params, keys, {SOURCE: photos}) == pytest.approx(photos, abs=1e-6)
    _, (_, metrics) = method.turns[1].loss(params, extra, batch, keys, 0)
    assert float(metrics["loss/cycle"]) == float(metrics["loss/identity"]) == 0


def test_losses_are_those_of_the_paper(tiny_recipe, batch):
    """With every parameter moved, against the networks called one by one."""
    made = tiny_recipe("cyclegan", pool=0, cycle=3, identity=2)
    method, keys = made.build(SPEC), jax.random.split(jax.random.key(1), 4)
    params, extra = method.init(jax.random.key(0))
    params = jax.tree.map(lambda p: p + 0.004, params)
    back = tiny_recipe("cyclegan", pool=0, back=True).build(SPEC)
    a, b = batch["image"][:, 0] * 0.1, batch["image"][:, 1] * 0.1  # so that no picture is cut off at -1 or 1
    there, again = (lambda x, m=m: np.asarray(m.sample(params, keys, {SOURCE: x})) for m in (method, back))
    _, (_, seen) = method.turns[1].loss(params, extra, {**batch, "image": np.stack([a, b], 1)}, keys, 0)
    cycle = np.abs(again(there(a)) - a).mean() + np.abs(there(again(b)) - b).mean()
    same = np.abs(there(b) - b).mean() + np.abs(again(a) - a).mean()
    assert float(seen["loss/cycle"]) == pytest.approx(cycle, rel=1e-4) and cycle > 0.01
    assert float(seen["loss/identity"]) == pytest.approx(same, rel=1e-4)
    total = seen["loss/adversarial"] + 3 * seen["loss/cycle"] + 2 * seen["loss/identity"]
    assert float(seen["loss/generator"]) == pytest.approx(float(total), rel=1e-5)


def test_each_turn_moves_both_of_its_networks_and_no_other(method, batch):
    params, extra = method.init(jax.random.key(0))
    params = jax.tree.map(lambda p: p + 0.05, params)
    keys = jax.random.split(jax.random.key(1), 4)
    for turn in method.turns:

        def loss(group, turn=turn):
            return turn.loss({**params, turn.trains: group}, extra, batch, keys, 0)[0]

        slopes = jax.jit(jax.grad(loss))(params[turn.trains])
        assert all(max(float(jnp.abs(x).max()) for x in jax.tree.leaves(part)) > 0 for part in slopes.values())


@pytest.mark.long
def test_dark_squares_become_light_where_they_are(write, tiny_recipe, tmp_path):
    """Nothing pairs them. Dark is -1, light 1, the ground 0."""
    rng = np.random.default_rng(0)
    kind, images = rng.integers(0, 2, 240), np.full((240, 8, 8, 3), 128, np.uint8)
    for image, light in zip(images, kind, strict=True):
        x, y = rng.integers(0, 5, 2)
        image[y : y + 4, x : x + 4] = 255 if light else 0
    part = (images, {"colour": kind})
    prepared = write(tmp_path / "set", {name: part for name in ("train", "validation", "test")}, {"colour": ("d", "l")})
    made = tiny_recipe("cyclegan", width=16, critic_width=16, generator_lr=2e-3, domain_a="colour=d",
                       domain_b="colour=l", critic_lr=1e-3)  # fmt: skip
    method = made.build(Spec.of(prepared))
    split = in_domains(prepared.split("train"), prepared, method.domains)
    *_, tick = loop(method, split, made.loop, made.augment, seed=0, stop=300)
    dark = images[kind == 0][:40] / 127.5 - 1
    keys = jax.random.split(jax.random.key(0), 40)
    light = np.asarray(method.sample(tick.host_state().averaged, keys, {SOURCE: jnp.asarray(dark, jnp.float32)}))
    was = dark.mean(-1) < -0.5
    assert light.mean(-1)[was].mean() > 0.3 and np.abs(light.mean(-1)[~was]).mean() < 0.25


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"domain_a": "colour"}, "domain_a colour: expected name=value"),
        ({"cycle": -1}, "cycle=-1.0"),
        ({"pool": -1}, "pool=-1"),
        ({"loss": "l2"}, "loss=l2.*hinge"),
        ({"network": "mlp"}, "network=mlp"),
    ],
)
def test_settings_that_cannot_be_are_refused(tiny_recipe, settings, words):
    with pytest.raises(InputError, match=words):
        tiny_recipe("cyclegan", **settings).build(SPEC)
