"""The losses of a GAN against their definitions in NumPy, and R1 against differentiating twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.methods import Spec
from prodgen_jax.methods.gan import critic_loss, dcgan, generator_loss, r1_penalty
from prodgen_jax.nets.dcgan import Discriminator

SIZE = 8


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


@pytest.fixture(scope="module")
def method(tiny_recipe):
    return tiny_recipe("dcgan").build(Spec(SIZE))


@pytest.fixture(scope="module")
def params(method):
    return jax.jit(method.init)(jax.random.key(0))[0]


def test_losses_equal_their_definitions():
    real, fake = np.random.default_rng(0).normal(0, 3, (2, 50)).astype("f")
    wanted = -np.mean(np.log(sigmoid(real))) - np.mean(np.log(1 - sigmoid(fake)))
    assert float(critic_loss(real, fake)) == pytest.approx(wanted, rel=1e-5)
    assert float(generator_loss(fake)) == pytest.approx(-np.mean(np.log(sigmoid(fake))), rel=1e-5)
    assert float(critic_loss(jnp.zeros(3), jnp.zeros(3))) == pytest.approx(2 * np.log(2))


def test_losses_stay_finite_far_out():
    far = jnp.array([-1e4, 1e4])
    assert float(critic_loss(far, far)) == pytest.approx(1e4) and float(generator_loss(far)) == pytest.approx(5e3)


def test_r1_of_a_linear_critic():
    """D(x) = <w, x>: the penalty is |w|^2 / 2 and its gradient w, whatever the photos are."""
    w, x = (jax.random.normal(jax.random.key(i), shape) for i, shape in ((0, (4, 4, 3)), (1, (5, 4, 4, 3))))
    value, grad = jax.value_and_grad(lambda w: r1_penalty(lambda x: jnp.einsum("bhwc,hwc->b", x, w), x))(w)
    assert float(value) == pytest.approx(float(jnp.sum(w**2)) / 2, rel=1e-5)
    np.testing.assert_allclose(grad, w, rtol=1e-4, atol=1e-5)


def test_r1_equals_differentiating_twice():
    graph, params = nnx.split(Discriminator(16, 3, 8, rngs=nnx.Rngs(0)), nnx.Param)
    real = jax.random.uniform(jax.random.key(1), (4, 16, 16, 3), minval=-1)

    def critic(params):
        return nnx.merge(graph, params, copy=True)

    def twice(params):
        slope = jax.grad(lambda x: critic(params)(x).sum())(real)
        return jnp.mean(jnp.sum(slope**2, (1, 2, 3))) / 2

    ours, wanted = (jax.jit(jax.value_and_grad(f))(params) for f in (lambda p: r1_penalty(critic(p), real), twice))
    assert float(ours[0]) == pytest.approx(float(wanted[0]), rel=1e-4) and float(ours[0]) > 0
    assert sum(float(abs(g).sum()) for g in jax.tree.leaves(wanted[1])) > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), ours[1], wanted[1])


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


def test_samples(method, params):
    keys, draw = jax.random.split(jax.random.key(3), 6), jax.jit(method.sample)
    images = draw(params, keys, {})
    assert images.shape == (6, SIZE, SIZE, 3) and float(abs(images).max()) <= 1
    np.testing.assert_allclose(draw(params, keys[:2], {}), images[:2], atol=1e-5)
    assert not np.allclose(images[0], images[1])
