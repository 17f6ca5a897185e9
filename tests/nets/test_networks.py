"""Networks by what their users rely on: shapes, ranges, and that no picture sees another of its batch."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.nets.dcgan import Discriminator, Generator, doublings
from prodgen_jax.nets.dit import Block, DiT, positions
from prodgen_jax.nets.embedding import Embedding
from prodgen_jax.nets.unet import UNet
from prodgen_jax.nets.vae import Decoder, Encoder

SIZE = 16


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def noisy(make):
    """The network with noise for parameters, so that nothing in it is zero or one; compiled."""
    graph, shapes = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))), nnx.Param)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("f"), shapes)
    return jax.jit(lambda *inputs: nnx.merge(graph, params, copy=True)(*inputs))


def test_doublings():
    assert [doublings(size) for size in (8, 16, 32, 256)] == [1, 2, 3, 6]


@pytest.mark.parametrize("size", [4, 12, 20, 33, 2])
def test_sizes_that_are_no_doubling_are_refused(size):
    with pytest.raises(ValueError, match=f"8, 16, 32.*not {size}"):
        doublings(size)


def test_generator_and_discriminator():
    generator, critic = noisy(partial(Generator, SIZE, 3, 5, 8)), noisy(partial(Discriminator, SIZE, 3, 8))
    z, other = draw(0, 4, 5), draw(1, 4, 5)
    images = generator(z)
    assert images.shape == (4, SIZE, SIZE, 3) and 0.1 < float(abs(images).max()) <= 1
    assert critic(images).shape == (4,)
    among_others = jnp.concatenate([z[:1], other[:3]])
    np.testing.assert_allclose(generator(among_others)[0], images[0], atol=1e-5)
    np.testing.assert_allclose(critic(generator(among_others))[0], critic(images)[0], atol=1e-5)


def test_encoder_and_decoder():
    encoder, decoder = (noisy(partial(net, SIZE, 3, 5, 8)) for net in (Encoder, Decoder))
    mean, logvar = encoder(draw(0, 4, SIZE, SIZE, 3))
    assert mean.shape == logvar.shape == (4, 5) and not np.allclose(mean, logvar)
    images, log_scale = decoder(mean)
    assert images.shape == (4, SIZE, SIZE, 3) and 0.1 < float(abs(images).max()) <= 1 and log_scale.shape == (3,)


DENOISERS = {
    "unet": lambda attributes, rngs: UNet(3, 8, (1, 2), 1, (1,), 2, attributes, rngs=rngs),
    "dit": lambda attributes, rngs: DiT(3, 8, 2, 2, 4, attributes, rngs=rngs),
}


@pytest.mark.parametrize("name", DENOISERS)
def test_a_fresh_denoiser_answers_zero(name):
    net = DENOISERS[name]({}, nnx.Rngs(0))
    fresh = nnx.jit(lambda net, *inputs: net(*inputs))(net, draw(0, 2, SIZE, SIZE, 3), jnp.array([0.1, 0.9]), {})
    assert fresh.shape == (2, SIZE, SIZE, 3) and not fresh.any()


@pytest.mark.parametrize("name", DENOISERS)
def test_a_denoiser_listens_to_time_and_label_of_the_same_picture_alone(name):
    net = noisy(partial(DENOISERS[name], {"type": 3}))
    x = draw(1, 1, SIZE, SIZE, 3).repeat(3, axis=0)
    out = net(x, jnp.array([0.2, 0.2, 0.7]), {"type": jnp.array([0, 1, 0])})
    assert out.shape == x.shape
    for i, j in itertools.combinations(range(3), 2):
        assert float(abs(out[i] - out[j]).max()) > 1e-3
    others = net(jnp.concatenate([x[:1], -x[:2]]), jnp.array([0.2, 0.9, 0.5]), {"type": jnp.array([0, 2, -1])})
    np.testing.assert_allclose(others[0], out[0], atol=1e-4)


def test_a_transformer_s_block_starts_as_the_identity_and_knows_no_order():
    x, emb = draw(0, 2, 6, 8), draw(1, 2, 8)
    np.testing.assert_array_equal(Block(8, 2, rngs=nnx.Rngs(0))(x, emb), x)
    block, order = noisy(partial(Block, 8, 2)), jnp.array([3, 0, 5, 1, 4, 2])
    assert float(abs(block(x, emb) - x).max()) > 0.1
    np.testing.assert_allclose(block(x[:, order], emb), block(x, emb)[:, order], atol=1e-4)


def test_positions_tell_rows_from_columns():
    """The first half is the row's sines and cosines, the second the column's; no two places are alike."""
    found = np.asarray(positions(3, 5, 8))
    for (row, column), place in (((i, j), found[i, j]) for i in range(3) for j in range(5)):
        angles = [[n, n / 100] for n in (row, column)]  # periods of 2 pi and 2 pi * 10000^(1/2)
        wanted = np.concatenate([np.concatenate([np.cos(a), np.sin(a)]) for a in angles])
        np.testing.assert_allclose(place, wanted, atol=1e-6)
    flat = found.reshape(15, 8)
    assert min(abs(flat[i] - flat[j]).max() for i, j in itertools.combinations(range(15), 2)) > 1e-3


def test_each_value_and_not_said_has_its_own_embedding():
    embed = noisy(partial(Embedding, 8, 32, {"type": 3, "colour": 2}))
    types, colors = np.meshgrid(np.arange(-1, 3), np.arange(-1, 2))
    rows, words = embed(jnp.full(12, 0.5), {"type": jnp.asarray(types.ravel()), "colour": jnp.asarray(colors.ravel())})
    assert rows.shape == (12, 32) and words is None
    assert min(float(abs(rows[i] - rows[j]).max()) for i, j in itertools.combinations(range(12), 2)) > 1e-2
