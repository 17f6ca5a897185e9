"""Parts that stay and adapters: what may move does, what may not does not, and how few numbers are learned."""

import jax
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.adapt import LORA, add, first_adapters, named
from prodgen_jax.methods.core import init_state
from prodgen_jax.training.fit import fit

SPEC = Spec(8, 3, {"type": 3, "colour": 2})


def moved(before, after):
    """Names of the parameters that differ."""
    before, after = named(before), named(after)
    return {name for name in before if not np.array_equal(before[name], after[name])}


def after_steps(made, tiny, out):
    """(parameters at the start, after three steps) of one run."""
    method = made.build(Spec.of(tiny))
    run = fit(made, tiny, out, steps=3)
    return jax.jit(lambda: init_state(method, jax.random.key(0)))().params, run


@pytest.mark.parametrize("name, group, part", [("dcgan", "generator", "project"), ("vae", "vae", "encoder")])
def test_frozen_parts_stay(name, group, part, tiny, tiny_recipe, tmp_path):
    method = tiny_recipe(name).build(SPEC)
    names = named(jax.eval_shape(method.init, jax.random.key(0))[0][group])
    before, run = after_steps(tiny_recipe(name, freeze=part), tiny, tmp_path / "run")
    changed = moved(before[group], run.params[group])
    assert changed and not [n for n in changed if n.startswith(f"{part}.")]
    assert any(n.startswith(f"{part}.") for n in names)


def test_adapters_begin_as_nothing_and_add_a_product():
    group = {"conv": {"kernel": jax.random.normal(jax.random.key(0), (3, 3, 8, 16)), "bias": np.zeros(16)}}
    low = first_adapters(jax.random.key(1), group, 2)
    assert list(low) == ["conv.kernel"] and low["conv.kernel"]["a"].shape == (72, 2)
    np.testing.assert_array_equal(add(group, low)["conv"]["kernel"], group["conv"]["kernel"])
    low["conv.kernel"]["b"] = np.ones((2, 16))
    extra = (np.asarray(low["conv.kernel"]["a"]) @ np.ones((2, 16))).reshape(3, 3, 8, 16)
    np.testing.assert_allclose(add(group, low)["conv"]["kernel"], group["conv"]["kernel"] + extra, atol=1e-6)


@pytest.mark.parametrize("name", ["vae", "dcgan"])
def test_with_adapters_the_network_itself_stays(name, tiny, tiny_recipe, tmp_path):
    """One player and two: each trained group has adapters of its own."""
    before, run = after_steps(tiny_recipe(name, adapt="lora", rank=1), tiny, tmp_path / "run")
    groups = [group for group in run.params if group.endswith(LORA)]
    assert groups
    for group in groups:
        assert moved(before[group], run.params[group])
        base = group.removesuffix(LORA)
        assert not moved(before[base], run.params[base])


@pytest.mark.parametrize("ask", ["sample", "validate", "bits"])
def test_what_is_asked_of_a_method_is_asked_of_what_was_adapted(tiny_recipe, ask):
    """The likelihood as well: it was counted without the adapters once."""
    method = tiny_recipe("vae", adapt="lora", rank=1).build(SPEC)
    params = jax.jit(lambda: method.init(jax.random.key(0))[0])()
    moved_too = {**params, "vae" + LORA: jax.tree.map(lambda leaf: leaf + 0.1, params["vae" + LORA])}
    keys, image = jax.random.split(jax.random.key(1), 2), np.zeros((2, 8, 8, 3), np.float32)
    batch = {"image": image, "label": {name: np.zeros(2, int) for name in SPEC.attributes}}
    arguments = (keys, {}) if ask == "sample" else (batch, keys)
    before, after = (jax.tree.leaves(getattr(method, ask)(at, *arguments))[0] for at in (params, moved_too))
    assert not np.allclose(before, after, atol=1e-4)


def test_adapters_are_few():
    """At the network's usual size, adapters are under a twentieth of it."""
    from prodgen_jax.training.recipe import recipe

    params = jax.eval_shape(recipe("ddpm", adapt="lora").build(Spec(32)).init, jax.random.key(0))[0]
    count = {group: sum(leaf.size for leaf in jax.tree.leaves(tree)) for group, tree in params.items()}
    assert 0.01 < count["unet" + LORA] / count["unet"] <= 0.05


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"adapt": "half"}, "adapt=half is not known; choose all, lora or sparse"),
        ({"adapt": "lora", "rank": 0}, "rank=0: must be 1 or more"),
        ({"freeze": "nose"}, "freeze=nose: no parameter's name begins so; the network's parts are"),
        ({"freeze": "emb"}, "freeze=emb: no parameter"),
        ({"freeze": "embedding", "adapt": "lora"}, "leave one of the two out"),
    ],
)
def test_what_is_refused(tiny_recipe, settings, message):
    with pytest.raises(InputError, match=message):
        tiny_recipe("ddpm", **settings).build(SPEC)


def test_something_must_be_left_to_train(tiny_recipe):
    names = named(jax.eval_shape(tiny_recipe("ddpm").build(SPEC).init, jax.random.key(0))[0]["unet"])
    every = sorted({name.split(".")[0] for name in names})
    with pytest.raises(InputError, match="nothing is left to train"):
        tiny_recipe("ddpm", freeze=every).build(SPEC)
