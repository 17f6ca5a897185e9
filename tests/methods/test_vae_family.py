"""Beside the VAE: an autoencoder with a prior of its own, a conditional VAE, a VQ-VAE with codebook and prior."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import AXIS, EXTRA
from prodgen_jax.methods.vqvae import Networks, book_of, follow, nearest, perplexity, vectors_drawn
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit

SPEC = Spec(8, 3, {"type": 3, "colour": 2})


@pytest.mark.long
@pytest.mark.parametrize("name", ["cvae", "vqvae"])
def test_samples_are_what_was_seen(name, two_colors, off_color, tiny_recipe, tmp_path):
    """Each draws both colors and little else; a conditional one the color that it is asked for."""
    told = {"condition": "colour"} if name in ("cvae", "vqvae") else {}
    rates = {"lr": 3e-3, **({"prior_lr": 3e-3, "codes": 16} if name == "vqvae" else {"warmup": 100})}
    made = tiny_recipe(name, width=16, batch=32, log_every=100, sheet_every=0, **told, **rates)
    run = fit(made, two_colors, tmp_path / name, steps=180)
    found = off_color(sample(run, 64, seed=1)[0])
    assert (found.min(1) < 40).mean() > 0.85, found
    assert 0.15 < (found.argmin(1) == 0).mean() < 0.85
    for i, color in enumerate(("red", "blue")) if told else ():
        asked = off_color(sample(run, 32, seed=2, where={"colour": color})[0])
        assert (asked.argmin(1) == i).mean() > 0.9


def test_what_an_autoencoder_learns_of_its_codes_does_not_move_them(tiny_recipe):
    """The prior's gradient reaches the flow alone."""
    method = tiny_recipe("ae", beta=0.0).build(SPEC)
    params = jax.jit(method.init)(jax.random.key(0))[0]
    batch = {"image": jax.random.uniform(jax.random.key(1), (4, 8, 8, 3), minval=-1), "label": {}}
    keys = jax.random.split(jax.random.key(2), 4)

    def loss(group):
        return method.turns[0].loss({"vae": group}, {}, batch, keys, 10**6)[1][1]["loss/prior"]

    grads = jax.grad(loss)(params["vae"])
    size = {name: sum(float(abs(x).sum()) for x in jax.tree.leaves(grads[name])) for name in grads}
    assert size["prior"] > 0 and size["encoder"] == size["decoder"] == 0


def test_a_conditional_vae_hears_each_attribute_and_none(tiny_recipe):
    method = tiny_recipe("cvae").build(SPEC)
    params = jax.jit(method.init)(jax.random.key(0))[0]
    keys, draw = jax.random.split(jax.random.key(1), 2), jax.jit(method.sample)
    asked = [{}, {"type": 0}, {"type": 2}, {"colour": 1}, {"type": 0, "colour": 1}]
    drawn = [np.asarray(draw(params, keys, {a: jnp.full(2, v) for a, v in cond.items()})) for cond in asked]
    for i, j in itertools.combinations(range(len(asked)), 2):
        assert np.abs(drawn[i] - drawn[j]).max() > 1e-4
    np.testing.assert_allclose(drawn[0], draw(params, keys, {"type": jnp.full(2, -1)}), atol=1e-6)


# --- the codebook -------------------------------------------------------------------------------------------------


def test_the_nearest_code_is_found():
    rng = np.random.default_rng(0)
    z, book = rng.normal(size=(2, 5, 3)), rng.normal(size=(7, 3))
    expected = ((z[:, :, None] - book) ** 2).sum(-1).argmin(-1)
    np.testing.assert_array_equal(nearest(jnp.asarray(z, jnp.float32), jnp.asarray(book, jnp.float32)), expected)


def test_perplexity_counts_the_codes_in_use():
    assert float(perplexity(jnp.array([5.0, 5, 5, 5, 0, 0]))) == pytest.approx(4)
    assert float(perplexity(jnp.array([9.0, 0, 0]))) == pytest.approx(1)


def under_axis(call):
    """As on one device: the named axis is there, of length 1."""
    return lambda *args: jax.tree.map(lambda x: x[0], jax.vmap(lambda _: call(*args), axis_name=AXIS)(jnp.zeros(1)))


def test_codes_follow_the_vectors_assigned_to_them():
    """Two heaps, a code near each: running means end in the heaps' means."""
    z = jnp.concatenate([jnp.full((4, 6, 2), 3.0), jnp.full((4, 6, 2), -1.0)], axis=1)
    extra = {"count": jnp.ones(2), "sum": jnp.array([[1.0, 1.0], [0.0, 0.0]])}
    keys = jax.random.split(jax.random.key(0), 4)
    for _ in range(200):
        codes = nearest(z, book_of(extra))
        extra, uses = under_axis(partial(follow, decay=0.9, restart=0.01))(extra, z, codes, keys)
    np.testing.assert_allclose(book_of(extra), [[3, 3], [-1, -1]], atol=1e-3)
    np.testing.assert_array_equal(uses, [24, 24])


def test_a_code_that_nobody_uses_begins_again_at_a_vector_of_the_batch():
    z = jax.random.normal(jax.random.key(0), (4, 6, 2))
    extra = {"count": jnp.array([1.0, 1e-3]), "sum": jnp.array([[0.0, 0.0], [1.0, 1.0]])}  # the second lies far away
    keys = jax.random.split(jax.random.key(1), 4)
    codes = nearest(z, book_of(extra))
    assert not codes.any()
    after, _ = under_axis(partial(follow, decay=0.9, restart=0.01))(extra, z, codes, keys)
    anew = book_of(after)[1]
    assert float(jnp.abs(z - anew).sum(-1).min()) == 0


def test_every_vector_of_the_batch_may_be_drawn():
    z = jnp.arange(12.0).reshape(3, 4, 1)
    keys = jax.random.split(jax.random.key(0), 3)
    drawn = under_axis(partial(vectors_drawn, codes=300))(keys, z)
    assert set(drawn[:, 0].tolist()) == set(range(12))


# --- its prior ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tiny_recipe):
    """(networks, params) of 8 px pictures: four places, three codes; the prior's last layer is no longer zero."""
    made = tiny_recipe("vqvae", codes=3, condition="colour")
    nets = Networks(made.method, SPEC, {"colour": 2})
    params, extra = jax.jit(nets.init)(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params["prior"])
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return nets, {**params, "prior": jax.tree.unflatten(tree, moved), EXTRA: extra}


def test_all_maps_together_have_probability_one(small):
    nets, params = small
    every = jnp.array(list(itertools.product(range(3), repeat=4)))
    for color in (-1, 0, 1):
        nats = nets.log_prior(params, every, {"colour": jnp.full(len(every), color)})
        assert float(jnp.exp(nats).sum()) == pytest.approx(1, abs=1e-4)


def test_a_code_hears_those_before_it_alone(small):
    nets, params = small
    label = {"colour": jnp.zeros(1, int)}
    base = nets.logits(params, jnp.array([[0, 1, 2, 0]]), label)
    other = nets.logits(params, jnp.array([[0, 1, 0, 1]]), label)
    np.testing.assert_allclose(base[:, :3], other[:, :3], atol=1e-5)
    assert np.abs(base[:, 3] - other[:, 3]).max() > 1e-3


def test_what_is_remembered_gives_the_logits_of_the_whole_row(small):
    nets, params = small
    codes, label = jnp.array([[2, 0, 1, 1], [0, 0, 2, 1]]), {"colour": jnp.array([-1, 1])}
    prior = nnx.merge(nets.graph, params["prior"], copy=True)
    before, memory, found = jnp.full(2, -1), prior.memory(2), []
    for place in range(4):
        logits, memory = prior.next(before, place, memory, label)
        before = codes[:, place]
        found.append(logits)
    np.testing.assert_allclose(jnp.stack(found, 1), nets.logits(params, codes, label), atol=1e-5)


def test_what_is_written_follows_the_prior(small):
    """Frequencies of the first two codes over many draws, beside their probabilities."""
    nets, params = small
    n = 6000
    label = {"colour": jnp.ones(n, int)}
    codes = np.asarray(jax.jit(nets.write)(params, jax.random.split(jax.random.key(5), n), label))
    every = jnp.array(list(itertools.product(range(3), repeat=4)))
    share = np.exp(nets.log_prior(params, every, {"colour": jnp.ones(len(every), int)}))
    expected = share.reshape(9, 9).sum(1)
    found = np.bincount(codes[:, 0] * 3 + codes[:, 1], minlength=9) / n
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / n))


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("vqvae", {"codes": 1}, "codes=1: must be 2 or more"),
        ("vqvae", {"decay": 1.0}, "decay=1.0: must be 0 or more and below 1"),
        ("vqvae", {"temperature": 0}, "temperature=0.0: must be above 0"),
        ("vqvae", {"condition": "size"}, "condition=size is not known"),
        ("cvae", {"condition": "size"}, "condition=size is not known"),
        ("cvae", {"drop": 2}, "drop=2.0: must be a share"),
    ],
)
def test_what_is_refused(tiny_recipe, name, settings, message):
    with pytest.raises(InputError, match=message):
        tiny_recipe(name, **settings).build(SPEC)


def test_sizes_that_do_not_fit(tiny_recipe):
    with pytest.raises(InputError, match="vqvae: pictures of 10 px are not a multiple of 4"):
        tiny_recipe("vqvae").build(Spec(10))
    with pytest.raises(InputError, match="cvae: this set has no attributes"):
        tiny_recipe("cvae").build(Spec(8))
