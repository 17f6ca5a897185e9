"""Tasks: what is left of a photo is what they say, in the same shape and range."""

import numpy as np
import pytest
from PIL import Image

from prodgen_jax.data.foreground import foreground
from prodgen_jax.data.images import to_signed, to_uint8
from prodgen_jax.data.tasks import TASKS


@pytest.fixture
def photos():
    """A red square, and a square whose left half is blue, on white."""
    x = np.full((2, 16, 16, 3), 255, np.uint8)
    x[:, 4:12, 4:12] = (200, 30, 30)
    x[1, 4:12, 4:8] = (30, 30, 200)
    return x


@pytest.mark.parametrize("name", TASKS)
def test_shape_and_range_stay(name):
    x = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 3)).astype("f")
    y = np.asarray(TASKS[name](x))
    assert y.shape == x.shape and y.dtype == x.dtype and np.abs(y).max() <= 1 and np.std(y) > 0
    assert np.abs(y - x).mean() > 0.05


def test_grey_is_the_brightness(photos):
    y = to_uint8(np.asarray(TASKS["grey"](to_signed(photos))))
    expected = np.stack([np.asarray(Image.fromarray(photo).convert("L")) for photo in photos])
    assert (y[..., 0] == y[..., 1]).all() and (y[..., 0] == y[..., 2]).all()
    assert np.abs(y[..., 0].astype(int) - expected).max() <= 1


def test_edges_are_where_colors_meet(photos):
    line = np.asarray(TASKS["edges"](to_signed(photos)))[..., 0] < 0
    assert line[0, 4, 4:12].all() and line[0, 4:12, 4].all() and not line[:, 0].any() and not line[0, 6:10, 6:10].any()
    assert line[1, 6:10, 7:9].all()  # two colors of like brightness are told apart


def test_mask_is_the_foreground(photos):
    black = np.asarray(TASKS["mask"](to_signed(photos)))[..., 0] < 0
    assert (black == foreground(photos)).all() and black.any()


def test_half_keeps_the_left_one(photos):
    y = np.asarray(TASKS["half"](to_signed(photos)))
    assert (to_uint8(y)[:, :, :8] == photos[:, :, :8]).all() and (y[:, :, 8:] == 0).all()


def test_small_keeps_means_alone():
    """Two photos with the same means of squares of pixels leave the same, and a flat one stays as it is."""
    x = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 3)).astype("f")
    y = x[:, [1, 0, 3, 2, 5, 4, 7, 6]]
    assert np.asarray(TASKS["small2"](x)) == pytest.approx(np.asarray(TASKS["small2"](y)), abs=1e-6)
    assert np.asarray(TASKS["small4"](np.full((1, 8, 8, 3), 0.25, "f"))) == pytest.approx(0.25)


def test_small_refuses_a_size_that_it_does_not_divide():
    with pytest.raises(ValueError, match="small4.*10 px"):
        TASKS["small4"](np.zeros((1, 10, 10, 3), "f"))
