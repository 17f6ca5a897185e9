"""A model as one file: the same pictures from it, and what is refused."""

import json

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import export, open_run
from prodgen_jax.training.weights import packed, read_facts, read_params, unpacked

SMALL = {"network": "dit", "dit_width": 16, "dit_depth": 1, "dit_heads": 2, "text_width": 32, "text_depth": 1}


@pytest.fixture(scope="module")
def trained(tiny, tiny_recipe, tmp_path_factory):
    made = tiny_recipe("ddpm", condition="type,text", **SMALL)
    return fit(made, tiny, tmp_path_factory.mktemp("runs") / "ddpm", steps=2)


@pytest.mark.parametrize("numbers, apart", [("fp32", 0), ("bf16", 4), ("int8", 6)])
def test_the_same_pictures_from_a_file(trained, tmp_path, numbers, apart):
    file = tmp_path / "models" / "m.safetensors"
    export(trained, file, numbers)
    model = open_run(file)
    assert (model.step, model.config["words"]) == (2, trained.config["words"]) and model.seconds > 0
    asked = {"where": {"type": "bag"}, "text": "red bag"}
    pictures = [sample(run, 3, seed=1, **asked)[0].astype(int) for run in (trained, model)]
    assert np.abs(pictures[0] - pictures[1]).max() <= apart


def test_it_keeps_settings_of_sampling_alone(trained, tmp_path):
    file = tmp_path / "m.safetensors"
    export(trained, file, settings={"sampler": "heun", "sample_steps": "2"})
    assert open_run(file).recipe.method.sampler == "heun"
    with pytest.raises(InputError, match="'width' cannot be changed after training"):
        export(trained, file, settings={"width": 16})


def test_what_is_refused(trained, run, tmp_path):
    with pytest.raises(InputError, match=r"name the file \*.safetensors"):
        export(trained, tmp_path / "m.bin")
    with pytest.raises(InputError, match="numbers=int3 is not known; choose one of fp32, bf16, int8"):
        export(trained, tmp_path / "m.safetensors", "int3")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\0" * 64)
    with pytest.raises(InputError, match="bad.safetensors: not a model made by 'prodgen export'"):
        open_run(bad)
    with pytest.raises(InputError, match="none.safetensors: not a model"):
        open_run(tmp_path / "none.safetensors")
    assert not list(tmp_path.glob("*.partial"))


def test_a_damaged_file_is_told(trained, tmp_path):
    file = tmp_path / "m.safetensors"
    export(trained, file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="m.safetensors"):
        _ = open_run(file).params


def test_parameters_of_another_shape_are_named(trained, tmp_path):
    file = tmp_path / "m.safetensors"
    export(trained, file)
    like = {"dit": {"a": np.zeros(3, np.float32)}}
    with pytest.raises(InputError, match=r"this version of the package builds"):
        read_params(file, like)


def test_whole_numbers_lie_within_half_a_step_of_the_weights():
    """Each output has a scale of its own, so that a small one loses no more than a large one, and all is smaller."""
    rng = np.random.default_rng(0)
    kernel = (rng.normal(size=(3, 3, 32, 16)) * 10.0 ** -np.arange(16)).astype(np.float32)
    kernel[..., 3] = 0
    found = packed("k", kernel, "int8")
    assert {name: array.dtype.name for name, array in found.items()} == {"k": "int8", "k.int8-scale": "float32"}
    step = np.abs(kernel).max((0, 1, 2)) / 127
    assert (np.abs(unpacked(found)["k"] - kernel) <= step / 2 * 1.001).all()
    assert sum(array.nbytes for array in found.values()) < 0.26 * kernel.nbytes
    assert packed("b", kernel[0, 0, 0], "int8")["b"].dtype.name == "bfloat16"  # small ones are not worth it
    for scales in ({"k.int8-scale": np.ones(3, np.float32)}, {"j.int8-scale": np.ones(16, np.float32)}):
        with pytest.raises(ValueError, match="fits no array"):
            unpacked({"k": found["k"], **scales})


def test_a_scale_that_does_not_fit_is_a_damaged_file(trained, tmp_path):
    from safetensors.numpy import load_file, save_file

    file = tmp_path / "m.safetensors"
    export(trained, file, "int8")
    arrays, facts = load_file(file), {"run": json.dumps(read_facts(file))}
    name = next(name for name in arrays if name.endswith(".int8-scale"))
    save_file({**arrays, name: arrays[name][:-1]}, file, metadata=facts)
    with pytest.raises(InputError, match="m.safetensors: damaged .*fits no array"):
        _ = open_run(file).params
