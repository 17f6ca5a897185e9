"""Photos changed by a model: what is kept is kept to the byte, what may change does, and bad input is named."""

import numpy as np
import pytest
from PIL import Image

from prodgen_jax.cli import main
from prodgen_jax.data.foreground import foreground, silhouette
from prodgen_jax.data.origin import CHANGED, read_origin
from prodgen_jax.errors import InputError
from prodgen_jax.sampling.edit import edit, mask_of, open_photo, set_in, with_background
from prodgen_jax.training.fit import fit


@pytest.fixture(scope="module", params=["edm"])
def trained(request, tiny, tiny_recipe, tmp_path_factory):
    made = tiny_recipe(request.param, condition="type")
    return fit(made, tiny, tmp_path_factory.mktemp("runs") / request.param, steps=2)


@pytest.fixture(scope="module")
def shoe():
    """A dark block with a white hole, on white, 40 x 30."""
    photo = np.full((40, 30, 3), 255, np.uint8)
    photo[10:30, 8:24] = (90, 40, 20)
    photo[16:22, 12:18] = 255
    return photo


def test_what_may_not_change_is_the_photo_byte_for_byte(trained, shoe):
    photos = [shoe, shoe[:, ::-1].copy(), np.random.default_rng(0).integers(0, 256, (25, 33, 3), dtype=np.uint8)]
    masks = [np.zeros(photo.shape[:2], bool) for photo in photos]
    for mask in masks:
        mask[5:20, 6:19] = True
    for strength in (0.4, 1.0):
        results = edit(trained, photos, strength=strength, changes=masks, seed=1)
        for photo, mask, result in zip(photos, masks, results, strict=True):
            assert result.shape == photo.shape and result.dtype == np.uint8
            np.testing.assert_array_equal(result[~mask], photo[~mask])
            assert (result[mask] != photo[mask]).mean() > 0.5


def test_with_nothing_to_change_nothing_changes(trained, tiny):
    photo = np.asarray(tiny.split("train").images[0])
    (result,) = edit(trained, [photo], strength=1.0, changes=[np.zeros(photo.shape[:2], bool)])
    np.testing.assert_array_equal(result, photo)


def test_strength_says_how_far_it_goes(trained, tiny):
    photos = [np.asarray(image) for image in tiny.split("train").images[:8]]
    apart = []
    for strength in (0.3, 1.0):
        results = np.stack(edit(trained, photos, strength=strength)).astype(int)
        apart.append(np.abs(results - np.stack(photos)).mean())
    assert 0 < apart[0] < apart[1]
    again = edit(trained, photos[:2], strength=1.0)
    np.testing.assert_array_equal(np.stack(again), results[:2])


def test_what_is_refused(trained, run, shoe):
    with pytest.raises(InputError, match="a vae cannot edit a photo; train ddpm, edm or flow"):
        edit(run, [shoe])
    for strength in (0, 1.1, -1):
        with pytest.raises(InputError, match=f"strength={strength}: must lie above 0"):
            edit(trained, [shoe], strength=strength)
    with pytest.raises(InputError, match="no photo to edit"):
        edit(trained, [])
    with pytest.raises(InputError, match=r"photo 0: is \(40, 30\) pixels"):
        edit(trained, [shoe], changes=[np.ones((3, 3), bool)])
    with pytest.raises(InputError, match="--where type=hat"):
        edit(trained, [shoe], where={"type": "hat"})


def test_the_product_is_one_piece(shoe):
    found, whole = foreground(shoe[None])[0], silhouette(shoe)
    assert not found[18, 14] and not whole[18, 14]  # the ground, seen through a hole within
    white = shoe.copy()
    white[16:22, 12:18] = 246
    white[16:22:2, 12:18] = 250
    assert silhouette(white).sum() == 20 * 16  # a white part within, which is hardly another white than the ground's
    assert found[12, 10] and whole[12, 10] and not whole[2, 2]
    light = np.linspace(255, 235, 40).round().astype(np.uint8)[:, None, None] + np.zeros_like(shoe)
    lit = np.where(shoe == 255, light, shoe)  # a studio's ground, darker towards its foot
    assert silhouette(lit).sum() == whole.sum()
    lit[16:22:2, 12:18] -= 8
    assert silhouette(lit).sum() == 20 * 16  # as near to the ground, but with a pattern
    speck = shoe.copy()
    speck[3, 3] = 0
    assert foreground(speck[None])[0, 3, 3] and not silhouette(speck)[3, 3]
    assert not silhouette(np.full((9, 9, 3), 7, np.uint8)).any()


def test_masks(shoe, tmp_path):
    product, ground = mask_of("product", shoe), mask_of("background", shoe)
    assert (product ^ ground).all()
    Image.fromarray(np.where(product, 255, 0).astype(np.uint8)).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(mask_of(str(tmp_path / "mask.png"), shoe), product)
    Image.new("L", (3, 4)).save(tmp_path / "small.png")
    with pytest.raises(InputError, match="small.png: is 3 x 4 px, the photo 30 x 40"):
        mask_of(str(tmp_path / "small.png"), shoe)
    with pytest.raises(InputError, match="none.png: no picture"):
        mask_of(str(tmp_path / "none.png"), shoe)


def test_background(shoe, tmp_path, photo):
    product = silhouette(shoe)
    red = with_background(shoe, "#ff0000")
    np.testing.assert_array_equal(red[product], shoe[product])
    assert (red[~product] == (255, 0, 0)).all()
    photo(3, 50, 20).save(tmp_path / "wood.png")
    wood = with_background(shoe, str(tmp_path / "wood.png"))
    assert wood.shape == shoe.shape and len(np.unique(wood[~product], axis=0)) > 20
    np.testing.assert_array_equal(wood[product], shoe[product])
    with pytest.raises(InputError, match="blorb: no picture"):
        with_background(shoe, "blorb")


def test_set_in_lies_where_the_square_was():
    photo = np.zeros((10, 20, 3), np.uint8)
    made = np.zeros((20, 20, 3), np.uint8)
    made[5:15, 4:9] = 200
    result = set_in(photo, made, np.ones((10, 20), bool))
    np.testing.assert_array_equal(result, made[5:15])


def test_command(trained, shoe, tmp_path, capsys):
    Image.fromarray(shoe).save(tmp_path / "shoe.jpg", quality=95)
    before = np.asarray(open_photo(tmp_path / "shoe.jpg"))
    command = ["edit", str(trained.path), str(tmp_path / "shoe.jpg"), "--out", str(tmp_path / "out")]
    assert main([*command, "--only", "background", "--where", "type=bag"]) == 0
    after = np.asarray(Image.open(tmp_path / "out" / "shoe.png"))
    product = silhouette(before)
    np.testing.assert_array_equal(after[product], before[product])
    assert (after[~product] != before[~product]).any()
    said = read_origin(tmp_path / "out" / "shoe.png")
    assert said["source"] == CHANGED and said["where"] == {"type": "bag"} and said["only"] == "background"
    assert main([*command, "--background", "#00ff00"]) == 0
    after = np.asarray(Image.open(tmp_path / "out" / "shoe.png"))
    np.testing.assert_array_equal(after, with_background(before, "#00ff00"))
    assert read_origin(tmp_path / "out" / "shoe.png") is None  # no model had a hand in it
    assert main([*command]) == 0 and Image.open(tmp_path / "out" / "shoe.png").size == (8, 8)
    assert main([*command, "--strength", "2"]) == 2 and "strength=2.0" in capsys.readouterr().err


def test_nothing_is_written_over(trained, shoe, tmp_path, capsys):
    (tmp_path / "more").mkdir()
    paths = [tmp_path / "shoe.png", tmp_path / "more" / "shoe.png"]
    for path in paths:
        Image.fromarray(shoe).save(path)
    for photos, out, named in (
        (paths[:1], tmp_path, "is one of the photos"),
        (paths, tmp_path / "out", "another photo"),
    ):
        assert main(["edit", str(trained.path), *map(str, photos), "--out", str(out)]) == 2
        assert named in capsys.readouterr().err
    np.testing.assert_array_equal(np.asarray(Image.open(paths[0])), shoe)
