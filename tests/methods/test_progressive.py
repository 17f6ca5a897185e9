"""Progressive growing: when which size is played, that growth is continuous, and what the grown networks are."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from prodgen_jax.data.augment import AugmentSettings
from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import AXIS, EXTRA, due, init_state, train_step
from prodgen_jax.methods.progressive import GROWN, restarted, spans
from prodgen_jax.nets.dcgan import doublings
from prodgen_jax.nets.growing import GrowingDiscriminator, GrowingGenerator, enlarge, halve, seen_at
from prodgen_jax.training.loop import LoopSettings, loop

SIZE, LEVELS = 32, 3


@pytest.fixture(scope="module")
def nets():
    rngs = nnx.Rngs(0)
    return GrowingGenerator(SIZE, 3, 4, 8, rngs=rngs), GrowingDiscriminator(SIZE, 3, 8, 2, rngs=rngs)


@pytest.fixture(scope="module")
def grown(tiny_recipe):
    """A method of three sizes, two steps a phase; R1 at every second step."""
    return tiny_recipe("progressive").build(Spec(SIZE))


def test_growth_is_continuous(nets):
    """A new size that has a share of 0 shows and sees what the size before it does."""
    generator, critic = nets
    z, none, all_of_it = jax.random.normal(jax.random.key(0), (4, 4)), jnp.zeros(()), jnp.ones(())
    for level in range(2, LEVELS + 1):
        old, new = generator(z, level - 1, all_of_it), generator(z, level, none)
        np.testing.assert_array_equal(new, enlarge(old))
        np.testing.assert_allclose(critic(new, level, none), critic(old, level - 1, all_of_it), rtol=1e-5)
        assert not np.allclose(generator(z, level, all_of_it), new)


def test_photos_grow_alike(nets):
    photos = jax.random.uniform(jax.random.key(1), (2, SIZE, SIZE, 3))
    for level in range(1, LEVELS + 1):
        whole = seen_at(photos, SIZE, level, jnp.ones(()))
        assert whole.shape[1] == 4 * 2**level
        side = SIZE // whole.shape[1]
        by_hand = np.asarray(photos).reshape(2, whole.shape[1], side, -1, side, 3).mean((2, 4))
        np.testing.assert_allclose(whole, by_hand, rtol=1e-5)
        if level > 1:
            np.testing.assert_allclose(seen_at(photos, SIZE, level, jnp.zeros(())), enlarge(halve(whole)), rtol=1e-6)


def test_at_its_end_it_is_a_dcgan(nets):
    generator, critic = nets
    z, all_of_it = jax.random.normal(jax.random.key(0), (4, 4)), jnp.ones(())
    pictures = generator(z, LEVELS, all_of_it)
    np.testing.assert_array_equal(pictures, generator.net(z))
    np.testing.assert_array_equal(critic(pictures, LEVELS, all_of_it), critic.net(pictures))


def test_sizes_take_turns(grown):
    assert spans(LEVELS, 2) == [(0, 2), (2, 6), (6, np.inf)]
    played = [{i // 3 for i, now in enumerate(due(grown, step)) if now} for step in range(9)]
    assert played == [{0}, {0}, {1}, {1}, {1}, {1}, {2}, {2}, {2}]
    assert [sum(due(grown, step)) for step in range(4)] == [3, 2, 3, 2]


@pytest.mark.long
def test_a_dispatch_over_a_size_s_end_is_the_same_run(grown, noise_set):
    """Eight steps at once, over two ends, or one at a time: the same but for Adam's answer to gradients near 0.

    A bias in front of a normalization has no gradient but float error, of which Adam makes a whole step.
    """
    split, ends = noise_set(size=SIZE, train=16).split("train"), []
    for k in (1, 8):
        *_, last = loop(grown, split, LoopSettings(batch=4, steps_per_dispatch=k), AugmentSettings(), seed=0, stop=8)
        ends.append(jax.device_get(last.host_state()._replace(key=0)))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-4), *ends)


@pytest.mark.long
def test_devices_do_not_matter_at_any_size(grown):
    images = jax.random.uniform(jax.random.key(1), (4, SIZE, SIZE, 3), minval=-1)

    def after(shares):
        state, plays = init_state(grown, jax.random.key(0)), {}
        batch = {"image": images.reshape(shares, -1, SIZE, SIZE, 3)}
        for step in range(7):
            now = due(grown, step)
            if now not in plays:
                plays[now] = jax.jit(jax.vmap(partial(train_step, grown, now), (None, 0), axis_name=AXIS))
            state, metrics = jax.tree.map(lambda x: x[0], plays[now](state, batch))
        return state._replace(key=0), metrics

    one, many = after(1), after(2)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-5), one, many)
    assert float(one[0].extra[GROWN]) == 2.0 and float(one[1]["grown/pixels"]) == 16.0  # its first step: not there yet


def test_samples_are_as_fine_as_what_has_been_trained(grown):
    params, extra = jax.jit(grown.init)(jax.random.key(0))
    keys, draw = jax.random.split(jax.random.key(1), 3), jax.jit(grown.sample)
    for level, blocks in ((1.0, 4), (1.5, 2), (2.0, 2), (2.5, 1), (3.0, 1)):
        x = np.asarray(draw({**params, EXTRA: {**extra, GROWN: jnp.float32(level)}}, keys, {}))
        assert x.shape == (3, SIZE, SIZE, 3)
        coarse = [np.allclose(x, np.asarray(enlarge_by(x[:, ::n, ::n], n))) for n in (2, 4)]
        assert coarse == [blocks >= 2, blocks >= 4]


def enlarge_by(x, n):
    return x.repeat(n, axis=1).repeat(n, axis=2)


def test_a_restarted_optimizer_has_no_past():
    """After its second update it is a fresh one: the same moves, as large as the first, not divided by zeros' mean."""
    adam = optax.adam(0.1, b1=0.5, b2=0.99)
    tree, grads = {"w": jnp.ones(3)}, {"w": jnp.array([1.0, -2.0, 0.1])}
    again, moves = restarted(adam, [2]), []
    state = again.init(tree)
    for _ in range(4):
        move, state = again.update(grads, state, tree)
        moves.append(move["w"])
    np.testing.assert_array_equal(moves[2], moves[0])
    np.testing.assert_array_equal(moves[3], moves[1])
    np.testing.assert_array_equal(moves[0], adam.update(grads, adam.init(tree), tree)[0]["w"])


def test_the_critic_s_optimizer_counts_its_own_turns(grown):
    """Each player begins anew with each size, though a critic's two turns move it more than once a step."""
    state = init_state(grown, jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (1, 4, SIZE, SIZE, 3), minval=-1)
    for step in range(3):
        play = jax.jit(jax.vmap(partial(train_step, grown, due(grown, step)), (None, 0), axis_name=AXIS))
        state = jax.tree.map(lambda x: x[0], play(state, {"image": images})[0])
        counts = {group: (int(count), int(inner[0].count)) for group, (count, inner) in state.opt.items()}
    assert doublings(SIZE) == LEVELS and counts == {"generator": (3, 1), "critic": (5, 2)}


def test_what_is_grown_already_does_not_grow_again(tiny_recipe):
    """As in a run that begins from another."""
    method = tiny_recipe("progressive", phase=0).build(Spec(SIZE))
    own = len(method.turns) // LEVELS
    for step in (0, 1, 99):
        played = due(method, step)
        assert not any(played[:-own]) and any(played[-own:])
    with pytest.raises(InputError, match="phase=-1"):
        tiny_recipe("progressive", phase=-1).build(Spec(SIZE))
