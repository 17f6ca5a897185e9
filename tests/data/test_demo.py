"""The demo shop: the same photo each time, every good in every view, and attributes that mean what they say."""

import itertools

import numpy as np
import pytest

from prodgen_jax.data.demo import ATTRIBUTES, draw, product, rows
from prodgen_jax.data.demo.palette import BACKGROUNDS, COLORS
from prodgen_jax.errors import InputError

EVERY = list(itertools.product(ATTRIBUTES["type"], ATTRIBUTES["view"]))


def row(index: int = 0, **attributes) -> dict[str, str]:
    return product(5, index) | attributes


def border(photo: np.ndarray) -> np.ndarray:
    return np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]]).astype(int)


def test_the_same_photo_each_time():
    again = [draw(product(3, i), 32) for i in range(8)]
    assert all(np.array_equal(draw(r, 32), photo) for r, photo in zip(rows(8, 3), again, strict=True))
    assert not np.array_equal(draw(product(4, 0), 32), again[0])


def test_two_photos_differ():
    photos = {draw(r, 24).tobytes() for r in rows(60, 0)}
    assert len(photos) == 60


@pytest.mark.parametrize("size", [24, 32, 65])
def test_every_good_in_every_view_inside_its_frame(size):
    for i, (kind, view) in enumerate(EVERY):
        photo = draw(row(i, type=kind, view=view, background="white", colour="red"), size)
        assert photo.shape == (size, size, 3) and photo.dtype == np.uint8
        assert border(photo).min() > 235, (kind, view)
        assert (photo.min(2) < 200).mean() > 0.04, (kind, view)  # something is shown


@pytest.mark.parametrize("background", ATTRIBUTES["background"])
def test_backgrounds_are_near_white_and_as_named(background):
    edge = border(draw(row(2, background=background), 32))
    assert edge.min() > 215
    assert np.abs(edge.mean(0) - BACKGROUNDS[background]).max() < 10


@pytest.mark.parametrize("kind", ATTRIBUTES["type"])
def test_color_changes_the_product_and_not_the_background(kind):
    navy, yellow = (draw(row(1, type=kind, colour=c, pattern="plain"), 48).astype(int) for c in ("navy", "yellow"))
    assert np.array_equal(border(navy), border(yellow))
    changed = np.abs(navy - yellow).max(2) > 20
    assert 0.02 < changed.mean() < 0.7
    for photo, other, name in ((navy, yellow, "navy"), (yellow, navy, "yellow")):
        far, near = (np.linalg.norm(p[changed].mean(0) - COLORS[name]) for p in (other, photo))
        assert near < 0.6 * far, (kind, name)


@pytest.mark.parametrize("pattern", ATTRIBUTES["pattern"][1:])
def test_patterns_show(pattern):
    plain, patterned = (draw(row(1, type="t-shirt", pattern=p), 32).astype(int) for p in ("plain", pattern))
    assert np.array_equal(border(plain), border(patterned))
    assert 0.03 < (np.abs(plain - patterned).max(2) > 20).mean() < 0.6


def test_a_small_photo_is_the_large_one_reduced():
    for r in rows(30, 6):
        small, large = (draw(r, size).astype(float) for size in (32, 128))
        reduced = large.reshape(32, 4, 32, 4, 3).mean((1, 3))
        assert np.abs(small - reduced).mean() < 4, r  # measured: mean 1.3, worst 3.7; 5.1 without anti-aliasing


def test_names_say_color_and_type():
    for r in rows(200, 1):
        name = r["name"].lower()
        assert r["colour"] in name and r["type"] in name
        assert r["pattern"] == "plain" or r["pattern"] in name
        assert all(isinstance(value, str) for value in r.values())
        assert all(r[a] in values for a, values in ATTRIBUTES.items())


def test_views_of_one_product_share_all_but_the_view():
    groups = {}
    for r in rows(180, 2):
        groups.setdefault(r["group"], []).append(r)
    assert len(groups) == 120
    assert sum(len(g) > 1 for g in groups.values()) == 40
    for group in groups.values():
        assert len({r["view"] for r in group}) == len(group)
        assert len({tuple(r[a] for a in ("type", "colour", "pattern", "background", "name")) for r in group}) == 1
    assert len({r["id"] for g in groups.values() for r in g}) == 180


def test_rows_can_be_made_alone():
    assert rows(40, 9)[37] == product(9, 37)


def test_the_shop_is_long_tailed_and_complete():
    kinds = [r["type"] for r in rows(900, 0)]
    counts = {kind: kinds.count(kind) for kind in ATTRIBUTES["type"]}
    assert min(counts.values()) > 10
    assert max(counts.values()) > 2 * min(counts.values())


def test_an_unknown_value_is_named():
    with pytest.raises(InputError, match="mauve"):
        draw(row(colour="mauve"), 32)
