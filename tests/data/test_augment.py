"""Augmentation: what each switch may do to a picture, seen on pictures whose change can be computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.data.augment import AugmentSettings, augmentation, check_labels_survive
from prodgen_jax.errors import InputError

SIZE, N = 16, 64
INNER = slice(5, 11)  # pixels that stay inside the picture under the small warps below


def settings(**on):
    return AugmentSettings(**{"flip": False, **on})


def changed(images, seed=0, **on):
    return np.asarray(augmentation(settings(**on))(jax.random.split(jax.random.key(seed), len(images)), images))


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).uniform(-0.5, 0.5, (N, SIZE, SIZE, 3)).astype("f")


@pytest.fixture(scope="module")
def slopes():
    """Pictures that rise evenly downwards, by 0.05 a pixel, from -0.375: bilinear sampling keeps them exact."""
    rows = 0.05 * (np.arange(SIZE, dtype="f") - (SIZE - 1) / 2)
    return np.broadcast_to(rows[None, :, None, None], (N, SIZE, SIZE, 3))


def planes(images):
    """Of each picture's middle: its slope downwards, to the right, and its value in the center."""
    y, x = (np.mgrid[INNER, INNER] - (SIZE - 1) / 2).reshape(2, -1)
    columns = np.stack([y, x, np.ones_like(x)], 1)
    middle = images[:, INNER, INNER, 0].reshape(len(images), -1).T
    found, misfit, *_ = np.linalg.lstsq(columns, middle, rcond=None)
    assert misfit.max() < 1e-6
    return found


def test_off_changes_nothing(noise):
    np.testing.assert_array_equal(changed(noise), noise)


def test_flip_mirrors_half_of_the_pictures(noise):
    out = changed(noise, flip=True)
    kept, mirrored = ((out == other).all((1, 2, 3)) for other in (noise, noise[:, :, ::-1]))
    assert (kept ^ mirrored).all() and 20 < mirrored.sum() < 44


def test_rotate_turns_by_no_more_than_asked(slopes):
    down, right, center = planes(changed(slopes, rotate=20))
    np.testing.assert_allclose(np.hypot(down, right), 0.05, rtol=1e-3)
    np.testing.assert_allclose(center, 0, atol=1e-5)
    angles = np.degrees(np.arctan2(right, down))
    assert abs(angles).max() <= 20.01 and angles.min() < -12 and angles.max() > 12


def test_zoom_scales_by_no_more_than_asked(slopes):
    down, right, center = planes(changed(slopes, zoom=0.25))
    sizes = 0.05 / down
    np.testing.assert_allclose((right, center), 0, atol=1e-5)
    assert 0.749 < sizes.min() < 0.85 and 1.15 < sizes.max() < 1.251


def test_shift_moves_by_no_more_than_asked(slopes):
    down, right, center = planes(changed(slopes, shift=0.2))
    np.testing.assert_allclose(down, 0.05, rtol=1e-3)
    pixels = center / 0.05
    assert abs(pixels).max() <= 0.2 * SIZE + 0.01 and pixels.min() < -1.8 and pixels.max() > 1.8


@pytest.mark.parametrize("on", [{"rotate": 90}, {"zoom": 0.5}, {"shift": 0.5}])
def test_warps_fill_with_what_is_at_the_border(on):
    """No color comes in that was not there: an even background stays even."""
    even = np.full((N, SIZE, SIZE, 3), 0.7, "f")
    np.testing.assert_allclose(changed(even, **on), even, atol=1e-5)


def test_brightness_adds_one_amount_to_a_picture(noise):
    added = changed(noise, brightness=0.2) - noise
    np.testing.assert_allclose(added, added[:, :1, :1, :1].repeat(SIZE, 1).repeat(SIZE, 2).repeat(3, 3), atol=1e-5)
    assert abs(added).max() <= 0.4001 and added.min() < -0.2 and added.max() > 0.2  # white is 2 above black


def test_contrast_stretches_about_each_channel_s_mean(noise):
    out = changed(noise, contrast=0.3)
    middle = noise.mean((1, 2), keepdims=True)
    factors = (out - middle).std((1, 2, 3)) / (noise - middle).std((1, 2, 3))
    np.testing.assert_allclose(out, (noise - middle) * factors[:, None, None, None] + middle, atol=1e-4)
    assert 0.699 < factors.min() < 0.8 and 1.2 < factors.max() < 1.301


def test_values_stay_in_range(noise):
    assert abs(changed(2 * noise, brightness=1.0, contrast=1.0)).max() <= 1


def test_each_picture_has_its_own_key(noise):
    everything = {"flip": True, "rotate": 10, "shift": 0.1, "zoom": 0.1, "brightness": 0.1, "contrast": 0.1}
    keys, augment = jax.random.split(jax.random.key(1), 8), augmentation(settings(**everything))
    out = augment(keys, noise[:8])
    np.testing.assert_allclose(augment(keys[5:6], noise[5:6])[0], out[5], atol=1e-5)
    same = np.asarray(augment(keys, jnp.broadcast_to(noise[0], (8, SIZE, SIZE, 3))))
    assert len(np.unique(same.reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize("name", ["colour", "color", "baseColour", "Main Color", "shade"])
@pytest.mark.parametrize("switch", ["brightness", "contrast"])
def test_light_is_refused_beside_a_color_that_is_a_condition(name, switch):
    with pytest.raises(InputError, match=f"'{name}'"):
        check_labels_survive(settings(**{switch: 0.1}), ("type", name))


def test_light_is_allowed_otherwise():
    check_labels_survive(settings(brightness=0.1, contrast=0.1), ("type", "season"))
    check_labels_survive(settings(rotate=5, shift=0.1, zoom=0.1), ("colour",))
