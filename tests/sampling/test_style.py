"""Photos in another look: what stays to the byte, stages, mixes, the command, and clear refusals."""

import jax
import numpy as np
import pytest
from PIL import Image

from prodgen_jax.cli import main
from prodgen_jax.data.foreground import silhouette
from prodgen_jax.data.origin import CHANGED, read_origin
from prodgen_jax.data.styles import STYLES, draw_style
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.runs import evaluate_run
from prodgen_jax.methods.adapt import named
from prodgen_jax.methods.perception import EYE
from prodgen_jax.sampling.sample import sample
from prodgen_jax.sampling.style import cascade, filled, style_picture, stylize
from prodgen_jax.sampling.translate import translate
from prodgen_jax.training import features
from prodgen_jax.training.fit import fit


@pytest.fixture(scope="module")
def shapes(noise_set):
    """Enough of each color for a feature network."""
    return noise_set(train=80)


@pytest.fixture(scope="module")
def steps():
    patch = pytest.MonkeyPatch()
    patch.setattr(features, "EYE_STEPS", 2)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def trained(shapes, tiny_recipe, tmp_path_factory, steps):
    return fit(tiny_recipe("adain"), shapes, tmp_path_factory.mktemp("runs") / "adain", steps=2)


@pytest.fixture(scope="module")
def bag():
    """A plain dark block with a handle, on white, 36 x 44."""
    photo = np.full((36, 44, 3), 255, np.uint8)
    photo[4:18, 12:32] = (90, 40, 20)
    photo[7:18, 15:29] = 255
    photo[18:32, 8:36] = (90, 40, 20)
    return photo


def test_the_eye_is_the_sets_own_and_stays(trained, shapes, monkeypatch):
    """Its network was trained on the training split alone, and is another than the one that measures."""
    known = named(features.eye_of(shapes))
    kept = named(trained.params[EYE])
    assert kept and all((np.asarray(kept[name]) == known[name]).all() for name in kept)
    assert features.EYE_SEED not in (0, 1)


def test_training_reads_no_test_split(noise_set, tiny_recipe, tmp_path, steps, monkeypatch):
    data, opened = noise_set(train=80, seed=1), []
    real = type(data).split
    monkeypatch.setattr(type(data), "split", lambda self, name: opened.append(name) or real(self, name))
    fit(tiny_recipe("srgan"), data, tmp_path / "run", steps=1)
    assert set(opened) == {"train", "validation"}  # the second for the sheets of what it makes of photos


@pytest.mark.parametrize("steps_of_pictures", [0, 3])
def test_only_what_may_change_does(trained, bag, steps_of_pictures):
    change = silhouette(bag)
    assert not change[12, 21]  # the ground, seen through the handle
    made = stylize(trained, [bag], {"plaid": 1}, changes=[change], strength=1, steps=steps_of_pictures)[0]
    assert made.shape == bag.shape and made.dtype == np.uint8
    np.testing.assert_array_equal(made[~change], bag[~change])
    assert (made[change] != bag[change]).any(-1).mean() > 0.9


def test_strength_0_leaves_the_photo(trained, bag):
    np.testing.assert_array_equal(stylize(trained, [bag], {"ikat": 1}, strength=0)[0], bag)


def test_the_same_seed_gives_the_same_pictures(trained, bag):
    first, again, other = (stylize(trained, [bag], {"wood": 1}, seed=seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_photos_of_several_sizes_and_mixes(trained, bag, tmp_path):
    Image.fromarray(draw_style("marble", 50)[:, :30]).save(tmp_path / "stone.png")
    photos = [bag, np.ascontiguousarray(bag[:20]), np.repeat(bag, 2, axis=0)]
    styles = {"denim": 0.7, str(tmp_path / "stone.png"): 0.3}
    made = stylize(trained, photos, styles, stages=2, size=64)
    assert [picture.shape for picture in made] == [photo.shape for photo in photos]


def test_stages_work_from_coarse_to_fine():
    """And what a coarse stage cannot show is still there after it."""
    met, content = [], np.random.default_rng(0).uniform(-0.5, 0.5, (2, 128, 128, 3)).astype("f")

    def darker(x, looks, shares, strength):
        met.append((x.shape[1], looks.shape[1]))
        return x - 0.1

    found = cascade(darker, content, np.zeros((1, 128, 128, 3), "f"), np.ones(1), 1.0, 4)
    assert met == [(32, 32), (32, 32), (64, 64), (128, 128)] and len(found) == 4
    np.testing.assert_allclose(found[0], content - 0.1, atol=1e-5)
    assert np.asarray(found[-1]).std() == pytest.approx(content.std(), rel=0.05)


def test_the_ground_has_no_part_in_the_content(bag):
    whole = filled(bag, silhouette(bag))
    assert (whole == (90, 40, 20)).all(-1).mean() > 0.95  # all but what rounds the corners of the silhouette
    np.testing.assert_array_equal(filled(bag, np.ones(bag.shape[:2], bool)), bag)
    np.testing.assert_array_equal(filled(bag, np.zeros(bag.shape[:2], bool)), bag)


def test_refusals(trained, run, bag, tmp_path, shapes):
    with pytest.raises(InputError, match="a vae knows no styles; train an adain"):
        stylize(run, [bag], {"denim": 1})
    for more, said in (
        ({"strength": 1.5}, "strength=1.5"),
        ({"stages": 0}, "stages=0"),
        ({"steps": -1}, "steps=-1"),
        ({"size": 0}, "size=0"),
        ({"changes": [np.ones((3, 3), bool)]}, r"photo 0: is \(36, 44\)"),
    ):
        with pytest.raises(InputError, match=said):
            stylize(trained, [bag], {"denim": 1}, **more)
    for styles, said in (({}, "which style"), ({"denim": 0}, "denim=0"), ({"tweed": 1}, "'tweed' is neither a file")):
        with pytest.raises(InputError, match=said):
            stylize(trained, [bag], styles)
    with pytest.raises(InputError, match="no photo to style"):
        stylize(trained, [], {"denim": 1})
    with pytest.raises(InputError, match="use `prodgen style`"):
        translate(trained, [bag])
    with pytest.raises(InputError, match="gives pictures another look"):
        evaluate_run(trained, shapes)
    with pytest.raises(InputError, match="begins from pictures"):
        sample(trained, 2)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text.png: no picture"):
        style_picture(str(tmp_path / "text.png"), 32)


def test_command(trained, bag, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.PNG"):
        Image.fromarray(bag).save(folder / name, format="PNG")
    (folder / "notes.txt").write_text("not a photo")
    command = ["style", str(folder), "--model", str(trained.path), "--out", str(tmp_path / "out")]
    assert main([*command, "--style", "denim=2", "--style", "wood", "--only", "product"]) == 0
    assert "2 pictures" in capsys.readouterr().out
    said = read_origin(tmp_path / "out" / "a.png")
    assert said["source"] == CHANGED and said["styles"] == {"denim": 2.0, "wood": 1.0}
    made = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    np.testing.assert_array_equal(made[~silhouette(bag)], bag[~silhouette(bag)])
    for style, said in (("denim=much", "is no number"), ("tweed", "neither a file nor one of " + ", ".join(STYLES))):
        assert main([*command, "--style", style]) == 2 and said in capsys.readouterr().err
    assert main([*command, "--style", "wood", "--style", "wood=2"]) == 2 and "said twice" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["style", str(empty), "--model", str(trained.path), "--style", "wood", "--out", str(tmp_path)]) == 2
    assert "no photo in this folder" in capsys.readouterr().err
    assert main([*command[:1], str(folder), "--style", "wood", "--model", str(trained.path), "--out", str(folder)]) == 2
    assert "is one of the photos" in capsys.readouterr().err


def test_on_several_devices_each_picture_has_its_own_style(trained):
    """What an example's style and noise are depends on its key alone."""
    method, keys = trained.method, jax.random.split(jax.random.key(0), 4)
    content = np.zeros((4, 8, 8, 3), "f")
    whole = np.asarray(method.sample(trained.params, keys, {"source": content}))
    halves = [np.asarray(method.sample(trained.params, keys[i : i + 2], {"source": content[:2]})) for i in (0, 2)]
    np.testing.assert_allclose(whole, np.concatenate(halves), atol=2e-4)


def test_adapters_reach_the_style(shapes, trained, tiny_recipe, bag, tmp_path):
    """A run that only adapters were trained in styles by the kernels with them, not by those that stayed."""
    made = tiny_recipe("adain", adapt="lora", lr=0.1)
    run = fit(made, shapes, tmp_path / "lora", steps=2, start=trained)
    assert (stylize(run, [bag], {"plaid": 1})[0] != stylize(trained, [bag], {"plaid": 1})[0]).any()
