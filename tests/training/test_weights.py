"""A model as one file: the same pictures from it, and what is refused."""

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import export, open_run

SMALL = {"network": "dit", "dit_width": 16, "dit_depth": 1, "dit_heads": 2, "text_width": 32, "text_depth": 1}


@pytest.fixture(scope="module")
def trained(tiny, tiny_recipe, tmp_path_factory):
    made = tiny_recipe("ddpm", condition="type,text", **SMALL)
    return fit(made, tiny, tmp_path_factory.mktemp("runs") / "ddpm", steps=2)


@pytest.mark.parametrize("numbers, apart", [("fp32", 0), ("bf16", 4)])
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
    with pytest.raises(InputError, match="numbers=int3 is not known; choose one of fp32, bf16"):
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
    from prodgen_jax.training.weights import read_params

    file = tmp_path / "m.safetensors"
    export(trained, file)
    like = {"dit": {"a": np.zeros(3, np.float32)}}
    with pytest.raises(InputError, match=r"this version of the package builds"):
        read_params(file, like)
