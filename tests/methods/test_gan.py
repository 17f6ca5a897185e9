"""A DCGAN as a game of turns: who moves when, whose gradient goes where, and that old runs stay what they were."""

import jax
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.gan import dcgan
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
    loss, (_, metrics) = rare.loss(params, {}, batch, None, 0)
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
