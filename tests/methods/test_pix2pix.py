"""Paired translation: the losses, the critics' patches, and that what can be told from the source is learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.data.tasks import TASKS
from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import SOURCE, init_state
from prodgen_jax.methods.pix2pix import absolute, matching
from prodgen_jax.nets.patchgan import PatchCritic, ScaledCritics, beside
from prodgen_jax.training.loop import loop

SPEC = Spec(8, 3, {"colour": 2})


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3)).astype("f")


def test_an_untrained_generator_gives_back_the_source(tiny_recipe, photos):
    """Its network's last layer begins at zero, so all that it learns is what the source lacks."""
    method = tiny_recipe("pix2pix").build(SPEC)
    params = init_state(method, jax.random.key(0)).averaged
    source = method.source(photos)
    made = method.sample(params, jax.random.split(jax.random.key(1), 3), {SOURCE: source})
    assert np.asarray(made) == pytest.approx(np.asarray(source), abs=1e-6)
    assert np.asarray(source) == pytest.approx(np.asarray(TASKS["grey"](photos)))


def test_matching_is_the_mean_over_maps_and_holds_the_photo():
    def judged(first, second):
        return ((None, (jnp.full((2, 3, 3, 1), first), jnp.full((2, 2, 2, 5), second))),)

    real, fake = judged(0.0, 1.0), judged(2.0, 4.0)
    assert matching(real, fake) == pytest.approx((2 + 3) / 2)
    assert matching(real, real) == 0
    slope = jax.grad(lambda x: matching(((None, (x,)),), ((None, (x * 0 + 1.0,)),)))(jnp.zeros((1, 2, 2, 1)))
    assert (slope == 0).all()


def test_a_critic_judges_patches_of_18_pixels():
    """An answer depends on 18 x 18 pixels and on nothing else, but for the normalization's own statistics."""
    critic = PatchCritic(3, 8, rngs=nnx.Rngs(0))
    critic.norm = lambda x: x
    seen = jax.grad(lambda x: critic(x)[0].reshape(16, 16)[8, 8])(jnp.ones((1, 64, 64, 3)))
    where = np.argwhere(np.abs(np.asarray(seen)).sum((0, 3)) > 0)
    assert (np.ptp(where, axis=0) + 1 == 18).all()


def test_critics_at_scales_see_halves():
    critics = ScaledCritics(16, 6, 4, 2, rngs=nnx.Rngs(0))
    judged = critics(beside(jnp.zeros((2, 16, 16, 3)), jnp.ones((2, 16, 16, 3))))
    assert [answers.shape for answers, _ in judged] == [(2, 16), (2, 4)]
    with pytest.raises(ValueError, match="scales=4"):
        ScaledCritics(16, 6, 4, 4, rngs=nnx.Rngs(0))


def test_without_judgement_there_is_no_critic(tiny_recipe):
    method = tiny_recipe("pix2pix", adversarial=0).build(SPEC)
    assert [turn.trains for turn in method.turns] == ["generator"]
    assert set(method.init(jax.random.key(0))[0]) == set(method.optim) == {"generator"}


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"task": "sketch"}, "task=sketch.*grey, edges"),
        ({"l1": -1}, "l1=-1.0"),
        ({"l1": 0, "adversarial": 0}, "nothing is left to learn"),
        ({"adversarial": 0, "matching": 1}, "matching needs critics"),
        ({"drop": 2}, "drop=2"),
        ({"scales": 3}, "scales=3"),
        ({"condition": "size"}, "condition=size.*colour"),
    ],
)
def test_settings_that_cannot_be(tiny_recipe, settings, words):
    with pytest.raises(InputError, match=words):
        tiny_recipe("pix2pix", **settings).build(SPEC)


@pytest.mark.slow
def test_it_learns_what_the_source_tells(two_colors, tiny_recipe):
    """Red is darker than blue there: from brightness alone the color is found again."""
    made = tiny_recipe("pix2pix", width=16, adversarial=0.1, warmup=20)
    method, split = made.build(Spec.of(two_colors)), two_colors.split("train")
    *_, tick = loop(method, split, made.loop, made.augment, seed=0, stop=120)
    params, photos = tick.host_state().averaged, two_colors.split("test").images[:].astype("f") / 127.5 - 1
    source, keys = method.source(photos), jax.random.split(jax.random.key(0), len(photos))
    result = jax.jit(method.sample)(params, keys, {SOURCE: source})
    assert absolute(result, photos) < 0.3 * absolute(source, photos)
