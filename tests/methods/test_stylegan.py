"""A style-based generator: unit variance whatever the style, styles mix, truncation narrows, noise counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.stylegan import NEVER_MIXED
from prodgen_jax.nets.layers import LAYOUT
from prodgen_jax.nets.stylegan import Mapping, Modulated, StyleGenerator

LATENT = 6


@pytest.mark.parametrize("up", [False, True])
def test_demodulated_maps_have_unit_variance(up):
    """Whatever the style, up to ten times as large in one channel as in another. Karras 2020, eq. 3."""
    layer = Modulated(16, 24, LATENT, up, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (3, 32, 32, 16))
    layer.style.kernel[...] = jax.random.normal(jax.random.key(2), (LATENT, 16))
    y = layer(x, 2 * jax.random.normal(jax.random.key(3), (3, LATENT)))[:, 4:-4, 4:-4]
    np.testing.assert_allclose(y.var(), 1, atol=0.1)
    each = np.asarray(y.var((1, 2))).ravel()
    assert 0.6 < each.min() and each.max() < 1.6


def test_modulation_on_maps_is_modulation_of_the_kernel():
    layer = Modulated(3, 5, LATENT, rngs=nnx.Rngs(0))
    x, w = jax.random.normal(jax.random.key(1), (2, 6, 6, 3)), jax.random.normal(jax.random.key(2), (2, LATENT))
    for one, own in zip(x, w, strict=True):
        kernel = layer.kernel[...] * layer.style(own[None])[0][:, None]
        kernel = kernel / jnp.sqrt(jnp.square(kernel).sum((0, 1, 2)))
        same = jax.lax.conv_general_dilated(one[None], kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)
        np.testing.assert_allclose(layer(one[None], own[None]), same, atol=1e-4)


@pytest.fixture(scope="module")
def generator():
    net = StyleGenerator(16, 3, LATENT, 8, 2, 0.5, rngs=nnx.Rngs(0))
    for layer in (net.first, *net.ups, *net.rest):
        layer.conv.style.kernel[...] = jax.random.normal(jax.random.key(7), layer.conv.style.kernel.shape)
    return net


@pytest.fixture(scope="module")
def drawn(generator):
    """All that is drawn for 64 pictures, none of them mixed."""
    z = jax.random.normal(jax.random.key(0), (64, generator.drawn))
    return z.at[:, 2 * LATENT].set(NEVER_MIXED)


def test_truncation_narrows_step_by_step(generator, drawn):
    spread = [float(generator(drawn, truncation=jnp.float32(share)).std(0).mean()) for share in (0.0, 0.3, 0.6, 1.0)]
    assert spread[0] < 1e-5 and all(a < b for a, b in zip(spread, spread[1:], strict=False))
    np.testing.assert_allclose(generator(drawn, truncation=jnp.float32(1)), generator(drawn), atol=1e-4)


def test_styles_mix_as_often_as_asked_and_the_second_takes_the_finer_maps(generator):
    z = jax.random.normal(jax.random.key(1), (4000, generator.drawn))
    w = np.asarray(generator.styles(z, None, None))
    first = np.asarray(generator.mapping(z[:, :LATENT]))
    own = (np.abs(w - first) < 1e-6).all(-1)  # [layers, pictures]
    assert own[0].all() and (np.diff(own.astype(int), axis=0) <= 0).all()
    counts = np.bincount(own.sum(0), minlength=len(w) + 1)
    assert counts[-1] / 4000 == pytest.approx(0.5, abs=0.04)
    np.testing.assert_allclose(counts[1:-1] / 4000, 0.5 / (len(w) - 1), atol=0.04)


def test_what_was_not_drawn_for_mixing_does_not_count(generator, drawn):
    other = drawn.at[:, LATENT : 2 * LATENT].set(1.0)
    np.testing.assert_allclose(generator(other), generator(drawn), atol=1e-5)


def test_noise_counts_as_much_as_it_has_learned_to(drawn):
    net = StyleGenerator(16, 3, LATENT, 8, 2, 0.5, rngs=nnx.Rngs(0))
    still = drawn.at[:, 2 * LATENT + 1 :].set(0.0)
    np.testing.assert_allclose(net(drawn[:4]), net(still[:4]), atol=1e-6)
    net.rest[0].strength[...] = 0.5
    assert float(abs(net(drawn[:4]) - net(still[:4])).max()) > 1e-3


def test_the_mapping_sees_directions_alone():
    net, z = Mapping(LATENT, LATENT, 3, rngs=nnx.Rngs(0)), jax.random.normal(jax.random.key(0), (5, LATENT))
    np.testing.assert_allclose(net(z), net(3 * z), atol=1e-5)


def test_samples_are_never_mixed(tiny_recipe):
    method = tiny_recipe("stylegan", mixing=1.0).build(Spec(8))
    params = jax.jit(method.init)(jax.random.key(0))[0]
    keys = jax.random.split(jax.random.key(1), 4)
    images = jax.jit(method.sample)(params, keys, {})
    assert images.shape == (4, 8, 8, 3) and float(abs(images).max()) <= 1
    narrow = tiny_recipe("stylegan", truncation=0.0).build(Spec(8))
    same = jax.jit(narrow.sample)(params, keys, {})
    np.testing.assert_allclose(same, jnp.broadcast_to(same[:1], same.shape), atol=1e-5)


# --- told attributes ----------------------------------------------------------------------------------------------

SPEC = Spec(8, 3, {"type": 3, "colour": 2})


@pytest.fixture(scope="module")
def told(tiny_recipe):
    """(method that is told the type, its parameters)."""
    method = tiny_recipe("stylegan", condition="type").build(SPEC)
    return method, jax.jit(method.init)(jax.random.key(0))[0]


def test_both_players_are_told(told):
    """What is said moves pictures and verdicts; 'not said' is a value of its own; other attributes are nothing."""
    method, params = told
    keys, draw = jax.random.split(jax.random.key(1), 4), jax.jit(method.sample)
    asked = [draw(params, keys, {"type": jnp.full(4, i)}) for i in (0, 1, -1)]
    assert method.conditions == ("type",) and np.array_equal(asked[2], draw(params, keys, {}))
    assert all(float(abs(a - b).max()) > 1e-4 for a, b in ((asked[0], asked[1]), (asked[1], asked[2])))

    def loss(kind, colour):
        batch = {"image": asked[0], "label": {"type": jnp.full(4, kind), "colour": jnp.full(4, colour)}}
        return float(method.turns[0].loss(params, {}, batch, keys, 0)[0])

    assert len({loss(0, 0), loss(1, 0), loss(-1, 0)}) > 1 and loss(0, 0) == loss(0, 1)


def test_without_a_condition_nothing_is_told(tiny_recipe):
    """Such models were made before there were conditions, and are read by these names."""
    method = tiny_recipe("stylegan").build(SPEC)
    params = jax.eval_shape(method.init, jax.random.key(0))[0]
    names = {jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)}
    assert method.conditions == () and not any("labels" in name or "tables" in name for name in names)


@pytest.mark.parametrize("settings, message", [({"mapping": 0}, "mapping=0"), ({"mixing": 2}, "mixing=2.0"),
                                               ({"truncation": 1.5}, "truncation=1.5: must be a share"),
                                               ({"condition": "size"}, "condition=size is not known"),
                                               ({"condition": "type", "drop": 2}, "drop=2.0")])  # fmt: skip
def test_what_is_refused(tiny_recipe, settings, message):
    with pytest.raises(InputError, match=message):
        tiny_recipe("stylegan", **settings).build(SPEC)
