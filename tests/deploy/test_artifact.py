"""A model as a zip: the same pictures by other code, in a process that cannot see the package."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from safetensors import deserialize

from prodgen_jax.data.images import sheet
from prodgen_jax.data.origin import GENERATED, read_origin
from prodgen_jax.deploy.artifact import export_program
from prodgen_jax.deploy.portable import Model
from prodgen_jax.errors import InputError
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import open_run

WITHOUT_US = """
import runpy, sys
class Nobody:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("prodgen_jax", "flax", "optax"):
            raise ImportError(f"{name} is not to be had")
sys.meta_path.insert(0, Nobody())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def model(tiny, tiny_recipe, tmp_path_factory):
    """(a conditional run after two steps, its zip)."""
    folder = tmp_path_factory.mktemp("zip")
    run = fit(tiny_recipe("ddpm", condition="type,text", text_width=32, text_depth=1), tiny, folder / "run", steps=2)
    export_program(run, folder / "new" / "model.zip", "fp32")
    return run, folder / "new" / "model.zip"


def test_the_same_pictures_from_a_program(model):
    run, path = model
    wish = {"where": {"type": "bag"}, "text": "red"}
    drawn = sample(run, 20, 3, **wish)[0]
    assert np.abs(Model(path).draw(20, 3, **wish).astype(int) - drawn).max() <= 1
    assert not np.array_equal(Model(path).draw(20, 4, **wish), drawn)


@pytest.mark.slow
def test_it_needs_nothing_of_the_package(model, tmp_path, finish):
    run, path = model
    finish(
        "-c", WITHOUT_US, path, "-n", 5, "--seed", 1, "--where", "type=shoe", "--out", tmp_path / "s.png", PYTHONPATH=""
    )
    drawn = sheet(sample(run, 5, 1, where={"type": "shoe"})[0])
    assert np.abs(np.asarray(Image.open(tmp_path / "s.png")).astype(int) - drawn).max() <= 1
    assert read_origin(tmp_path / "s.png") == {"source": GENERATED, "model": run.identity, "method": "ddpm"}


def test_what_a_zip_holds(model):
    with zipfile.ZipFile(model[1]) as file:
        names, facts = file.namelist(), json.loads(file.read("model.json"))
        code = file.read("__main__.py") + file.read("words.py")
    assert names == ["__main__.py", "words.py", "model.json", "weights.safetensors", "sampler.bin"]
    assert facts["attributes"]["type"] == ["shirt", "shoe", "bag"] and facts["platforms"] == ["cpu", "cuda", "tpu"]
    assert b"import prodgen_jax" not in code and b"from prodgen_jax" not in code


@pytest.mark.parametrize("numbers, share", [("bf16", 0.51), ("int8", 0.27)])
def test_smaller_numbers_make_smaller_files(numbers, share, tmp_path):
    run = open_run("pretrained:demo_cgan32")
    sizes = {}
    for kind in ("fp32", numbers):
        export_program(run, tmp_path / "m.zip", kind)
        with zipfile.ZipFile(tmp_path / "m.zip") as file:
            sizes[kind] = file.getinfo("weights.safetensors").file_size
            names = [name for name, _ in deserialize(file.read("weights.safetensors"))]
    assert all(name.startswith("generator.") for name in names)  # drawing asks no critic
    assert sizes[numbers] < share * sizes["fp32"]
    wish = {"colour": "red"}
    far = np.abs(Model(tmp_path / "m.zip").draw(16, 1, wish).astype(int) - sample(run, 16, 1, wish)[0])
    assert far.mean() < 4


def test_what_is_refused(model, run, tmp_path):
    for wish, said in (({"where": {"type": "hat"}}, "type=hat"), ({"where": {"size": "L"}}, "size=L"),
                       ({"text": "spaceship"}, "no word of it is known")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            Model(model[1]).draw(1, **wish)
    with pytest.raises(InputError, match="begins from pictures"):
        export_program(open_run("pretrained:half32"), tmp_path / "m.zip")
    with pytest.raises(InputError, match="numbers=int3"):
        export_program(run, tmp_path / "m.zip", "int3")
    assert not list(tmp_path.iterdir())
