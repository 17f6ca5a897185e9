"""A DCGAN as a game of turns: who moves when, whose gradient goes where, and that old runs stay what they were."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import AXIS, init_state, train_step
from prodgen_jax.methods.diffaugment import PARTS, DiffAugment
from prodgen_jax.methods.gan import Game, Players, dcgan, latents
from prodgen_jax.methods.gan_losses import LOSSES

SIZE = 8


@pytest.fixture(scope="module")
def method(tiny_recipe):
    return tiny_recipe("dcgan").build(Spec(SIZE))


@pytest.fixture(scope="module")
def params(method):
    return jax.jit(method.init)(jax.random.key(0))[0]


def test_turns_of_a_dcgan(method):
    assert [(turn.trains, turn.every) for turn in method.turns] == [("critic", 1), ("critic", 2), ("generator", 1)]
    assert set(method.optim) == {"critic", "generator"} and set(method.ema) == {"generator"}


def test_each_player_s_gradient_lies_in_its_own_group(method, params):
    """The critic's turns ask nothing of the generator, whose pictures are held; the generator's reaches both."""
    batch = {"image": jax.random.uniform(jax.random.key(1), (4, SIZE, SIZE, 3), minval=-1)}
    keys = jax.random.split(jax.random.key(2), 4)
    for turn, moved in zip(method.turns, ({"critic"}, {"critic"}, {"critic", "generator"}), strict=True):
        grads = jax.jit(jax.grad(lambda p, loss=turn.loss: loss(p, {}, batch, keys, 0)[0]))(params)
        assert {name for name in grads if any(g.any() for g in jax.tree.leaves(grads[name]))} == moved


def test_lazy_r1_counts_as_many_times_as_it_waits(tiny_recipe, params):
    batch = {"image": jax.random.uniform(jax.random.key(1), (4, SIZE, SIZE, 3), minval=-1)}
    rare = dcgan(tiny_recipe("dcgan", r1=0.5, r1_every=16).method, Spec(SIZE)).turns[1]
    loss, (_, metrics) = rare.loss(params, {}, batch, jax.random.split(jax.random.key(2), 4), 0)
    assert rare.every == 16 and float(loss) == pytest.approx(8 * float(metrics["loss/r1"]))


def test_a_dcgan_s_parameters_keep_their_places(params):
    """Runs on disk are read by these names."""
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)]
    critic, generator = ("downs", "out"), ("norms", "project", "ups")
    assert {name.split("'")[1] for name in names} == {"critic", "generator"} and len(names) == 10
    assert {name.split("'")[3] for name in names} == {*critic, *generator}


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_the_one_that_is_named(tiny_recipe, method, params, name):
    batch = {"image": jax.random.uniform(jax.random.key(1), (4, SIZE, SIZE, 3), minval=-1)}
    keys = jax.random.split(jax.random.key(2), 4)
    named = tiny_recipe("dcgan", loss=name).build(Spec(SIZE))
    values = [[float(m.turns[i].loss(params, {}, batch, keys, 0)[0]) for i in (0, 2)] for m in (method, named)]
    assert (values[0] == values[1]) == (name == "nonsaturating")


def test_an_unknown_loss_is_refused(tiny_recipe):
    with pytest.raises(InputError, match="loss=crossentropy .*nonsaturating, hinge, least_squares, wasserstein"):
        tiny_recipe("dcgan", loss="crossentropy").build(Spec(SIZE))


def test_samples(method, params):
    keys, draw = jax.random.split(jax.random.key(3), 6), jax.jit(method.sample)
    images = draw(params, keys, {})
    assert images.shape == (6, SIZE, SIZE, 3) and float(abs(images).max()) <= 1
    np.testing.assert_allclose(draw(params, keys[:2], {}), images[:2], atol=1e-5)
    assert not np.allclose(images[0], images[1])


# --- regularizers as parts ----------------------------------------------------------------------------------------

EVERYTHING = {"loss": "hinge", "spectral": True, "stddev_group": 2, "diffaugment": tuple(PARTS), "augment_target": 0.6,
              "augment_steps": 2}  # fmt: skip


@pytest.mark.parametrize("shares", [2, 4])
def test_all_parts_at_once_do_not_depend_on_devices(tiny_recipe, shares):
    method = tiny_recipe("dcgan", **EVERYTHING).build(Spec(SIZE))
    images = jax.random.uniform(jax.random.key(1), (8, SIZE, SIZE, 3), minval=-1)

    def after_two_steps(shares):
        step = jax.jit(jax.vmap(partial(train_step, method, (True,) * 3), (None, 0), axis_name=AXIS))
        state = init_state(method, jax.random.key(0))
        for _ in range(2):
            out = step(state, {"image": images.reshape(shares, -1, SIZE, SIZE, 3)})
            state, metrics = jax.tree.map(lambda x: x[0], out)
        return state._replace(key=0), metrics

    one, many = after_two_steps(1), after_two_steps(shares)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), one, many)
    assert set(one[0].extra) == {"spectral", "augment"}


class Flat(nnx.Module):
    """Draws pictures of ones and judges by the mean."""

    def __init__(self):
        self.one = nnx.Param(jnp.ones(()))

    def __call__(self, x):
        return self.one * (jnp.ones((x.shape[0], SIZE, SIZE, 3)) if x.ndim == 2 else x.mean((1, 2, 3)))


def test_photos_and_samples_are_disturbed_alike_in_every_turn():
    """With a square cut out of pictures of ones, a critic that takes the mean finds less than 1 of everything."""
    game = Game(Players(lambda key: (Flat(), Flat())), LOSSES["wasserstein"], 4, DiffAugment(("cutout",)))
    params, extra = game.init(jax.random.key(0))
    batch, keys = {"image": jnp.ones((6, SIZE, SIZE, 3))}, jax.random.split(jax.random.key(1), 6)
    critic, real, fake, _ = game.judged(params, extra, batch, keys)
    for pictures in (real, fake):
        assert (pictures.min((1, 2, 3)) == 0).all() and (pictures.max((1, 2, 3)) == 1).all()
    assert not np.array_equal(real, fake)
    np.testing.assert_allclose(critic(fake), fake.mean((1, 2, 3)), rtol=1e-6)
    shown, _ = game.generator_turn(params, extra, batch, keys, 0)
    assert -1 < float(shown) < 0


def test_spectral_weights_are_used_by_every_turn_and_moved_by_the_critic_s(tiny_recipe):
    method = tiny_recipe("dcgan", spectral=True).build(Spec(SIZE))
    params, extra = method.init(jax.random.key(0))
    larger = {**params, "critic": jax.tree.map(lambda p: 5 * p if p.ndim > 1 else p, params["critic"])}
    batch = {"image": jax.random.uniform(jax.random.key(1), (4, SIZE, SIZE, 3), minval=-1)}
    keys = jax.random.split(jax.random.key(2), 4)
    for i, turn in enumerate(method.turns):
        (value, (after, _)), (again, _) = (turn.loss(p, extra, batch, keys, 0) for p in (params, larger))
        assert float(value) == pytest.approx(float(again), rel=1e-4)
        moved = any(float(abs(after["spectral"][name] - v).max()) > 1e-3 for name, v in extra["spectral"].items())
        assert moved == (i == 0)


# --- truncation ---------------------------------------------------------------------------------------------------


def test_truncated_latents():
    """Within +-W, and with the variance of a normal that is cut there; 0 changes nothing."""
    keys, deviations = jax.random.split(jax.random.key(0), 500), []
    for width, wanted in ((0.5, 0.2840), (1.0, 0.5396), (2.0, 0.8796)):
        z = latents(keys, 20, width)
        assert float(abs(z).max()) <= width
        deviations.append(float(z.std()))
        assert deviations[-1] == pytest.approx(wanted, rel=0.02)
    plain = jax.vmap(lambda key: jax.random.normal(key, (20,)))(keys)
    np.testing.assert_array_equal(latents(keys, 20, 0.0), plain)


def test_truncation_lowers_variety(tiny_recipe, params):
    """The norms forget a vector's length but for the biases beside it, so those are large here."""
    keys, spreads, rng = jax.random.split(jax.random.key(0), 64), [], np.random.default_rng(0)
    noise = jax.tree.map(lambda leaf: rng.normal(0, 0.5, leaf.shape).astype("f"), params)
    for width in (0.1, 0.5, 0.0):
        images = tiny_recipe("dcgan", truncation=width).build(Spec(SIZE)).sample(noise, keys, {})
        spreads.append(float(images.std(0).mean()))
    assert spreads[0] < 0.8 * spreads[1] < 0.8 * spreads[2]


@pytest.mark.parametrize(
    ("setting", "value"), [("truncation", -1.0), ("r1_every", 0), ("stddev_group", 1), ("stddev_group", -2)]
)
def test_settings_that_cannot_be(tiny_recipe, setting, value):
    with pytest.raises(InputError, match=f"{setting}={value}"):
        tiny_recipe("dcgan", **{setting: value}).build(Spec(SIZE))
