"""The losses of a GAN against their definitions in NumPy, and its penalties against what they are known to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.methods.gan_losses import LOSSES, gradient_penalty, r1_penalty
from prodgen_jax.nets.dcgan import Discriminator


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


WANTED = {
    "nonsaturating": (
        lambda real, fake: -np.mean(np.log(sigmoid(real))) - np.mean(np.log(1 - sigmoid(fake))),
        lambda fake: -np.mean(np.log(sigmoid(fake))),
    ),
    "hinge": (
        lambda real, fake: -np.mean(np.minimum(0, real - 1)) - np.mean(np.minimum(0, -fake - 1)),
        lambda fake: -np.mean(fake),
    ),
    "least_squares": (
        lambda real, fake: np.mean((real - 1) ** 2) / 2 + np.mean((fake - -1) ** 2) / 2,
        lambda fake: np.mean((fake - 0) ** 2) / 2,
    ),
    "wasserstein": (lambda real, fake: -(np.mean(real) - np.mean(fake)), lambda fake: -np.mean(fake)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_their_definitions(name):
    real, fake = np.random.default_rng(0).normal(0, 3, (2, 50)).astype("f")
    loss, (critic, generator) = LOSSES[name], WANTED[name]
    assert float(loss.critic(real, fake)) == pytest.approx(critic(real, fake), rel=1e-5)
    assert float(loss.generator(fake)) == pytest.approx(generator(fake), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_the_players_pull_in_opposite_directions(name):
    """A critic that answers 0 wants photos higher, samples lower; a generator wants what is called fake to rise."""
    loss, zero, fake = LOSSES[name], jnp.zeros(4), jnp.full(4, -0.5)
    on_real, on_fake = jax.grad(lambda real, fake: loss.critic(real, fake), (0, 1))(zero, zero)
    assert (on_real < 0).all() and (on_fake > 0).all()
    assert (jax.grad(loss.generator)(fake) < 0).all()


def test_the_non_saturating_loss_of_no_idea_and_far_out():
    loss, far = LOSSES["nonsaturating"], jnp.array([-1e4, 1e4])
    assert float(loss.critic(jnp.zeros(3), jnp.zeros(3))) == pytest.approx(2 * np.log(2))
    assert float(loss.critic(far, far)) == pytest.approx(1e4) and float(loss.generator(far)) == pytest.approx(5e3)


# --- penalties ----------------------------------------------------------------------------------------------------


def linear():
    """(w, photos) of a critic D(x) = <w, x>, whose slope is w everywhere."""
    return (jax.random.normal(jax.random.key(i), shape) for i, shape in ((0, (4, 4, 3)), (1, (5, 4, 4, 3))))


def on_linear(penalty):
    w, x = linear()
    return w, *jax.value_and_grad(lambda w: penalty(lambda x: jnp.einsum("bhwc,hwc->b", x, w), x))(w)


def test_r1_of_a_linear_critic():
    """The penalty is |w|^2 / 2 and its gradient w, whatever the photos are."""
    w, value, grad = on_linear(r1_penalty)
    assert float(value) == pytest.approx(float(jnp.sum(w**2)) / 2, rel=1e-5)
    np.testing.assert_allclose(grad, w, rtol=1e-4, atol=1e-5)


def test_gradient_penalty_of_a_linear_critic():
    """The penalty is (|w| - 1)^2 and its gradient 2 (|w| - 1) w / |w|, wherever it is taken."""
    w, value, grad = on_linear(gradient_penalty)
    length = float(jnp.linalg.norm(w))
    assert float(value) == pytest.approx((length - 1) ** 2, rel=1e-5)
    np.testing.assert_allclose(grad, 2 * (length - 1) * w / length, rtol=1e-4, atol=1e-5)


def test_a_critic_that_says_nothing_is_penalized_without_nan():
    value, grad = jax.value_and_grad(
        lambda w: gradient_penalty(lambda x: w * x.sum((1, 2, 3)), jnp.ones((2, 2, 2, 1)))
    )(0.0)
    assert float(value) == 1 and np.isfinite(grad)


@pytest.mark.parametrize(
    "penalty, of_slope",
    [(r1_penalty, lambda g: jnp.sum(g**2, (1, 2, 3)) / 2),
     (gradient_penalty, lambda g: (jnp.sqrt(jnp.sum(g**2, (1, 2, 3))) - 1) ** 2)],
    ids=["r1", "gradient penalty"],
)  # fmt: skip
def test_penalties_equal_differentiating_twice(penalty, of_slope):
    graph, params = nnx.split(Discriminator(16, 3, 8, rngs=nnx.Rngs(0)), nnx.Param)
    x = jax.random.uniform(jax.random.key(1), (4, 16, 16, 3), minval=-1)

    def critic(params):
        return nnx.merge(graph, params, copy=True)

    def twice(params):
        return jnp.mean(of_slope(jax.grad(lambda x: critic(params)(x).sum())(x)))

    ours, wanted = (jax.jit(jax.value_and_grad(f))(params) for f in (lambda p: penalty(critic(p), x), twice))
    assert float(ours[0]) == pytest.approx(float(wanted[0]), rel=1e-4) and float(ours[0]) > 0
    assert sum(float(abs(g).sum()) for g in jax.tree.leaves(wanted[1])) > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), ours[1], wanted[1])
