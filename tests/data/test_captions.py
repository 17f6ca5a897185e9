"""Captions: what words are, which are known, how one product is told in several ways, and bad lines."""

import numpy as np
import pytest

from prodgen_jax.data.captions import (
    ALL,
    LENGTH,
    PHRASINGS,
    TEXT,
    Vocabulary,
    choose_phrasing,
    in_words,
    told,
    unsaid,
    vocabulary,
)
from prodgen_jax.data.prepare import prepare
from prodgen_jax.data.words import UNKNOWN, stem, words_of
from prodgen_jax.errors import InputError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare("demo:120", tmp_path_factory.mktemp("sets") / "demo", size=8)


def line(known, numbers):
    return [known.words[i] for i in numbers if i >= 0]


@pytest.mark.parametrize(
    "plural, singular",
    [
        ("bags", "bag"),
        ("watches", "watch"),
        ("dresses", "dress"),
        ("dress", "dress"),
        ("shoes", "shoe"),
        ("gas", "gas"),
    ],
)
def test_stem(plural, singular):
    assert stem(plural) == singular


def test_words_of():
    assert words_of("Red leather Handbag, for WOMEN's") == ["red", "leather", "handbag", "women"]
    assert words_of("T-Shirt & Über_Größe 2") == ["t", "shirt", "über", "größe", "2"]
    assert words_of("  ,. the of ") == []


def test_vocabulary_says_what_it_does_not_know():
    known = Vocabulary((UNKNOWN, "red", "bag"))
    row = known.encode("red blorbs, bags")
    assert row.dtype == np.int32 and row.tolist() == [1, 2] + [-1] * (LENGTH - 2)
    assert known.unknown("red blorbs, bags") == ["blorb"]
    assert known.encode("red " * 99).tolist() == [1] * LENGTH
    for text in ("blorb", "", "the"):
        with pytest.raises(InputError, match="no word of it stands in the catalogue's names; it knows red, bag"):
            known.encode(text)


def test_every_value_of_an_attribute_is_known(prepared):
    known = vocabulary(prepared)
    assert known.words[0] == UNKNOWN and len(set(known.words)) == len(known.words)
    assert vocabulary(prepared) is known
    more = vocabulary(prepared, before=(UNKNOWN, "zebra", known.words[2])).words
    assert more[:3] == (UNKNOWN, "zebra", known.words[2]) and sorted(more[1:]) == sorted({*known.words[1:], "zebra"})
    for values in prepared.attributes.values():
        assert not [value for value in values if known.unknown(value)]


def test_a_product_is_told_in_several_ways(prepared):
    known, split = vocabulary(prepared), told(prepared, "train", (TEXT,), several=True)
    ways = split.labels[TEXT]
    assert ways.shape == (len(split), PHRASINGS, LENGTH) and ways.dtype == np.int32
    assert (ways[..., 0] >= 0).all()  # none is empty
    first = {name: prepared.attributes[name][split.labels[name][0]] for name in prepared.attributes}
    everything = [word for value in first.values() for word in words_of(value)]
    assert line(known, ways[0, ALL]) == everything
    for way in ways[0, 2:5]:
        assert set(line(known, way)) <= set(everything)
    name = [w if w in known.numbers else UNKNOWN for w in words_of(str(split.text[0]))]
    assert line(known, ways[0, 0]) == (name or everything)
    again = told(prepared, "train", (TEXT,), several=True).labels[TEXT]
    np.testing.assert_array_equal(ways, again)


def test_only_who_reads_text_is_given_it(prepared):
    assert TEXT not in told(prepared, "train", ("type",)).labels
    assert told(prepared, "validation", (TEXT,)).labels[TEXT].shape == (prepared.splits["validation"], LENGTH)


def test_what_is_missing_is_left_out():
    known = Vocabulary((UNKNOWN, "red", "blue", "bag"))
    attributes = {"colour": ("red", "blue"), "type": ("bag",)}
    rows = in_words({"type": np.array([0, 0, -1]), "colour": np.array([1, -1, -1])}, attributes, known)
    assert [line(known, row) for row in rows] == [["blue", "bag"], ["bag"], []]
    assert (in_words({"type": np.array([0])}, attributes, known)[0, :2] == [3, -1]).all()


def test_each_way_is_drawn_and_stays_with_its_key():
    import jax

    ways = np.broadcast_to(np.arange(PHRASINGS)[None, :, None], (400, PHRASINGS, LENGTH))
    keys = jax.random.split(jax.random.key(0), 400)
    drawn = np.asarray(choose_phrasing(keys, ways))
    assert (drawn == drawn[:, :1]).all() and set(drawn[:, 0].tolist()) == set(range(PHRASINGS))
    np.testing.assert_array_equal(choose_phrasing(keys[5:9], ways[5:9]), drawn[5:9])


def test_a_catalogue_without_attributes_is_told_by_names(write, tmp_path):
    images = np.zeros((6, 8, 8, 3), np.uint8)
    prepared = write(tmp_path / "set", {part: (images, {}) for part in ("train", "validation", "test")}, {})
    assert told(prepared, "train", (TEXT,), several=True).labels[TEXT].shape == (6, PHRASINGS, LENGTH)


def test_unsaid():
    assert unsaid(TEXT, 3).shape == (3, LENGTH) and unsaid("type", 3).tolist() == [-1, -1, -1]
