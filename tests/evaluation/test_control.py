"""Control, read by a second network: perfect, shuffled and leaky makers of pictures get what they deserve."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.data.halves import part_of_training
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import control
from prodgen_jax.training.features import feature_network

KINDS, COLOURS = 3, 4
VALUES = {"shape": ["disc", "square", "bar"], "colour": ["red", "green", "blue", "black"]}


@pytest.fixture(scope="module")
def judge(prepared):
    return feature_network(prepared, steps=120, seed=1, half=1, width=24, features=96)


@pytest.fixture(scope="module")
def shelf(prepared):
    """Eight training pictures of each shape in each colour: uint8 [3 4 8 16 16 3]."""
    train = prepared.split("train")
    rows = [
        [np.flatnonzero((train.labels["shape"] == s) & (train.labels["colour"] == c))[:8] for c in range(COLOURS)]
        for s in range(KINDS)
    ]
    return np.asarray(train.images)[np.array(rows)]


def maker(shelf, leaky=False):
    """A run that takes the picture that is asked for off the shelf; a leaky one lets the shape change the colour."""
    table = jnp.asarray(shelf, jnp.float32) / 127.5 - 1

    def sample(params, keys, cond):
        which = jax.vmap(lambda key: jax.random.randint(key, (), 0, 8))(keys)
        colour = (cond["colour"] + (cond["shape"] if leaky else 0)) % COLOURS
        return table[cond["shape"], colour, which]

    method = SimpleNamespace(sample=sample, conditions=("shape", "colour"))
    return SimpleNamespace(path="maker", method=method, params={}, attributes=VALUES)


def test_the_second_network_is_another_one(prepared, network, judge):
    halves = [part_of_training(prepared, half) for half in (0, 1)]
    assert set(halves[0].ids).isdisjoint(halves[1].ids) and sum(map(len, halves)) == prepared.splits["train"]
    assert judge.weights_sha256 != network.weights_sha256 and judge.settings.width != network.settings.width
    assert judge.accuracy["shape"]["accuracy"] > 0.85
    again = feature_network(prepared, steps=120, seed=1, half=1, width=24, features=96)
    assert again.weights_sha256 == judge.weights_sha256


def test_accuracy_beside_real_photos_and_shuffled_labels(prepared, judge):
    test = prepared.split("test")
    found = control.accuracy(test.images, test.labels, judge, prepared)
    assert found["shape"]["accuracy"] == pytest.approx(judge.accuracy["shape"]["accuracy"])
    assert found["shape"]["ratio"] == pytest.approx(1) and found["colour"]["n"] == 360
    for at in (found["shape"], found["colour"]):
        assert at["passed"] and abs(at["shuffled"] - at["chance"]) < 0.1 < at["accuracy"] - at["chance"]
        assert at["interval"][0] < at["accuracy"] < at["interval"][1]
    assert "too rare" in found["serial"]["refused"]


def test_shuffled_labels_are_at_chance_and_few_are_refused(prepared, judge):
    test, rng = prepared.split("test"), np.random.default_rng(0)
    shape = rng.permutation(test.labels["shape"])
    found = control.accuracy(test.images, {"shape": shape}, judge, prepared)["shape"]
    assert abs(found["accuracy"] - found["chance"]) < 0.1 and found["ratio"] < 0.5
    few = np.where(np.arange(len(shape)) < 29, shape, -1)
    assert "29 pictures" in control.accuracy(test.images, {"shape": few}, judge, prepared)["shape"]["refused"]
    with pytest.raises(InputError, match="3 values asked for"):
        control.accuracy(test.images, {"shape": shape[:3]}, judge, prepared)


def test_calibration_weighs_values_as_they_were_asked():
    truth, read = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])  # value 1 is read right half of the time
    assert control.on_real(np.array([1, 1, 1, 0]), read, truth) == pytest.approx((3 * 0.5 + 1) / 4)
    assert control.on_real(np.array([7]), read, truth) == 0.75  # a value without real photos: the overall accuracy


def test_leakage_tells_a_leaky_maker(prepared, judge, shelf):
    tight, leaky = (control.leakage(maker(shelf, leak), prepared, judge, n=96) for leak in (False, True))
    for changed, kept in (("shape", "colour"), ("colour", "shape")):
        assert tight["moved"][changed][changed] > 0.8 > 0.2 > tight["moved"][changed][kept]
        assert tight["followed"][changed] > 0.8
    assert leaky["moved"]["shape"]["colour"] > 0.8 and leaky["moved"]["colour"]["shape"] < 0.2
    assert max(tight["another_seed"].values()) < 0.2


def test_another_value_is_another_one():
    rng, values = np.random.default_rng(0), (2, 5, 9)
    wanted = rng.choice(values, 300)
    found = control.another(wanted, values, rng)
    assert set(found) == set(values) and (found != wanted).all()
    assert set(control.another(np.full(50, -1), values, rng)) == set(values)


def test_unseen_pairs(prepared, judge, shelf):
    labels = {"shape": np.array([0, 0, 1, 2]), "colour": np.array([0, 1, 2, 3])}
    known, unseen = control.pairs_of(labels, "shape", "colour", judge)
    assert known.tolist() == [[0, 0], [0, 1], [1, 2], [2, 3]] and len(unseen) == 8
    entry = control.unseen_pairs(maker(shelf), prepared, judge)[0]
    assert entry["unseen"] == 0 and "every pair" in entry["refused"]
    train = prepared.split("train")
    kept = (train.labels["shape"] != 0) | (train.labels["colour"] != 0)
    rest = SimpleNamespace(labels={k: v[kept] for k, v in train.labels.items()})
    fewer = SimpleNamespace(attributes=prepared.attributes, split=lambda name: rest)
    entry = control.unseen_pairs(maker(shelf), fewer, judge, n=64)[0]
    assert entry["unseen"] == 1 and entry["new"]["both_right"] > 0.7 and entry["seen"]["both_right"] > 0.7


def test_a_set_with_other_values_is_refused(prepared, shelf):
    """Values are told by their place: a run's third colour is another one there."""
    for changes, said in (({"colour": VALUES["colour"][::-1]}, "other values of it"), ({}, "no such attribute")):
        other = replace(prepared, attributes={"shape": VALUES["shape"], **changes})
        with pytest.raises(InputError, match=f"maker: is conditional on 'colour', and .* has {said}"):
            control.askable(maker(shelf), other)


def test_what_was_asked_is_read_from_a_file(prepared, tmp_path):
    images = np.zeros((2, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "s.npz", images=images, shape=["bar", "disc"], note=["a", "b"])
    assert {k: v.tolist() for k, v in control.load_asked(tmp_path / "s.npz", prepared).items()} == {"shape": [2, 0]}
    np.savez(tmp_path / "bad.npz", images=images, shape=["bar", "cone"])
    with pytest.raises(InputError, match="shape='cone'"):
        control.load_asked(tmp_path / "bad.npz", prepared)
