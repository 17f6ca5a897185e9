"""The copies report: planted copies are found, new pictures are let pass, and the right product is named."""

import numpy as np
import pytest

from prodgen_jax.data import demo
from prodgen_jax.evaluation import copies
from prodgen_jax.evaluation.copies import describe, find_copies, find_nearest, plant, summary


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
    """(samples, which of them are copies, of which product): every fourth is a copy, of all kinds in turn."""
    rng = np.random.default_rng(5)
    train = shop.split("train")
    rows = rng.choice(len(train), 100, replace=False)
    kinds = list(plant(np.asarray(train.images[rows]), rng).values())
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
    assert found.nearest.mirrored[which][1::4].mean() >= 0.95  # the second kind is the mirrored one


def test_one_percent_of_copies(planted, shop):
    """4 copies among 400, as in the claim: all found, at most 1 % of the others blamed."""
    samples, which, _ = planted
    few = np.concatenate([samples[which][:4], samples[~which], samples[~which][:96]])
    said = find_copies(few, shop).copied
    assert said[:4].all() and said[4:].mean() <= 0.01


def test_report_states_its_own_reliability(found):
    record = summary(found, closest=3)
    assert min(record["planted_recall"].values()) >= 0.99 and record["false_alarms"] <= 0.01
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
    train = np.asarray(shop.split("train").images)
    fresh = products(5, 2)
    found = find_nearest(fresh, describe(train))
    for i in range(5):
        far = [np.linalg.norm(describe(x[None]) - describe(train), axis=1) for x in (fresh[i], fresh[i][:, ::-1])]
        assert found.levels[i] == pytest.approx(np.min(far), abs=1e-2)
        around = np.sort(far[int(found.mirrored[i])])[: copies.NEIGHBORS].mean()
        assert found.distance[i] == pytest.approx(np.min(far) / (around + copies.SAME), rel=1e-3)
