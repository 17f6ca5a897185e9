"""The feature network: what it learns, and that its cache is used, replaced and repaired when it should be."""

import json
import pickle
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax import open_or_prepare
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.control import control_network
from prodgen_jax.methods import classifier
from prodgen_jax.methods.spec import Spec
from prodgen_jax.training import features
from prodgen_jax.training.features import feature_network


def test_useful_classes_keeps_frequent_values_only():
    many = np.repeat(np.arange(50), np.arange(50) + 10)  # value v has v + 10 rows: 10 and more have 20 rows
    labels = {"many": many, "one": np.zeros(100, int), "serial": np.arange(100), "none": np.full(9, -1)}
    assert classifier.useful_classes(labels) == {"many": tuple(range(10, 50))}
    assert len(classifier.useful_classes({"many": np.repeat(np.arange(60), 20)})["many"]) == classifier.MOST_VALUES


def test_cross_entropy_masks_missing_labels():
    logits = jnp.array([[0.0, 0.0], [3.0, 1.0], [9.0, -9.0]])
    nats, accuracy = classifier.cross_entropy(logits, jnp.array([-1, 0, 1]))
    expected = (np.log1p(np.exp(-2)) + 18) / 2
    assert float(nats) == pytest.approx(expected, rel=1e-5) and float(accuracy) == 0.5
    assert [float(v) for v in classifier.cross_entropy(logits, jnp.full(3, -1))] == [0, 0]


def test_loss_ignores_rare_and_missing_values():
    settings = classifier.Settings(width=8, features=8, classes={"colour": (1, 3)})
    method = classifier.build(settings, Spec(16, 3, {"colour": 4}))
    params, extra = method.init(jax.random.key(0))
    image = jax.random.uniform(jax.random.key(1), (4, 16, 16, 3), minval=-1)

    @jax.jit
    def loss(labels):
        batch = {"image": image, "label": {"colour": labels}}
        return method.turns[0].loss(params, extra, batch, jax.random.split(jax.random.key(2), 4), 0)[0]

    some, others, none = (float(loss(jnp.array(v))) for v in ([1, 3, -1, 0], [1, 3, 2, -1], [-1, 0, 2, -1]))
    assert some == pytest.approx(others) and some > 0 and none == 0
    with pytest.raises(InputError, match="draws none"):
        method.sample(params, None, {})


def test_it_learns(network):
    assert set(network.accuracy) == {"shape", "colour"}
    for scores in network.accuracy.values():
        assert scores["accuracy"] > 0.9 > 0.45 > scores["majority"]
    assert network.accuracy["colour"]["n"] == 360  # a tenth is missing


def test_features_do_not_depend_on_batches(network, fresh):
    all_rows = network.features(fresh)
    assert all_rows.shape == (400, 128) and all_rows.dtype == np.float32
    assert np.allclose(all_rows[3:5], network.features(fresh[3:5]), atol=1e-4)
    assert set(np.unique(network.predict(fresh)["shape"])) == {0, 1, 2}
    with pytest.raises(InputError, match="float32"):
        network.features(fresh.astype(np.float32))


@pytest.fixture
def no_training(monkeypatch):
    """Training stands still: it says `trained`, so that a test sees when it would have begun."""

    def refuse(*_):
        raise RuntimeError("trained")

    monkeypatch.setattr(features, "train", refuse)


def test_cache_is_read(prepared, network, fresh, no_training):
    again = feature_network(prepared, steps=120)
    assert again.weights_sha256 == network.weights_sha256 and again.accuracy == network.accuracy
    assert np.array_equal(again.features(fresh), network.features(fresh))


@pytest.mark.parametrize("change", [{"steps": 121}, {"steps": 120, "seed": 1}])
def test_another_network_is_not_taken_from_the_cache(prepared, network, no_training, change):
    with pytest.raises(RuntimeError, match="trained"):
        feature_network(prepared, **change)


def test_stale_cache_is_left(prepared, network, no_training):
    file = prepared.path / "features" / "0" / "network.json"
    kept = file.read_text()
    note = json.loads(kept)
    note["identity"]["fingerprint"] = "another set"
    file.write_text(json.dumps(note))
    with pytest.raises(RuntimeError, match="trained"):
        feature_network(prepared, steps=120)
    file.write_text(kept)


class Bomb:
    """Unpickled, it ends the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


DAMAGE = {
    "cut": lambda kept: kept[: len(kept) // 2],
    "flip": lambda kept: kept[: len(kept) // 2] + b"\xff" + kept[len(kept) // 2 + 1 :],
    "pickle": lambda kept: pickle.dumps(Bomb()),
}


@pytest.mark.parametrize("name", ["weights.safetensors", "network.json"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_cache_is_trained_again(prepared, network, no_training, name, damage):
    file = prepared.path / "features" / "0" / name
    kept = file.read_bytes()
    file.write_bytes(damage(kept))
    try:
        with pytest.warns(UserWarning, match="damaged"), pytest.raises(RuntimeError, match="trained"):
            feature_network(prepared, steps=120)
    finally:
        file.write_bytes(kept)


def test_a_network_of_the_package_is_read(prepared, network, tmp_path, monkeypatch, no_training):
    """Where the set's own cache holds none; and it is named by the set's fingerprint."""
    monkeypatch.setattr(features, "cache_folders", lambda _: (tmp_path / "nothing",))
    monkeypatch.setattr(features, "SHIPPED", tmp_path)
    with pytest.raises(RuntimeError, match="trained"):
        feature_network(prepared, steps=120)
    place = tmp_path / "features" / prepared.fingerprint[:16]
    shutil.copytree(prepared.path / "features" / "0", place / "0")
    assert feature_network(prepared, steps=120).weights_sha256 == network.weights_sha256


@pytest.mark.long
def test_the_demo_shops_networks_come_with_the_package(tmp_path, no_training):
    prepared = open_or_prepare("demo", tmp_path / "demo")
    accuracy = [make(prepared).accuracy["type"]["accuracy"] for make in (feature_network, control_network)]
    assert min(accuracy) > 0.95


def test_read_only_set_is_cached_for_the_user(prepared, network, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(features, "train", lambda *_: network)
    beside = prepared.path / "features"
    monkeypatch.setattr(features, "writable", lambda place: beside not in place.parents and features_made(place))
    feature_network(prepared, steps=120, seed=7)
    assert list(tmp_path.glob("prodgen_jax/features/*/7/weights.safetensors"))


def features_made(place):
    place.mkdir(parents=True, exist_ok=True)
    return True


def test_set_without_useful_attributes_is_refused(prepared, monkeypatch):
    monkeypatch.setattr(classifier, "useful_classes", lambda labels: {})
    with pytest.raises(InputError, match="no attribute"):
        feature_network(prepared)
