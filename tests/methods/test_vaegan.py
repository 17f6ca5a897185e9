"""VAE-GAN: whose turn it is, its losses by hand, where pictures are compared, and who may move whom."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.gan import fold, normal
from prodgen_jax.methods.gan_losses import LOSSES
from prodgen_jax.methods.vae import kl
from prodgen_jax.methods.vaegan import STREAM_DRAWN, Networks, VAEGANSettings, unlikeness, vaegan

SIZE, SPEC = 16, Spec(16)
SMALL = {"width": 8, "latent": 3}


@pytest.fixture(scope="module")
def game():
    """(settings, networks, parameters, a batch, its keys)."""
    settings = VAEGANSettings(**SMALL, gamma=7.0, beta=2.0)
    nets = Networks(settings, SPEC)
    params, _ = nets.init(jax.random.key(0))
    photos = jax.random.uniform(jax.random.key(1), (4, SIZE, SIZE, 3), minval=-1)
    return settings, nets, params, {"image": photos}, jax.random.split(jax.random.key(2), 4)


def test_losses_by_hand(game):
    """Larsen 2016, algorithm 1, each divided by the numbers in the map."""
    settings, nets, params, batch, keys = game
    x, critic = batch["image"], lambda pictures: nets.nets["critic"](params["critic"])(pictures)
    mean, logvar = nets.encode(params, x)
    made = nets.decode(params, mean + jnp.exp(0.5 * logvar) * normal(keys, (3,)))
    drawn = nets.decode(params, normal(fold(keys, STREAM_DRAWN), (3,)))
    seen, of_photo = critic(made)[1], critic(x)[1]
    assert seen.shape == (4, 8 * 8 * 8)
    fit = 0.5 * np.mean((np.asarray(seen) - np.asarray(of_photo)) ** 2)
    on_fake = jnp.concatenate([critic(made)[0], critic(drawn)[0]])
    loss = LOSSES["nonsaturating"]
    wanted = {
        "critic": loss.critic(critic(x)[0], on_fake),
        "encoder": fit + 2.0 * kl(mean, logvar).mean() / 512,
        "decoder": 7.0 * fit + loss.generator(on_fake),
    }
    turns = {turn.trains: turn for turn in vaegan(settings, SPEC).turns if turn.every == 1}
    assert list(turns) == ["critic", "encoder", "decoder"]
    for name, turn in turns.items():
        assert float(turn.loss(params, {}, batch, keys, 0)[0]) == pytest.approx(float(wanted[name]), rel=1e-4), name


def test_layer_0_compares_the_pictures(game):
    _, _, _, batch, _ = game
    nets = Networks(VAEGANSettings(**SMALL, layer=0), SPEC)
    params, _ = nets.init(jax.random.key(0))
    np.testing.assert_array_equal(nets.judge(params, batch["image"])[1], batch["image"].reshape(4, -1))
    deepest = Networks(VAEGANSettings(**SMALL, layer=2), SPEC)
    assert deepest.judge(deepest.init(jax.random.key(0))[0], batch["image"])[1].shape == (4, 4 * 4 * 16)


def test_alike_is_zero_and_apart_is_half_the_square():
    seen = jnp.array([[1.0, 2.0], [0.0, 0.0]])
    np.testing.assert_allclose(unlikeness(seen, jnp.array([[1.0, 2.0], [1.0, 3.0]])), [0.0, 2.5])


def test_the_critic_does_not_move_who_makes_its_pictures(game):
    """A turn's loss has a slope in its own group; the critic's has none in the others, whose pictures are held."""
    settings, _, params, batch, keys = game
    critic_turn = vaegan(settings, SPEC).turns[0]
    slopes = jax.grad(lambda p: critic_turn.loss(p, {}, batch, keys, 0)[0])(params)
    size = {group: sum(float(jnp.abs(leaf).sum()) for leaf in jax.tree.leaves(slopes[group])) for group in slopes}
    assert size["critic"] > 0 and size["encoder"] == 0 and size["decoder"] == 0


@pytest.mark.parametrize(
    ("settings", "word"), [({"layer": 3}, "layer=3: the critic has maps 1 to 2"), ({"r1_every": 0}, "r1_every=0")]
)
def test_what_cannot_be_is_refused(settings, word):
    with pytest.raises(InputError, match=word):
        vaegan(VAEGANSettings(**SMALL, **settings), SPEC)
