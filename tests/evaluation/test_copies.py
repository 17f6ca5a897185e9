"""The copies report: planted copies are found, new pictures are let pass, and the right product is named."""

import numpy as np
import pytest

from prodgen_jax.data import demo
from prodgen_jax.evaluation import copies
from prodgen_jax.evaluation.copies import describe, find_copies, find_nearest, summary
from prodgen_jax.evaluation.planted import KINDS, PROMISED, plant


def products(n, seed):
    return np.stack([demo.draw(row, 32) for row in demo.rows(n, seed)])


@pytest.fixture(scope="module")
def shop(tmp_path_factory, write):
    """A prepared set of the demo shop: 500 products to learn from, 200 and 200 held out."""
    images = products(900, 0)
    parts = {"train": images[:500], "validation": images[500:700], "test": images[700:]}
    return write(tmp_path_factory.mktemp("shop"), {name: (part, {}) for name, part in parts.items()}, {})


@pytest.fixture(scope="module")
def planted(shop):
    """(samples, which of them are copies, of which product): every fourth is a copy, of the promised kinds in turn."""
    rng = np.random.default_rng(5)
    train = shop.split("train")
    rows = rng.choice(len(train), 100, replace=False)
    made = plant(np.asarray(train.images[rows]), rng)
    kinds = [made[kind] for kind in PROMISED]
    samples = products(400, 1)
    which = np.arange(400) % 4 == 0
    samples[which] = np.stack([kinds[i % len(kinds)][i] for i in range(100)])
    return samples, which, rows


@pytest.fixture(scope="module")
def found(planted, shop):
    return find_copies(planted[0], shop)


def test_planted_copies_are_found_and_named(planted, found, shop):
    _, which, rows = planted
    assert found.copied[which].mean() >= 0.99
    assert found.copied[~which].mean() <= 0.01
    assert (found.ids[which] == shop.split("train").ids[rows]).mean() >= 0.99
    assert found.nearest.mirrored[which][1 :: len(PROMISED)].mean() >= 0.95  # the second kind is the mirrored one


def test_one_percent_of_copies(planted, shop):
    """4 copies among 400, as in the claim: all found, at most 1 % of the others blamed."""
    samples, which, _ = planted
    few = np.concatenate([samples[which][:4], samples[~which], samples[~which][:96]])
    said = find_copies(few, shop).copied
    assert said[:4].all() and said[4:].mean() <= 0.01


def test_report_states_its_own_reliability(found):
    record = summary(found, closest=3)
    assert set(record["planted_recall"]) == set(KINDS)
    assert min(record["planted_recall"][kind] for kind in PROMISED) >= 0.99 and record["false_alarms"] <= 0.01
    assert record["rate_interval"][0] < record["rate"] < record["rate_interval"][1]
    assert [at["sample"] for at in summary(found, rows=np.arange(400) + 7)["flagged"]] == [
        at["sample"] + 7 for at in record["flagged"]
    ]
    assert record["of"] == 400 and record["copies"] == found.copied.sum()
    assert record["closest"][0]["distance"] <= record["closest"][2]["distance"] and record["closest"][0]["copy"]


def test_same_photo_in_held_out_pictures_does_not_spoil_the_threshold(shop):
    train, held = (np.asarray(shop.split(name).images) for name in ("train", "validation"))
    base = describe(train)
    clean, none = copies.calibrate(held, base)
    spoiled, some = copies.calibrate(np.concatenate([held, train[:40]]), base)
    assert none == 0 and some == 40 and spoiled == clean > 0
    assert copies.calibrate(held[:0], base) == (0.0, 0)


def test_blocks_equal_one_piece(shop):
    base, fresh = describe(np.asarray(shop.split("train").images)), products(60, 2)
    one, many = (find_nearest(fresh, base, block) for block in (1000, 7))
    assert np.array_equal(one.row, many.row) and np.allclose(one.distance, many.distance, atol=1e-4)


def test_nearest_equals_brute_force(shop):
    """Of the four views, the one whose distance is least beside its neighborhood's."""
    train, weights = np.asarray(shop.split("train").images), copies.middle(32)
    fresh, ones = products(5, 2), np.ones_like(weights)
    found = find_nearest(fresh, describe(train))
    for i in range(5):
        views = []
        for mirrored, image in enumerate((fresh[i], fresh[i][:, ::-1])):
            for zoom, weight in ((1.0, ones), (copies.UNCROP, weights)):
                far = np.linalg.norm((describe(image[None], zoom) - describe(train)) * weight, axis=1)
                around = np.sort(far)[: copies.NEIGHBORS].mean() + copies.SAME
                views.append((far.min() / around, far.min(), bool(mirrored), far.argmin()))
        distance, levels, mirrored, row = min(views)
        assert found.distance[i] == pytest.approx(distance, rel=1e-3)
        assert found.levels[i] == pytest.approx(levels, abs=1e-2)
        assert (found.mirrored[i], found.row[i]) == (mirrored, row)


def test_description_of_flat_pictures_is_their_level():
    flat = np.full((1, 32, 32, 3), 90, np.uint8)
    for zoom in (1.0, copies.UNCROP):
        said = describe(flat, zoom)[0]
        assert np.linalg.norm(said) == pytest.approx(90, rel=1e-4)  # levels, root mean square
        assert np.linalg.norm(said * copies.middle(32)) == pytest.approx(90, rel=1e-4)


def test_planted_kinds_are_what_they_are_called():
    photo, rng = products(1, 3)[0], np.random.default_rng(0)
    made = {kind: copy[0].astype(int) for kind, copy in plant(photo[None], rng).items()}
    off = {kind: np.abs(copy - photo).mean() for kind, copy in made.items()}
    assert off["exact"] == 0 and np.array_equal(made["mirrored"], photo[:, ::-1])
    assert 0 < off["jpeg"] < off["jpeg60"] and 1 < off["noise"] < 4
    assert np.abs(np.diff(made["blurred"], axis=1)).mean() < np.abs(np.diff(photo.astype(int), axis=1)).mean()
    gray = np.repeat(photo[..., :1], 3, axis=-1)
    assert np.abs(plant(gray[None], rng)["recolored"][0].astype(int) - gray).max() <= 1  # no hue, nothing to turn
    assert off["recolored"] > 1
