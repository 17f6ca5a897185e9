"""Recipes: one flat list of settings, read in their own types, wrong ones named."""

import dataclasses
import json
from collections import Counter

import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.training.recipe import PRESETS, Recipe, recipe


def test_text_is_read_as_the_setting_s_type():
    made = recipe(
        "ddpm",
        width="64", lr="1e-3", multipliers="1, 2", condition="type,colour", flip="False", batch="1e2", target="eps",
    )  # fmt: skip
    assert (made.method.width, made.method.lr, made.method.target) == (64, 1e-3, "eps")
    assert (made.method.multipliers, made.method.condition) == ((1, 2), ("type", "colour"))
    assert (made.augment.flip, made.loop.batch) == (False, 100)
    assert recipe("ddpm", condition="").method.condition == ()


@pytest.mark.parametrize("name", METHODS)
def test_a_recipe_survives_its_config(name):
    made = recipe(name, "gpu", flip=False)
    assert recipe(name, **json.loads(json.dumps(made.settings()))) == made


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_has_one_home(name):
    made = recipe(name)
    parts = (part for key in ("method", "loop", "augment", "fit") for part in dataclasses.fields(getattr(made, key)))
    assert max(Counter(f.name for f in parts).values()) == 1


def test_presets():
    assert recipe("vae") == recipe("vae", "cpu") == Recipe("vae", METHODS["vae"].settings())
    gpu = recipe("vae", "gpu", batch=8)
    assert gpu.loop.steps_per_dispatch == 16 and gpu.method.width == 128 and gpu.loop.batch == 8
    for preset in ("cpu", "gpu"):  # a TPU's sizes are a GPU's, but for the transformer's heads
        for name in METHODS:
            recipe(name, preset).build(Spec(8, 3, {"type": 2}, words=9))
    for name in ("ddpm", "edm", "flow"):
        recipe(name, "tpu", network="dit").build(Spec(32))


def test_a_preset_says_nothing_that_no_method_has():
    known = {key for name in METHODS for key in recipe(name).settings()}
    assert all(set(preset) <= known for preset in PRESETS.values())


@pytest.mark.parametrize("name", METHODS)
def test_presets_of_accelerators_are_wide_and_in_bf16(name):
    """A TPU multiplies 128 x 128 at a time."""
    for preset in ("gpu", "tpu"):
        made = recipe(name, preset).settings()
        widths = {key: value for key, value in made.items() if key.endswith("width")}
        assert widths and all(value % 128 == 0 for value in widths.values()) and made["precision"] == "bf16"
    assert recipe(name, "cpu").settings()["precision"] == "fp32"


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("batch", "many", "batch='many': expected int, as in 32"),
        ("batch", "1.5", "expected int"),
        ("lr", "fast", "expected float"),
        ("flip", "perhaps", "expected bool"),
        ("batch", None, "expected int"),
    ],
)
def test_values_of_another_type_are_refused(key, value, named):
    with pytest.raises(InputError, match=named):
        recipe("vae", **{key: value})


@pytest.mark.parametrize(("key", "value"), [("batch", "inf"), ("multipliers", "1,two"), ("multipliers", "1.5,2")])
def test_values_that_only_look_right_are_refused(key, value):
    with pytest.raises(InputError, match=f"{key}="):
        recipe("ddpm", **{key: value})


def test_unknown_names_list_the_known_ones():
    known = ", ".join(METHODS)
    with pytest.raises(InputError, match=f"'gan' is not known; choose one of {known}"):
        recipe("gan")
    with pytest.raises(InputError, match="'lpu' is not known; choose one of cpu, gpu, tpu"):
        recipe("vae", "lpu")
    with pytest.raises(InputError, match="'r1' is not known for vae; known settings: .*batch.*beta.*flip.*latent.*lr"):
        recipe("vae", r1=1)


@pytest.mark.parametrize("name", ["dcgan", "vae"])
def test_sizes_that_a_method_cannot_draw(name):
    with pytest.raises(InputError, match=f"{name}: the size must be 8, 16, 32.*not 20"):
        recipe(name).build(Spec(20))
