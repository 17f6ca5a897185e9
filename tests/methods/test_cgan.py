"""A conditional GAN: attributes reach both players, each its own picture alone, and any of them may be missing."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.cgan import hide

SIZE, ATTRIBUTES = 8, {"type": 3, "colour": 2}


def noise_like(shapes):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("f"), shapes)


@pytest.fixture(scope="module")
def make(tiny_recipe):
    """make(**settings) -> (method on 8 px, params of noise: fresh norms hear nothing)."""

    def build(**settings):
        method = tiny_recipe("cgan", **settings).build(Spec(SIZE, 3, ATTRIBUTES))
        return method, noise_like(jax.eval_shape(method.init, jax.random.key(0))[0])

    return build


def test_every_subset_of_attributes_is_learned():
    """With drop 1, each number of hidden attributes is equally likely, and each attribute is hidden half the time."""
    label = {name: jnp.arange(6000) % 3 for name in "abc"}
    hidden = hide(jax.random.split(jax.random.key(0), 6000), label, 1.0)
    missing = np.stack([np.asarray(hidden[name]) == -1 for name in "abc"])
    np.testing.assert_allclose(np.bincount(missing.sum(0)) / 6000, 0.25, atol=0.02)
    np.testing.assert_allclose(missing.mean(1), 0.5, atol=0.02)
    kept = np.asarray(hidden["b"])[~missing[1]]
    np.testing.assert_array_equal(kept, np.asarray(label["b"])[~missing[1]])


def test_nothing_is_hidden_without_drop_and_what_is_missing_stays_missing():
    label = {"a": jnp.array([0, -1, 2])}
    np.testing.assert_array_equal(hide(jax.random.split(jax.random.key(0), 3), label, 0.0)["a"], label["a"])
    assert (np.asarray(hide(jax.random.split(jax.random.key(0), 3), label, 1.0)["a"]) <= label["a"]).all()


def critic_loss(method, params, label, n=6):
    """The critic's answers as its loss, on n pictures of one label."""
    batch = {"image": jax.random.uniform(jax.random.key(1), (n, SIZE, SIZE, 3), minval=-1)}
    batch["label"] = {name: jnp.full(n, value) for name, value in label.items()}
    return method.turns[0].loss(params, {}, batch, jax.random.split(jax.random.key(2), n), 0)[0]


def test_both_players_hear_what_is_said_and_nothing_else(make):
    """The rows of the said values alone get a gradient: in the critic, and through it in the generator."""
    method, params = make(drop=0.0)
    n, label = 4, {"type": 2, "colour": -1}
    batch = {"image": jnp.zeros((n, SIZE, SIZE, 3)), "label": {k: jnp.full(n, v) for k, v in label.items()}}
    keys = jax.random.split(jax.random.key(2), n)
    grads = jax.jit(jax.grad(lambda p: method.turns[2].loss(p, {}, batch, keys, 0)[0]))(params)
    met = {
        (group, name): abs(g).sum(-1).astype(bool).tolist()
        for group, name in itertools.product(grads, ATTRIBUTES)
        for path, g in jax.tree.leaves_with_path(grads[group])
        if f"'{name}'" in jax.tree_util.keystr(path)
    }
    assert met["critic", "type"] == [False, False, True] and met["critic", "colour"] == [False, False]
    assert met["generator", "type"] == [False] * 3 + [True]
    assert met["generator", "colour"] == [True, False, False]  # 'not said' has a row of its own


def test_labels_matter_unless_they_are_hidden(make):
    seen, params = make(drop=0.0)
    said = ({"type": 0, "colour": 1}, {"type": 1, "colour": 1}, {"type": 1, "colour": 0}, {"type": -1, "colour": -1})
    losses = [float(jax.jit(critic_loss, static_argnums=0)(seen, params, label)) for label in said]
    assert len(set(losses)) == 4


def test_nothing_named_takes_all_attributes(make):
    assert make()[0].conditions == ("type", "colour") and make(condition="colour")[0].conditions == ("colour",)


def test_samples_follow_seed_and_condition(make):
    method, params = make()
    keys, draw = jax.random.split(jax.random.key(1), 3), jax.jit(method.sample)
    asked = [{}, {"type": jnp.full(3, 0)}, {"type": jnp.full(3, 2)}, {"type": jnp.full(3, 2), "colour": jnp.full(3, 1)}]
    images = [draw(params, keys, cond) for cond in asked]
    assert images[0].shape == (3, SIZE, SIZE, 3) and float(abs(images[0]).max()) <= 1
    for one, other in itertools.combinations(images, 2):
        assert float(abs(one - other).max()) > 1e-3
    np.testing.assert_array_equal(images[0], draw(params, keys, {"type": jnp.full(3, -1)}))
    mixed = draw(params, keys, {"type": jnp.array([2, 0, -1])})
    for i, where in enumerate((2, 1, 0)):
        np.testing.assert_allclose(mixed[i], images[where][i], atol=1e-5)


def test_a_fresh_generator_draws_the_same_for_every_label(make):
    method, _ = make()
    params, keys = method.init(jax.random.key(0))[0], jax.random.split(jax.random.key(1), 2)
    np.testing.assert_array_equal(*(method.sample(params, keys, {"type": jnp.full(2, v)}) for v in (0, 2)))


@pytest.mark.parametrize(
    ("settings", "named"), [({"condition": "brand"}, "condition=brand .*type, colour"), ({"drop": 1.5}, "drop=1.5")]
)
def test_settings_that_cannot_be(make, settings, named):
    with pytest.raises(InputError, match=named):
        make(**settings)


def test_a_set_without_attributes_is_refused(tiny_recipe):
    with pytest.raises(InputError, match="no attributes .*dcgan"):
        tiny_recipe("cgan").build(Spec(SIZE))
