"""Finished pictures: less noise, a plain ground, the product in its frame; and finishing twice is finishing once."""

import csv
import zipfile

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio as psnr
from skimage.restoration import denoise_nl_means

from prodgen_jax.cli import main
from prodgen_jax.data.demo import draw, rows
from prodgen_jax.data.foreground import silhouette
from prodgen_jax.data.origin import Origin, read_origin
from prodgen_jax.errors import InputError
from prodgen_jax.sampling.postprocess import (
    FAR,
    PATCH,
    QUIET,
    REACH,
    STRICT,
    Finish,
    cleaned,
    denoised,
    finished,
    framed,
    noise_level,
    nonlocal_means,
)
from prodgen_jax.sampling.sample import save_samples

WHOLE = Finish(denoise=True, ground="white", margin=0.05, size=96)


@pytest.fixture(scope="module")
def goods():
    return [draw(row, 64) for row in rows(12, 4)]


@pytest.fixture(scope="module")
def block():
    """A dark block of 24 x 10 pixels, not in the middle of 60 x 40 white ones."""
    photo = np.full((60, 40, 3), 255, np.uint8)
    photo[30:54, 5:15] = (90, 40, 20)
    return photo


def noised(photo, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, photo.shape)
    return np.rint(photo + noise).clip(0, 255).astype(np.uint8)


# --- noise --------------------------------------------------------------------------------------------------------


def test_each_pixel_is_the_mean_of_those_around_it_that_look_alike(goods):
    """By hand, for some pixels; and as good as scikit-image's, whose patches have other weights."""
    noisy, half = noised(goods[0], 12), PATCH // 2
    found, x = nonlocal_means(noisy, 12.0), noisy.astype(float)

    def patch(i, j):
        return x[i - half : i + half + 1, j - half : j + half + 1]

    def weight(here, there):
        excess = max(np.mean((patch(*here) - patch(*there)) ** 2) - 2 * 12**2, 0) / (STRICT * 12) ** 2
        return np.exp(-excess) if excess < FAR else 0.0

    for i, j in ((20, 20), (30, 33), (33, 43), (41, 12)):
        around = [(a, b) for a in range(i - REACH, i + REACH + 1) for b in range(j - REACH, j + REACH + 1)]
        weights = [weight((i, j), there) for there in around]
        np.testing.assert_allclose(
            found[i, j], np.average([x[at] for at in around], axis=0, weights=weights), rtol=1e-3
        )
    settings = {"patch_size": PATCH, "patch_distance": REACH, "h": STRICT * 12, "sigma": 12, "channel_axis": -1}
    theirs = denoise_nl_means(noisy.astype(np.float32), preserve_range=True, fast_mode=True, **settings)
    ours, theirs = (psnr(goods[0], np.rint(each).clip(0, 255).astype(np.uint8)) for each in (found, theirs))
    assert ours > theirs - 0.5  # dB


@pytest.mark.parametrize("sigma", [8, 20])
def test_noised_photos_come_nearer_to_what_they_were(goods, sigma):
    gains = []
    for i, photo in enumerate(goods):
        noisy = noised(photo, sigma, i)
        gains.append(psnr(photo, denoised(noisy)) - psnr(photo, noisy))
    assert np.mean(gains) > 3 and min(gains) > 0.5  # dB


def test_the_noise_is_measured(goods):
    for i, photo in enumerate(goods):
        assert noise_level(photo) < QUIET
        for sigma in (6, 15):
            assert noise_level(noised(photo, sigma, i)) == pytest.approx(sigma, rel=0.35)
    assert noise_level(np.full((9, 9, 3), 255, np.uint8)) == 0


def test_a_photo_without_noise_is_left_alone(goods):
    assert all(denoised(photo) is photo for photo in goods)


# --- ground, and frame --------------------------------------------------------------------------------------------


def test_the_product_is_kept_to_the_byte_and_the_ground_is_even(goods):
    for photo in goods:
        made, product = cleaned(photo, "#f0f0f0"), silhouette(photo)
        assert (made[~product] == 240).all()
        np.testing.assert_array_equal(made[product], photo[product])


def test_the_product_fills_its_frame(block):
    made = framed(block, 0.2, 0)
    assert made.shape == (40, 40, 3)  # 24 pixels and a fifth of 40 on both ends
    lines, columns = (np.flatnonzero((made < 128).any((axis, 2))) for axis in (1, 0))
    assert (lines[0], lines[-1], columns[0], columns[-1]) == (8, 31, 15, 24)
    assert framed(block, 0.2, 80).shape == (80, 80, 3)
    assert framed(block, 0.04, 0).shape == (26, 26, 3)


def test_a_picture_of_nothing_is_squared_and_resized():
    assert (framed(np.full((30, 20, 3), 250, np.uint8), 0.1, 0) == np.full((30, 30, 3), 250)).all()
    assert framed(np.full((30, 20, 3), 250, np.uint8), 0.1, 16).shape == (16, 16, 3)


@pytest.mark.parametrize(
    "how", [WHOLE, Finish(denoise=True), Finish(ground="white"), Finish(margin=0.1), Finish(margin=0.04, size=50)]
)
def test_finishing_twice_is_finishing_once(goods, block, how):
    noisy = [noised(photo, 10, 1) for photo in goods[:4]] if how.denoise else []
    for photo in (*goods, *noisy, block):
        once = finished(photo, how)
        np.testing.assert_array_equal(finished(once, how), once)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "nothing to do"),
        ({"margin": 0.5}, "margin=0.5"),
        ({"margin": 0.0}, "margin=0.0.*0.03 to 0.45"),
        ({"size": 64}, "size=64.*margin"),
        ({"margin": 0.1, "size": -1}, "size=-1"),
        ({"ground": "whiteish"}, "ground=whiteish: no color"),
    ],
)
def test_what_cannot_be_asked_for(settings, named):
    with pytest.raises(InputError, match=named):
        Finish(**settings)


# --- packed -------------------------------------------------------------------------------------------------------


def listed(file):
    return list(csv.DictReader(file.decode().splitlines()))


def test_samples_are_packed_with_what_they_were_asked_for_and_where_they_come_from(goods, tmp_path):
    labels = {"type": np.array(["bag", "shoe"] * 6)}
    save_samples(tmp_path / "s.npz", np.stack(goods), labels, Origin(facts={"model": "m", "seed": 3}))
    done = ("--ground", "white", "--margin", "0.05", "--size", "48")
    for out in ("one.zip", "two.zip", "folder"):
        assert main(["finish", str(tmp_path / "s.npz"), *done, "--out", str(tmp_path / out)]) == 0
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        table = listed(packed.read("products.csv"))
        assert packed.testzip() is None and len(packed.namelist()) == 13
        for name in packed.namelist():
            assert packed.read(name) == (tmp_path / "folder" / name).read_bytes()
    assert table[3] == {"id": "00003", "image": "00003.png", "type": "shoe"}
    with Image.open(tmp_path / "folder" / "00003.png") as image:
        assert image.size == (48, 48)
    assert read_origin(tmp_path / "folder" / "00003.png") == {
        "source": "trainedAlgorithmicMedia", "model": "m", "seed": 3, "place": 3,
    }  # fmt: skip
    prepared = ("prepare", tmp_path / "folder" / "products.csv", "--images", tmp_path / "folder", "--size", 32)
    assert main([*map(str, prepared), "--out", str(tmp_path / "set")]) == 0


def test_photos_are_finished_under_their_names(goods, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for i, photo in enumerate(goods[:2]):
        Image.fromarray(photo).save(tmp_path / "in" / f"{i}.png")
    assert main(["finish", str(tmp_path / "in"), "--ground", "white", "--out", str(tmp_path / "out")]) == 0
    assert read_origin(tmp_path / "out" / "1.png") is None  # a photo is still a photo
    np.testing.assert_array_equal(Image.open(tmp_path / "out" / "1.png"), cleaned(goods[1], "white"))
    before = (tmp_path / "in" / "0.png").read_bytes()
    assert main(["finish", str(tmp_path / "in"), "--ground", "white", "--out", str(tmp_path / "in")]) == 2
    assert main(["finish", str(tmp_path / "in"), "--out", str(tmp_path / "x")]) == 2
    twice = [str(tmp_path / "in"), str(tmp_path / "in" / "0.png")]
    assert main(["finish", *twice, "--ground", "white", "--out", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert "is one of the photos" in said and "nothing to do" in said and "0: two pictures have this name" in said
    assert (tmp_path / "in" / "0.png").read_bytes() == before and not (tmp_path / "x").exists()


def test_no_pictures_are_an_error(tmp_path, capsys):
    save_samples(tmp_path / "none.npz", np.zeros((0, 8, 8, 3), np.uint8), {})
    assert main(["finish", str(tmp_path / "none.npz"), "--denoise", "--out", str(tmp_path / "x")]) == 2
    assert "none.npz: no picture in it" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_an_archive_that_fails_is_not_there(goods, tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(goods[0]).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(Image.open(tmp_path / "in" / "a.png").tobytes()[:99])
    assert main(["finish", str(tmp_path / "in"), "--ground", "white", "--out", str(tmp_path / "x.zip")]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
