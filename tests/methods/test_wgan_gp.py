"""WGAN-GP: whose turn it is, where the penalty is taken, and that the critic's gap is the distance it should be."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.methods.core import AXIS, due, init_state, train_step
from prodgen_jax.methods.gan import Players
from prodgen_jax.methods.gan_losses import gradient_penalty
from prodgen_jax.methods.wgan_gp import WGANGPSettings, between, wasserstein
from prodgen_jax.nets.dcgan import Discriminator
from prodgen_jax.training.parallel import period
from prodgen_jax.training.recipe import PRESETS

SIZE = 8


def test_the_critic_plays_n_times_for_one_of_the_generator_s(tiny_recipe):
    method = tiny_recipe("wgan_gp", n_critic=3).build(Spec(SIZE))
    assert [turn.trains for turn in method.turns] == ["critic", "generator"]
    assert [due(method, step) for step in range(4)] == [(True, True), (True, False), (True, False), (True, True)]


@pytest.mark.parametrize("name", METHODS)
def test_the_rhythm_fits_into_a_dispatch_of_every_preset(name):
    method = METHODS[name].build(METHODS[name].settings(), Spec(SIZE, 3, {"type": 2}, words=9))
    assert all(preset.get("steps_per_dispatch", 0) % period(method) == 0 for preset in PRESETS.values())


def test_points_between_lie_on_their_lines():
    real, fake = jnp.full((400, 2, 2, 1), 3.0), jnp.full((400, 2, 2, 1), 1.0)
    points = np.asarray(between(jax.random.split(jax.random.key(0), 400), real, fake))
    assert np.ptp(points, axis=(1, 2, 3)).max() == 0 and 1 <= points.min() and points.max() <= 3
    np.testing.assert_allclose(np.histogram(points[:, 0, 0, 0], 4, (1, 3))[0] / 400, 0.25, atol=0.07)


def test_the_critic_s_loss_is_gap_and_penalty(tiny_recipe):
    """By hand: its answers on photos and on pictures of the same latent vectors, and the penalty between them."""
    method = tiny_recipe("wgan_gp", penalty=7.0).build(Spec(SIZE))
    params, extra = jax.jit(method.init)(jax.random.key(0))
    real, keys = (
        jax.random.uniform(jax.random.key(1), (4, SIZE, SIZE, 3), minval=-1),
        jax.random.split(jax.random.key(2), 4),
    )
    fake = method.sample(params, keys, {})
    loss, (_, metrics) = method.turns[0].loss(params, extra, {"image": real}, keys, 0)
    on_fake = float(method.turns[1].loss(params, extra, {"image": real}, keys, 0)[0])  # -E D(G(z))
    gap, penalty = float(metrics["critic/gap"]), float(metrics["loss/penalty"])
    assert float(loss) == pytest.approx(7 * penalty - gap, rel=1e-4)
    same, _ = method.turns[0].loss(params, extra, {"image": fake}, keys, 0)  # no gap; the penalty is taken there
    graph = nnx.graphdef(nnx.eval_shape(lambda: Discriminator(SIZE, 3, 8, rngs=nnx.Rngs(0))))
    critic = nnx.merge(graph, params["critic"], copy=True)
    assert float(same) == pytest.approx(7 * float(gradient_penalty(critic, fake)), rel=1e-3)
    assert gap == pytest.approx(float(critic(real).mean()) + on_fake, rel=1e-3, abs=1e-5)


class Shift(nnx.Module):
    """A generator that moves its latent number: G(z) = z + b."""

    def __init__(self):
        self.b = nnx.Param(jnp.zeros(()))

    def __call__(self, z):
        return (z + self.b[...])[:, None, None]


class Mlp(nnx.Module):
    def __init__(self, *, rngs):
        self.enter, self.exit = nnx.Linear(1, 32, rngs=rngs), nnx.Linear(32, 1, rngs=rngs)

    def __call__(self, x):
        return self.exit(nnx.leaky_relu(self.enter(x.reshape(-1, 1)), 0.2))[:, 0]


def play(steps, **settings):
    """`steps` of a game whose photos are numbers from N(3, 1): (metrics of each step, the generator's shift)."""
    made = WGANGPSettings(latent=1, critic_lr=1e-2, n_critic=5, **settings)
    method = wasserstein(made, Players(lambda key: (Shift(), Mlp(rngs=nnx.Rngs(params=key)))))
    photos = 3 + jax.random.normal(jax.random.key(5), (steps, 1, 128, 1, 1, 1))

    def once(state, image, dues):
        step = jax.vmap(partial(train_step, method, dues), (None, 0), axis_name=AXIS)
        return jax.tree.map(lambda x: x[0], step(state, {"image": image}))

    def five(state, images):
        gaps = []
        for i in range(5):
            state, metrics = once(state, images[i], due(method, i))
            gaps.append(metrics["critic/gap"])
        return state, jnp.stack(gaps)

    state, gaps = jax.lax.scan(five, init_state(method, jax.random.key(0)), photos.reshape(-1, 5, *photos.shape[1:]))
    return gaps.reshape(-1), float(jax.tree.leaves(state.params["generator"])[0])


@pytest.mark.parametrize("penalty", [10.0, 100.0])
def test_the_gap_is_the_wasserstein_distance(penalty):
    """N(0, 1) and N(3, 1) are d = 3 apart; a penalty that is not infinite lets the slope rise to 1 + d / 2 penalty."""
    gaps, shift = play(400, generator_lr=0.0, penalty=penalty)
    assert shift == 0 and float(gaps[-100:].mean()) == pytest.approx(3 * (1 + 3 / (2 * penalty)), abs=0.12)


def test_the_generator_closes_the_gap():
    gaps, shift = play(1500, generator_lr=1e-2)
    assert shift == pytest.approx(3, abs=0.2) and abs(float(gaps[-100:].mean())) < 0.3


def test_no_critic_s_turn_is_refused(tiny_recipe):
    with pytest.raises(InputError, match="n_critic=0"):
        tiny_recipe("wgan_gp", n_critic=0).build(Spec(SIZE))
