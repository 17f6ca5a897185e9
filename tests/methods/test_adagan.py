"""AdaGAN: the weights of what is missed, whose turn it is, and that a mixture covers what one game leaves out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.optimize import brentq

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.modes import modes_met
from prodgen_jax.methods import Spec
from prodgen_jax.methods.adagan import SO_FAR, AdaGANSettings, Mixture, boosted, own, weights
from prodgen_jax.methods.core import AXIS, EXTRA, due, init_state, train_step
from prodgen_jax.methods.gan import DCGANSettings, dcgan_players, game_with_r1, normal
from prodgen_jax.methods.gan_losses import LOSSES

SIZE = 8


@pytest.mark.parametrize("beta", [1 / 2, 1 / 3, 0.05])
def test_weights_are_the_distribution_of_the_paper(beta):
    """Against the equation's own root: [lambda - (1 - beta) d]_+ / (beta n) sums to one for one lambda alone."""
    ratio = np.random.default_rng(0).exponential(size=40) * 3
    found = np.asarray(weights(jnp.float32(ratio), beta))

    def total(level):
        return np.maximum(level - (1 - beta) * ratio, 0).sum() / (beta * 40) - 1

    wanted = np.maximum(brentq(total, 0, 1e3) - (1 - beta) * ratio, 0) / (beta * 40)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-5) and (np.diff(found[ratio.argsort()]) <= 0).all()


def test_what_the_mixture_has_weighs_nothing():
    """Half of the photos never drawn, half drawn twice as often as shown: the next of two looks at the first half."""
    found = weights(jnp.array([0.0, 0.0, 2.0, 2.0]), 1 / 2)
    np.testing.assert_allclose(found, [0.5, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(weights(jnp.ones(4), 1 / 2), 0.25)
    np.testing.assert_allclose(weights(jnp.array([0.0, jnp.inf]), 1 / 2), [1, 0])  # a judge that is very sure


def test_components_take_their_spans(tiny_recipe):
    method = tiny_recipe("adagan", components=3, phase=4, judge=2, r1_every=1).build(Spec(SIZE))
    names = np.array([turn.trains for turn in method.turns])
    played = [names[np.array(due(method, step))].tolist() for step in range(14)]
    game = [["critic_{}", "critic_{}", "generator_{}"]]
    wanted = game * 4 + [["judge"]] * 2 + game * 2 + [["judge"]] * 2 + game * 4
    parts = [0] * 6 + [1] * 4 + [2] * 4
    assert played == [[name.format(k) for name in turns] for turns, k in zip(wanted, parts, strict=True)]


def test_a_component_that_is_done_stays_and_so_does_its_average(tiny_recipe):
    method = tiny_recipe("adagan").build(Spec(SIZE))  # two components of two steps, the second's first a judge's
    state, seen = init_state(method, jax.random.key(0)), []
    images = jax.random.uniform(jax.random.key(1), (1, 4, SIZE, SIZE, 3), minval=-1)
    for step in range(5):
        play = jax.jit(jax.vmap(partial(train_step, method, due(method, step)), (None, 0), axis_name=AXIS))
        state = jax.tree.map(lambda x: x[0], play(state, {"image": images})[0])
        seen.append(state)

    def same(one, two, group):
        pairs = [(one.params[group], two.params[group])]
        pairs += [(one.ema[group], two.ema[group])] if group in one.ema else []
        return all(np.array_equal(a, b) for pair in pairs for a, b in zip(*map(jax.tree.leaves, pair), strict=True))

    assert same(seen[1], seen[4], "generator_0") and same(seen[1], seen[4], "critic_0")
    assert same(seen[0], seen[2], "generator_1") and not same(seen[2], seen[4], "generator_1")
    assert not same(seen[1], seen[2], "judge") and same(seen[2], seen[4], "judge")
    assert [float(s.extra[SO_FAR]) for s in seen] == [1, 1, 1, 2, 2]


def test_samples_come_from_all_that_there_are(tiny_recipe):
    """Each picture is one component's, from the same latent vector; each component draws its share."""
    method = tiny_recipe("adagan", components=3).build(Spec(SIZE))
    params, extra = jax.jit(method.init)(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 300)
    s = DCGANSettings(latent=4, width=8)
    _, game = game_with_r1(s, dcgan_players(s, Spec(SIZE)))
    made = np.stack([game.players.generate(own(params, k), normal(keys, (4,))) for k in range(3)])
    for so_far in (1, 2, 3):
        drawn = method.sample({**params, EXTRA: {**extra, SO_FAR: jnp.float32(so_far)}}, keys, {})
        close = np.abs(made - np.asarray(drawn)).max((2, 3, 4)) < 1e-5
        assert (close.sum(0) == 1).all()
        np.testing.assert_allclose(close.mean(1), [1 / so_far] * so_far + [0] * (3 - so_far), atol=0.1)


@pytest.mark.parametrize("shares", [2, 4])
def test_what_is_missed_is_asked_of_the_whole_batch(shares):
    """A photo's weight does not depend on how many devices share the batch."""
    photos = jax.random.normal(jax.random.key(0), (8, 2))
    mixture = Mixture(None, lambda params: lambda x: x.sum(-1) * params, 2)

    def missed(parts):
        run = jax.vmap(lambda x: mixture.missed({"judge": 3.0}, x, 1), axis_name=AXIS)
        return np.asarray(run(photos.reshape(parts, -1, 2))).ravel()

    np.testing.assert_allclose(missed(shares), missed(1), rtol=1e-5)
    assert missed(1).mean() == pytest.approx(1, abs=1e-5) and (missed(1) == 0).any()


def test_photos_that_weigh_the_same_make_the_usual_loss(tiny_recipe):
    """The first component's critic plays as every other critic does, with every loss."""
    batch = {"image": jax.random.uniform(jax.random.key(1), (4, SIZE, SIZE, 3), minval=-1)}
    keys = jax.random.split(jax.random.key(2), 4)
    for loss in LOSSES:
        usual = tiny_recipe("dcgan", loss=loss).build(Spec(SIZE))
        mixed = tiny_recipe("adagan", loss=loss).build(Spec(SIZE))
        params, extra = usual.init(jax.random.key(0))
        named = {f"{name}_0": group for name, group in params.items()}
        wanted = usual.turns[0].loss(params, extra, batch, keys, 0)[0]
        found = mixed.turns[0].loss({**mixed.init(jax.random.key(5))[0], **named}, {}, batch, keys, 0)[0]
        assert float(found) == pytest.approx(float(wanted), rel=1e-5), loss


# --- the toy whose answer is known --------------------------------------------------------------------------------

CENTERS = np.stack(np.meshgrid(*[np.arange(-2.0, 3.0)] * 2), -1).reshape(-1, 2)


class Mlp(nnx.Module):
    def __init__(self, *sizes, rngs):
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in zip(sizes[:-1], sizes[1:], strict=True)])

    def __call__(self, x):
        x, (*hidden, last) = x.reshape(x.shape[0], -1), self.layers
        for layer in hidden:
            x = nnx.leaky_relu(layer(x), 0.2)
        return last(x)[:, 0] if last.out_features == 1 else last(x)[:, None, None]


def on_the_grid(steps, components, seed):
    """How many of the 25 places are met after so many steps, by generators too small for them."""
    weak = {"latent": 2, "generator_lr": 1e-3, "critic_lr": 2e-3, "r1": 0.0, "r1_every": steps}
    made = AdaGANSettings(components=components, phase=steps // components, judge=200, **weak)

    def build(key):
        rngs = nnx.Rngs(params=key)
        return Mlp(2, 4, 2, rngs=rngs), Mlp(2, 64, 64, 64, 1, rngs=rngs)

    method = boosted(made, build)

    def points(key):
        k_place, k_noise = jax.random.split(key)
        places = jnp.asarray(CENTERS)[jax.random.randint(k_place, (128,), 0, 25)]
        return (places + 0.05 * jax.random.normal(k_noise, (128, 2))).reshape(1, 128, 1, 1, 2)

    def part(state, dues, length):
        def once(state, _):
            batch = {"image": points(jax.random.fold_in(jax.random.key(3), state.step))}
            return jax.vmap(partial(train_step, method, dues), (None, 0), None, axis_name=AXIS)(state, batch)[0], None

        return jax.lax.scan(once, state, length=length)[0]

    state, step = init_state(method, jax.random.key(seed)), 0
    while step < steps:
        dues, length = due(method, step), 1
        while step + length < steps and due(method, step + length) == dues:
            length += 1
        state, step = jax.jit(part, static_argnums=(1, 2))(state, dues, length), step + length
    keys = jax.random.split(jax.random.key(1), 2000)
    drawn = np.asarray(method.sample(state.averaged, keys, {}))[:, 0, 0]
    return modes_met(drawn, CENTERS, 0.15)[0]


@pytest.mark.long
def test_a_mixture_meets_more_modes_than_one_game_of_as_many_steps():
    one, three = (on_the_grid(3000, components, seed=0) for components in (1, 3))
    assert one < 15 < three


@pytest.mark.parametrize(("name", "value"), [("components", 0), ("judge", 0), ("phase", 480)])
def test_what_cannot_be_is_refused(tiny_recipe, name, value):
    with pytest.raises(InputError, match=f"{name}={value}"):
        tiny_recipe("adagan", **{"judge": 480, "phase": 3200, name: value}).build(Spec(SIZE))
