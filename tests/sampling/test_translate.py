"""Pictures of pictures: what the task leaves is what the model is given, given ones are taken as they are."""

import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.data.images import to_signed, to_uint8
from prodgen_jax.data.origin import CHANGED, read_origin
from prodgen_jax.data.tasks import TASKS, enlarged
from prodgen_jax.errors import InputError
from prodgen_jax.sampling.edit import open_photo
from prodgen_jax.sampling.sample import sample
from prodgen_jax.sampling.translate import translate, upscale
from prodgen_jax.training.fit import fit


@pytest.fixture(scope="module")
def trained(tiny, tiny_recipe, tmp_path_factory):
    made = tiny_recipe("pix2pix", task="half", condition="colour", sheet_images=12)
    return fit(made, tiny, tmp_path_factory.mktemp("runs") / "pix2pix", steps=2)


@pytest.fixture
def photos(tiny):
    return [np.asarray(image) for image in tiny.split("test").images[:3]]


def test_the_source_is_what_the_task_leaves(trained, photos):
    source, made = translate(trained, photos)
    np.testing.assert_array_equal(source, to_uint8(np.asarray(TASKS["half"](to_signed(np.stack(photos))))))
    assert made.shape == source.shape and made.dtype == np.uint8
    as_it_is, _ = translate(trained, photos, given=True)
    np.testing.assert_array_equal(as_it_is, np.stack(photos))


def test_a_picture_does_not_depend_on_its_company(trained, photos):
    _, three = translate(trained, photos)
    _, last = translate(trained, photos[2:])
    assert np.abs(three[2:].astype(int) - last).max() <= 1


def test_what_is_said_counts_and_must_be_known(trained, photos):
    with pytest.raises(InputError, match="red, blue"):
        translate(trained, photos, where={"colour": "green"})
    translate(trained, photos, where={"colour": "red"})


def test_the_sheet_shows_source_result_and_photo(trained, tiny):
    """Four photos of twelve places: 3 across, or a multiple of it."""
    found = np.asarray(open_photo(trained.path / "samples" / "0000002.png"))
    assert found.shape == (4 * 9 - 1, 3 * 9 - 1, 3)  # 8 px and a gap of one
    photo = np.asarray(tiny.split("validation").images[0])
    np.testing.assert_array_equal(found[:8, 18:26], photo)
    np.testing.assert_array_equal(found[:8, 0:4], photo[:, :4])


@pytest.fixture(scope="module")
def larger(noise_set, tiny_recipe, tmp_path_factory):
    """From 8 px to 16."""
    made = tiny_recipe("pix2pix", task="small2", adversarial=0)
    return fit(made, noise_set(16), tmp_path_factory.mktemp("runs") / "larger", steps=1)


def test_pictures_of_any_run_can_be_enlarged(run, larger, tmp_path):
    small, _ = sample(run, 3)
    large = upscale(larger, small)
    plain = to_uint8(np.asarray(enlarged(to_signed(small), 2)))
    assert large.shape == (3, 16, 16, 3)
    assert np.abs(large.astype(float) - plain).mean() < 5  # one step from bicubic interpolation, where it begins
    assert (
        main(["sample", str(run.path), "-n", "3", "--upscale", str(larger.path), "--out", str(tmp_path / "x.npz")]) == 0
    )
    np.testing.assert_array_equal(np.load(tmp_path / "x.npz")["images"], large)


def test_enlarging_what_does_not_fit(run, larger, trained):
    with pytest.raises(InputError, match="enlarges 8 px to 16; the pictures have 16 px"):
        upscale(larger, np.zeros((2, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match="is for half"):
        upscale(trained, np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(InputError, match="from noise"):
        upscale(run, np.zeros((2, 4, 4, 3), np.uint8))


def test_what_is_refused(trained, run, photos):
    with pytest.raises(InputError, match="vae makes its pictures from noise"):
        translate(run, photos)
    with pytest.raises(InputError, match="no photo"):
        translate(trained, [])
    with pytest.raises(InputError, match="pix2pix begins from pictures.*prodgen translate"):
        sample(trained, 4)


def test_the_door(trained, photo, tmp_path, capsys):
    for i in range(2):
        photo(i).save(tmp_path / f"p{i}.png")
    files = [str(tmp_path / f"p{i}.png") for i in range(2)]
    assert main(["translate", str(trained.path), *files, "--out", str(tmp_path / "out")]) == 0
    assert "2 pictures of 8 px" in capsys.readouterr().out
    assert np.asarray(open_photo(tmp_path / "out" / "p1.png")).shape == (8, 8, 3)
    assert read_origin(tmp_path / "out" / "p1.png")["source"] == CHANGED
    assert main(["translate", str(trained.path), *files, "--out", str(tmp_path)]) == 2
    assert "is one of the photos" in capsys.readouterr().err
