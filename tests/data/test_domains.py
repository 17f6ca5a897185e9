"""Domains: the rows that an attribute filter names, and examples of a photo of each, drawn apart."""

from itertools import islice

import numpy as np
import pytest

from prodgen_jax.data.augment import AugmentSettings
from prodgen_jax.data.domains import in_domains, rows_of
from prodgen_jax.data.images import to_signed
from prodgen_jax.data.loader import make_batch, open_feed, order_of
from prodgen_jax.errors import InputError

RED_SHOES, BLUE = {"type": "shoe", "colour": "red"}, {"colour": "blue"}


@pytest.fixture(scope="module")
def split(tiny):
    return in_domains(tiny.split("train"), tiny, (RED_SHOES, BLUE))


def test_rows_have_the_values_and_no_other_row_has(tiny):
    labels = tiny.split("train").labels
    rows = rows_of(RED_SHOES, labels, tiny.attributes)
    assert rows.tolist() == [i for i in range(40) if labels["type"][i] == 1 and labels["colour"][i] == 0]
    assert len(rows_of({}, labels, tiny.attributes)) == 40


def test_an_example_is_a_photo_of_each_domain_by_either_route(tiny, split):
    feeds = [open_feed(split, order_of(split, 8, 0), route, 0).batches(3) for route in ("resident", "stream")]
    whole = open_feed(split, order_of(split, 8, 0), "resident", 0).shared
    for (_, rows), (own, every) in islice(zip(*feeds, strict=True), 4):
        assert rows.shape == (8, 2) and (own["image"][every] == whole["image"][rows]).all()
        assert (split.labels["type"][rows[:, 0]] == 1).all() and (split.labels["colour"][rows] == [0, 1]).all()


def test_domains_are_drawn_apart(tiny):
    """Every epoch of a domain has each of its photos once; those that meet are others each time."""
    reds = {"colour": "red"}
    split = in_domains(tiny.split("train"), tiny, (reds, BLUE))
    n = [len(rows) for rows in split.domains]
    rows = np.concatenate(
        [rows for _, rows in islice(open_feed(split, order_of(split, 10, 0), "resident", 0).batches(0), 40)]
    )
    for i in range(2):
        assert (np.sort(rows[: n[i], i]) == split.domains[i]).all()
    assert len({tuple(pair) for pair in rows.tolist()}) > 0.5 * min(400, n[0] * n[1])


def test_photos_of_an_example_are_augmented_by_themselves(tiny, split):
    import jax

    source, rows = open_feed(split, order_of(split, 8, 0), "resident", 0).shared, np.zeros((8, 2), np.int32)
    keys = jax.random.split(jax.random.key(0), 8)
    plain = make_batch(AugmentSettings(flip=False))(source, rows, keys)
    assert plain["image"].shape == (8, 2, 8, 8, 3) and plain["label"]["type"].shape == (8, 2)
    assert np.allclose(plain["image"], to_signed(split.images[rows]))
    flipped = np.asarray(make_batch(AugmentSettings(flip=True))(source, rows, keys)["image"])
    changed = np.abs(flipped - plain["image"]).max((2, 3, 4)) > 0
    assert changed.any(0).all() and (changed[:, 0] != changed[:, 1]).any()


@pytest.mark.parametrize(
    "domains, words",
    [
        (({"size": "L"}, BLUE), "no attribute 'size'; there are type, colour"),
        (({"colour": "green"}, BLUE), "values of 'colour' are red, blue"),
        ((BLUE, BLUE), "two domains are the same: colour=blue.*--from ATTRIBUTE=VALUE"),
        (({}, {}), "two domains are the same: all photos"),
    ],
)
def test_what_names_no_domain_is_refused(tiny, domains, words):
    with pytest.raises(InputError, match=words):
        in_domains(tiny.split("train"), tiny, domains)


def test_a_domain_without_photos_is_refused(tiny):
    from dataclasses import replace

    split = tiny.split("train")
    split = replace(split, labels={**split.labels, "type": np.zeros_like(split.labels["type"])})
    with pytest.raises(InputError, match="no photo of the domain type=shoe, colour=red"):
        in_domains(split, tiny, (RED_SHOES, BLUE))
