"""AdaIN: what it does to statistics, what strength and shares mean, and that only the decoder learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.adain import DECODER, AdaINSettings, Transfer, adain, adain_method
from prodgen_jax.methods.gatys import PICTURE, GatysSettings, gatys, mixed_grams
from prodgen_jax.methods.perception import EYE, Eye, gram, moments, style_distance
from prodgen_jax.sampling.style import train_steps

SPEC = Spec(8, 3, {"colour": 2})


@pytest.fixture(scope="module")
def game():
    return Transfer(AdaINSettings(width=8, styles=7, noise=2), SPEC)


@pytest.fixture(scope="module")
def params(game):
    """Random ones that a style reaches the picture through: the layers that read it begin at zero."""
    fresh, _ = game.init(jax.random.key(0))
    leaves, form = jax.tree.flatten(fresh[DECODER])
    keys = jax.random.split(jax.random.key(5), len(leaves))
    moved = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return {**fresh, DECODER: jax.tree.unflatten(form, moved)}


@pytest.fixture(scope="module")
def photos():
    return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3)), jnp.float32)


@pytest.fixture(scope="module")
def looks():
    return jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (3, 2, 8, 8, 3)), jnp.float32)


def keys(seed, n=3):
    return jax.random.split(jax.random.key(seed), n)


def test_the_result_has_the_statistics_of_the_style(photos, looks):
    """And the content's own pattern: what is brighter than its mean still is. Huang & Belongie 2017, eq. 8."""
    content, style = photos * jnp.array([0.5, 1, 3]) + 2, looks[:, 0]
    made = adain(content, style)
    for found, wanted in zip(moments(made), moments(style), strict=True):
        assert np.asarray(found) == pytest.approx(np.asarray(wanted), rel=1e-3, abs=1e-4)
    same = np.corrcoef(np.asarray(made[0, ..., 1]).ravel(), np.asarray(content[0, ..., 1]).ravel())[0, 1]
    assert same == pytest.approx(1, abs=1e-4)
    assert np.asarray(adain(content, content)) == pytest.approx(np.asarray(content), abs=1e-4)


def test_strength(game, params, photos, looks):
    """At 0 the decoder's picture is the autoencoder's, whatever the style and the noise, and the result the photo."""
    shares, none = jnp.full((3, 2), 0.5), jnp.zeros(3)
    seen = game.eye.maps(params, photos)
    looked = [game.eye.maps(params, looks[:, i]) for i in range(2)]
    plain = game.transfer(params, keys(0), seen, [seen, seen], shares, none)
    other = game.transfer(params, keys(9), seen, looked, shares, none)
    assert np.asarray(plain) == pytest.approx(np.asarray(other), abs=1e-5)
    left = game.style(params, keys(0), photos, looks, shares, none)
    assert np.asarray(left) == pytest.approx(np.asarray(photos), abs=1e-5)
    full = game.style(params, keys(0), photos, looks, shares, jnp.ones(3))
    assert np.abs(full - photos).mean() > 0.05 and np.abs(full).max() <= 1


def test_shares(game, params, photos, looks):
    one, other = jnp.tile(jnp.array([1.0, 0.0]), (3, 1)), jnp.tile(jnp.array([0.0, 1.0]), (3, 1))
    full = jnp.ones(3)
    alone = game.style(params, keys(0), photos, looks[:, :1], jnp.ones((3, 1)), full)
    first = game.style(params, keys(0), photos, looks, one, full)
    assert np.asarray(first) == pytest.approx(np.asarray(alone), abs=1e-5)
    assert np.abs(first - game.style(params, keys(0), photos, looks, other, full)).max() > 1e-3


def test_a_picture_may_be_larger_than_those_learned_from(game, params, looks):
    made = game.style(params, keys(0, 1), jnp.zeros((1, 24, 24, 3)), looks[:1], jnp.full((1, 2), 0.5), jnp.ones(1))
    assert made.shape == (1, 24, 24, 3)


def test_settings_are_checked():
    for change, said in (({"style": -1}, "style=-1"), ({"noise": 0}, "noise=0"), ({"styles": 0}, "styles=0")):
        with pytest.raises(InputError, match=said):
            adain_method(AdaINSettings(**change), SPEC)
    with pytest.raises(InputError, match="size=4: the pictures' side must be a multiple of 8 px"):
        adain_method(AdaINSettings(styles=7), Spec(4, 3, {}))


# --- the picture itself is trained ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eye():
    return Eye(SPEC)


@pytest.fixture(scope="module")
def look(eye):
    return {EYE: eye.init(jax.random.key(0))}


def test_the_articles_loss_is_least_where_nothing_was_done(eye, look, photos, looks):
    """W9: |x - H(x)| asks for no style, so the photo itself is its best answer; Gatys' loss moves away from it."""
    wanted = mixed_grams(eye, look, looks[:, :1], jnp.ones((3, 1)))

    def far(x):
        return float(style_distance([gram(m) for m in eye.maps(look, x)], wanted))

    articles = lambda made: float(jnp.abs(photos - made).mean())  # noqa: E731
    assert articles(photos) == 0 and far(photos) > 0.1
    method = gatys(GatysSettings(), eye, look, photos, photos, wanted, 1.0)
    made = train_steps(method, 20, 0)[PICTURE]
    assert far(made) < 0.7 * far(photos) and articles(made) > 0
    assert np.abs(made).max() <= 1


def test_without_strength_the_picture_stays(eye, look, photos, looks):
    """Nothing pulls at it but the content, and that is where it is."""
    wanted = mixed_grams(eye, look, looks, jnp.full((3, 2), 0.5))
    for strength, pulled in ((0.0, False), (0.5, True)):
        turn = gatys(GatysSettings(), eye, look, photos, photos, wanted, strength).turns[0]
        slope = jax.grad(lambda own, turn=turn: turn.loss(own, {}, {}, None, 0)[0])({PICTURE: photos})[PICTURE]
        assert (jnp.abs(slope).max() > 1e-4) == pulled


def test_mixed_grams_are_weighted(eye, look, looks):
    both = mixed_grams(eye, look, looks, jnp.tile(jnp.array([0.25, 0.75]), (3, 1)))
    each = [mixed_grams(eye, look, looks[:, i : i + 1], jnp.ones((3, 1))) for i in range(2)]
    for mix, first, second in zip(both, *each, strict=True):
        assert np.asarray(mix) == pytest.approx(np.asarray(0.25 * first + 0.75 * second), rel=1e-4, abs=1e-6)
