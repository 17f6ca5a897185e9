"""Pictures from a run: by seed and place alone, with the attributes asked for, and back from disk."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from prodgen_jax.data.origin import GENERATED, Origin, read_origin
from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS
from prodgen_jax.sampling.sample import conditions, load_samples, portion, sample, save_samples
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import open_run


@pytest.fixture(scope="module")
def pictures(run):
    return sample(run, portion() + 5, seed=3)


@pytest.fixture(scope="module")
def conditional(tiny, tiny_recipe, tmp_path_factory):
    made = tiny_recipe("ddpm", condition="type")
    return fit(made, tiny, tmp_path_factory.mktemp("runs") / "ddpm", steps=1)


def test_pictures(pictures):
    images, labels = pictures
    assert images.shape == (portion() + 5, 8, 8, 3) and images.dtype == np.uint8 and labels == {}
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_the_same_seed_gives_the_same_pictures_however_many(run, pictures):
    assert np.array_equal(sample(open_run(run.path), 3, seed=3)[0], pictures[0][:3])
    assert not np.array_equal(sample(run, 3, seed=4)[0], pictures[0][:3])


def test_a_run_may_be_read_only(run, tmp_path):
    """Sampling needs nothing but config and checkpoint, and changes neither."""
    copy = tmp_path / "copy"
    shutil.copytree(run.path / "checkpoints", copy / "checkpoints")
    shutil.copy(run.path / "config.json", copy)
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*")}
    assert np.array_equal(sample(open_run(copy), 2, seed=0)[0], sample(run, 2, seed=0)[0])
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*")} == before


def test_where(conditional):
    assert conditions(conditional, {"type": "bag"}, 2)["type"].tolist() == [2, 2]
    images, labels = sample(conditional, 3, where={"type": "shoe"})
    assert images.shape == (3, 8, 8, 3) and labels["type"].tolist() == ["shoe"] * 3
    assert sample(conditional, 2)[1] == {}


def test_where_is_refused(run, conditional):
    for asked, where, named in (
        (run, {"type": "bag"}, "this vae is not conditional; leave --where out"),
        (conditional, {"type": "hat"}, "--where type=hat: known values are shirt, shoe, bag"),
        (conditional, {"colour": "red"}, "--where colour: the run is conditional on type"),
    ):
        with pytest.raises(InputError, match=named):
            sample(asked, 2, where=where)
    for n in (0, -4):
        with pytest.raises(InputError, match=f"n={n}"):
            sample(run, n)


def test_settings_of_sampling_may_change(conditional):
    """Text values are read as the setting's type; the run itself stays what it was."""
    plain, again = (sample(conditional, 2, settings=settings)[0] for settings in (None, {"sample_steps": 4}))
    other, _ = sample(conditional, 2, settings={"sampler": "ancestral", "sample_steps": "3"})
    assert np.array_equal(plain, again) and not np.array_equal(plain, other)
    opened = open_run(conditional.path)
    assert opened.params and opened.recipe.method.sampler == "ddim"  # asked for its weights before its method
    assert np.array_equal(sample(opened, 2)[0], plain)


def test_other_settings_may_not(run, conditional):
    listed = "those of sampling may: sampler, sample_steps, guidance, guidance_from, guidance_to, guidance_rescale"
    for asked, settings, named in (
        (conditional, {"guidance": 2.0, "width": 64}, f"'width' cannot be changed after training; {listed}"),
        (conditional, {"seed": 3}, f"'seed' cannot be changed after training; {listed}"),
        (run, {"sampler": "heun"}, "'sampler' cannot be changed after training; a vae has none of sampling"),
        (conditional, {"sample_steps": "few"}, "sample_steps='few': expected int"),
        (conditional, {"sampler": "euler"}, "sampler=euler is not known; choose one of ancestral, ddim"),
    ):
        with pytest.raises(InputError, match=named):
            sample(asked, 2, settings=settings)


@pytest.mark.parametrize("family", METHODS.values(), ids=METHODS)
def test_settings_of_sampling_are_settings(family):
    assert set(family.sampling) <= {field.name for field in dataclasses.fields(family.settings)}


def test_npz_holds_pictures_and_labels(pictures, tmp_path):
    images, path = pictures[0][:4], tmp_path / "new" / "s.npz"
    save_samples(path, images, {"type": np.full(4, "bag")})
    with np.load(path) as file:
        assert set(file) == {"images", "type"} and file["type"].tolist() == ["bag"] * 4
        assert np.array_equal(file["images"], images)
    assert np.array_equal(load_samples(path), images)


def test_a_folder_holds_one_png_each(pictures, tmp_path):
    save_samples(tmp_path / "png", pictures[0][:3], {})
    files = sorted((tmp_path / "png").iterdir())
    assert [p.name for p in files] == ["00000.png", "00001.png", "00002.png"]
    assert np.array_equal(np.asarray(Image.open(files[2])), pictures[0][2])


def test_one_png_is_a_sheet(pictures, tmp_path):
    save_samples(tmp_path / "new" / "sheet.png", pictures[0][:4], {})
    assert read_origin(tmp_path / "new" / "sheet.png") is None
    whole, side = np.asarray(Image.open(tmp_path / "new" / "sheet.png")), pictures[0].shape[1]
    assert whole.shape == (2 * side + 1, 2 * side + 1, 3)
    assert np.array_equal(whole[side + 1 :, side + 1 :], pictures[0][3])


def test_every_file_says_where_it_comes_from(pictures, tmp_path):
    origin = Origin(facts={"seed": 3, "text": "rote Schühe"})
    for name in ("sheet.png", "folder", "s.npz"):
        save_samples(tmp_path / name, pictures[0][:2], {}, origin)
    said = {"source": GENERATED, "seed": 3, "text": "rote Schühe"}
    assert read_origin(tmp_path / "sheet.png") == said
    assert read_origin(tmp_path / "folder" / "00001.png") == {**said, "place": 1}
    with np.load(tmp_path / "s.npz") as file:
        assert json.loads(str(file["origin"])) == said
    assert np.array_equal(load_samples(tmp_path / "s.npz"), pictures[0][:2])


SPOILT = {
    "absent": None,
    "text": lambda p: p.write_text("no pictures"),
    "other array": lambda p: np.savez(p, pictures=np.zeros(3)),
    "floats": lambda p: np.savez(p, images=np.zeros((2, 8, 8, 3))),
    "objects": lambda p: np.savez(p, images=np.array([{}, {}])),
    "empty": lambda p: p.write_bytes(b""),
    "cut": lambda p: (np.savez(p, images=np.zeros((9, 8, 8, 3), np.uint8)), p.write_bytes(p.read_bytes()[:500])),
    "npy": lambda p: np.save(p.open("wb"), np.zeros((2, 8, 8, 3), np.uint8)),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_holds_no_pictures_is_named(tmp_path, spoil):
    path = tmp_path / "bad.npz"
    if spoil:
        spoil(path)
    with pytest.raises(InputError, match="bad.npz"):
        load_samples(path)
