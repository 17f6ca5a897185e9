"""VGG-19 as an eye: its first map is the convolution that the file says, and a style transfer trains through it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.adapt import name_of
from prodgen_jax.methods.perception import EYE, Eye
from prodgen_jax.nets.vgg import DEVIATION, MEAN, PLACES, WIDTHS
from prodgen_jax.sampling.style import stylize
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import export, open_run
from prodgen_jax.training.start import vgg_of


@pytest.fixture(scope="module")
def weights():
    """Random ones, in torchvision's names and layout [out in 3 3]."""
    rng, found = np.random.default_rng(0), {}
    for place, cin, cout in zip(PLACES, (3, *WIDTHS), WIDTHS, strict=False):
        found[f"features.{place}.weight"] = rng.normal(0, np.sqrt(2 / 9 / cin), (cout, cin, 3, 3)).astype("f")
        found[f"features.{place}.bias"] = rng.normal(0, 0.1, cout).astype("f")
    return found


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    save_file(weights, path)
    return str(path)


def test_the_first_map_is_the_files_convolution(weights, file):
    eye, known = Eye(Spec(16), file=file), vgg_of(file)
    fresh = eye.init(jax.random.key(0))
    params = jax.tree_util.tree_map_with_path(lambda path, _: jnp.asarray(known[name_of(path)]), fresh)
    x = np.random.default_rng(1).uniform(-1, 1, (1, 16, 16, 3)).astype("f")
    seen = eye.maps({EYE: params}, jnp.asarray(x))
    assert [m.shape[1:] for m in seen] == [(16, 16, 3), (16, 16, 64), (8, 8, 128), (4, 4, 256), (2, 2, 512)]
    at = ((x[0] + 1) / 2 - MEAN) / DEVIATION
    patch = at[4:7, 7:10].transpose(2, 0, 1)  # around row 5, column 8
    wanted = (weights["features.0.weight"] * patch).sum((1, 2, 3)) + weights["features.0.bias"]
    np.testing.assert_allclose(seen[1][0, 5, 8], np.maximum(wanted, 0), rtol=1e-3, atol=1e-4)


@pytest.mark.long
def test_a_style_transfer_looks_through_it(file, tiny, tiny_recipe, tmp_path):
    """And its run needs the file no more; a model handed on does not say where it lay."""
    run = fit(tiny_recipe("adain", eye=file), tiny, tmp_path / "run", steps=1)
    np.testing.assert_array_equal(run.params[EYE]["convs"][8]["bias"][...], vgg_of(file)["convs.8.bias"])
    export(run, tmp_path / "model.safetensors")
    handed = open_run(tmp_path / "model.safetensors")
    assert handed.config["settings"]["eye"] == "vgg19.safetensors"
    photo = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert (stylize(handed, [photo], {"wood": 1})[0] != photo).any()
    assert (stylize(handed, [photo], {"wood": 1}, steps=1)[0] != photo).any()


def test_files_that_are_none(weights, tmp_path):
    for change, said in (
        ({"features.19.bias": None}, "features.19.bias"),
        ({"features.0.weight": np.zeros((32, 3, 3, 3), "f")}, "other channels"),
    ):
        kept = {name: value for name, value in {**weights, **change}.items() if value is not None}
        save_file(kept, tmp_path / "other.safetensors")
        with pytest.raises(InputError, match=f"other.safetensors.*{said}"):
            vgg_of(str(tmp_path / "other.safetensors"))
    with pytest.raises(InputError, match="none.safetensors: no VGG-19"):
        vgg_of(str(tmp_path / "none.safetensors"))
