"""Styles drawn by code: what each is made of, and that a seed says all of it."""

import numpy as np
import pytest

from prodgen_jax.data.styles import STYLES, draw_style, random_styles
from prodgen_jax.errors import InputError


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_the_same_each_time_and_is_a_texture(name):
    picture = draw_style(name, 48)
    assert picture.shape == (48, 48, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, draw_style(name, 48))
    assert (picture != draw_style(name, 48, seed=1)).any()
    assert picture.std((0, 1)).max() > 4  # not one color
    quarters = [part.mean((0, 1)) for half in np.split(picture, 2) for part in np.split(half, 2, axis=1)]
    assert np.ptp(quarters, axis=0).max() < 90  # and the same all over, more or less


def test_the_ground_of_polka_dots_is_its_first_ink():
    picture = draw_style("polka", 64, inks=("#000000", "#ffffff")).astype(float)
    dots = (picture > 250).all(-1).mean()
    assert (picture < 5).all(-1).mean() > 0.5 and 0.15 < dots < 0.45
    assert dots + (picture < 5).all(-1).mean() > 0.75  # what is between is the dots' edge


def test_motifs_grow():
    """At twice the scale a row of pixels crosses half as many edges of the dots."""

    def edges(motif):
        rows = draw_style("polka", 128, inks=("#000000", "#ffffff"), motif=motif)[..., 0] > 127
        return np.abs(np.diff(rows.astype(int), axis=1)).sum()

    assert edges(16) == pytest.approx(2 * edges(32), rel=0.1)


def test_random_styles_are_all_different():
    found = random_styles(21, 16, seed=3)
    assert found.shape == (21, 16, 16, 3) and len(np.unique(found.reshape(21, -1), axis=0)) == 21
    np.testing.assert_array_equal(found[:7], random_styles(7, 16, seed=3))


def test_unknown():
    with pytest.raises(InputError, match="style 'tweed' is not known; choose one of denim, plaid"):
        draw_style("tweed", 32)
